// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "jobwire/error.h"
#include "jobwire/export.h"
#include "jobwire/hooks.h"
#include "jobwire/job_id.h"

JOBWIRE_NAMESPACE_BEGIN

/// What post() does when the client already holds as many unreceipted jobs as it may.
enum class OverflowPolicy {
  Block,       ///< Wait for room up to submit_timeout, then answer Full.
  Fail,        ///< Answer Full at once.
  DropOldest,  ///< Make room by dropping the oldest posted job that is not on its way to the
               ///< broker, count it and tell on_lost; answer Full when all are on their way.
};

/// Settings of a Client. Every buffer has a bound and every wait an end; the values here are the
/// defaults. Setters return the options.
class JOBWIRE_EXPORT ClientOptions {
 public:
  using Milliseconds = std::chrono::milliseconds;
  using LostFn = std::function<void(const JobId&, const Error&)>;

  ClientOptions() = default;

  /// Program and version as the broker's log and dashboard show them: "thumbs/1.4".
  ClientOptions& name(std::string_view name);
  /// How long connect() waits for the broker's welcome: 5 s.
  ClientOptions& connect_timeout(Milliseconds timeout);
  /// connect() returns at once and the client finds its broker by itself, now or later.
  ClientOptions& connect_later(bool later = true);
  /// How long submit(), submit_async() and submit_batch() try, and how long a question waits for
  /// its answer: 10 s.
  ClientOptions& submit_timeout(Milliseconds timeout);
  /// How long the destructor waits for receipts, when close() was not called: 2 s.
  ClientOptions& linger(Milliseconds linger);
  /// An unreceipted job is sent again (with its id) after so long, then after twice that, and so
  /// on: 5 s.
  ClientOptions& resend_after(Milliseconds interval);
  /// Unreceipted jobs that the client holds at most: 65,536, together 256 MiB of payload.
  ClientOptions& backlog(std::size_t jobs, std::size_t bytes);
  /// What post() does when the backlog is full: Block.
  ClientOptions& overflow(OverflowPolicy policy);
  /// Posted jobs are also kept in this file until they are receipted or refused, so that those of a
  /// program that is killed are sent by its next start, under the same ids: at least once, and not
  /// twice while the broker still knows them. The file holds at most `max_bytes`, half of that in
  /// jobs; beyond, post() does what overflow() says. What post() has taken survives the process,
  /// not the machine. One client at a time; connect() answers SpoolFailed otherwise.
  ClientOptions& spool(std::string_view path, std::size_t max_bytes = 256U << 20);
  /// Jobs whose results this client waits for at most: 1,048,576.
  ClientOptions& max_watched(std::size_t jobs);
  /// Results that have come and were not yet asked for: 131,072 and 256 MiB. The oldest give way;
  /// asking for one of those later costs one question to the broker.
  ClientOptions& kept_results(std::size_t jobs, std::size_t bytes);
  /// Frames from the broker over this are not accepted, and end the connection: 34,603,008 bytes.
  ClientOptions& max_message_bytes(std::size_t bytes);
  /// Called for each posted job that will not be receipted any more: refused, dropped, or given up
  /// when the client closes. Runs on the client's thread (on the poster's for a drop, on the
  /// closer's at the end); must be quick and not call the client.
  ClientOptions& on_lost(LostFn fn);
  /// Called when the connection changes its state; Client::connection() tells the same when asked.
  ClientOptions& on_connection(ConnectionFn fn);
  /// What a program's log should know: connections that come and go, refusals, messages that were
  /// none. Payloads are never in it.
  ClientOptions& on_log(LogFn fn);
  /// Called for what happens to each job, for metrics and traces: hooks.h.
  ClientOptions& on_job_event(JobEventFn fn);
  /// Called with each job before it is taken, to add headers: hooks.h.
  ClientOptions& trace(TraceFn fn);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] Milliseconds connect_timeout() const noexcept { return connect_timeout_; }
  [[nodiscard]] bool connect_later() const noexcept { return connect_later_; }
  [[nodiscard]] Milliseconds submit_timeout() const noexcept { return submit_timeout_; }
  [[nodiscard]] Milliseconds linger() const noexcept { return linger_; }
  [[nodiscard]] Milliseconds resend_after() const noexcept { return resend_after_; }
  [[nodiscard]] std::size_t backlog_jobs() const noexcept { return backlog_jobs_; }
  [[nodiscard]] std::size_t backlog_bytes() const noexcept { return backlog_bytes_; }
  [[nodiscard]] OverflowPolicy overflow() const noexcept { return overflow_; }
  [[nodiscard]] const std::string& spool_path() const noexcept { return spool_path_; }
  [[nodiscard]] std::size_t spool_bytes() const noexcept { return spool_bytes_; }
  [[nodiscard]] std::size_t max_watched() const noexcept { return max_watched_; }
  [[nodiscard]] std::size_t kept_results() const noexcept { return kept_results_; }
  [[nodiscard]] std::size_t kept_result_bytes() const noexcept { return kept_result_bytes_; }
  [[nodiscard]] std::size_t max_message_bytes() const noexcept { return max_message_bytes_; }
  [[nodiscard]] const LostFn& on_lost() const noexcept { return on_lost_; }
  [[nodiscard]] const ConnectionFn& on_connection() const noexcept { return on_connection_; }
  [[nodiscard]] const LogFn& on_log() const noexcept { return on_log_; }
  [[nodiscard]] const JobEventFn& on_job_event() const noexcept { return on_job_event_; }
  [[nodiscard]] const TraceFn& trace() const noexcept { return trace_; }

 private:
  std::string name_ = "unnamed";
  Milliseconds connect_timeout_{5'000};
  Milliseconds submit_timeout_{10'000};
  Milliseconds linger_{2'000};
  Milliseconds resend_after_{5'000};
  std::size_t backlog_jobs_ = 65'536;
  std::size_t backlog_bytes_ = 256U << 20;
  std::string spool_path_;
  std::size_t spool_bytes_ = 0;
  std::size_t max_watched_ = 1U << 20;
  std::size_t kept_results_ = 131'072;
  std::size_t kept_result_bytes_ = 256U << 20;
  std::size_t max_message_bytes_ = 34'603'008;
  OverflowPolicy overflow_ = OverflowPolicy::Block;
  bool connect_later_ = false;
  LostFn on_lost_;
  ConnectionFn on_connection_;
  LogFn on_log_;
  JobEventFn on_job_event_;
  TraceFn trace_;
};

JOBWIRE_NAMESPACE_END
