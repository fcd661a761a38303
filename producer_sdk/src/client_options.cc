// SPDX-License-Identifier: Apache-2.0
#include "jobwire/client_options.h"

#include <utility>

JOBWIRE_NAMESPACE_BEGIN

ClientOptions& ClientOptions::name(std::string_view name) {
  name_ = name;
  return *this;
}

ClientOptions& ClientOptions::connect_timeout(Milliseconds timeout) {
  connect_timeout_ = timeout;
  return *this;
}

ClientOptions& ClientOptions::connect_later(bool later) {
  connect_later_ = later;
  return *this;
}

ClientOptions& ClientOptions::submit_timeout(Milliseconds timeout) {
  submit_timeout_ = timeout;
  return *this;
}

ClientOptions& ClientOptions::linger(Milliseconds linger) {
  linger_ = linger;
  return *this;
}

ClientOptions& ClientOptions::resend_after(Milliseconds interval) {
  resend_after_ = interval;
  return *this;
}

ClientOptions& ClientOptions::backlog(std::size_t jobs, std::size_t bytes) {
  backlog_jobs_ = jobs;
  backlog_bytes_ = bytes;
  return *this;
}

ClientOptions& ClientOptions::overflow(OverflowPolicy policy) {
  overflow_ = policy;
  return *this;
}

ClientOptions& ClientOptions::max_watched(std::size_t jobs) {
  max_watched_ = jobs;
  return *this;
}

ClientOptions& ClientOptions::kept_results(std::size_t jobs, std::size_t bytes) {
  kept_results_ = jobs;
  kept_result_bytes_ = bytes;
  return *this;
}

ClientOptions& ClientOptions::max_message_bytes(std::size_t bytes) {
  max_message_bytes_ = bytes;
  return *this;
}

ClientOptions& ClientOptions::on_lost(LostFn fn) {
  on_lost_ = std::move(fn);
  return *this;
}

ClientOptions& ClientOptions::spool(std::string_view path, std::size_t max_bytes) {
  spool_path_ = path;
  spool_bytes_ = max_bytes;
  return *this;
}

ClientOptions& ClientOptions::on_connection(ConnectionFn fn) {
  on_connection_ = std::move(fn);
  return *this;
}

ClientOptions& ClientOptions::on_log(LogFn fn) {
  on_log_ = std::move(fn);
  return *this;
}

ClientOptions& ClientOptions::on_job_event(JobEventFn fn) {
  on_job_event_ = std::move(fn);
  return *this;
}

ClientOptions& ClientOptions::trace(TraceFn fn) {
  trace_ = std::move(fn);
  return *this;
}

JOBWIRE_NAMESPACE_END
