// SPDX-License-Identifier: Apache-2.0
#include "jobwire/client.h"

#include <optional>
#include <utility>

#include "connect_through.h"
#include "pending_state.h"
#include "progress_sink.h"
#include "session.h"

JOBWIRE_NAMESPACE_BEGIN

using client_detail::deadline_in;
using client_detail::PendingState;
using client_detail::Session;
using client_detail::with_progress;

Client::Client(std::unique_ptr<Session> session) : session_(std::move(session)) {}
Client::Client(Client&& other) noexcept = default;

Client& Client::operator=(Client&& other) noexcept {
  if (this != &other) {
    if (session_) session_->close(deadline_in(session_->linger()));
    session_ = std::move(other.session_);
  }
  return *this;
}

Client::~Client() {
  if (session_) session_->close(deadline_in(session_->linger()));
}

Result<Client> Client::connect(std::string_view endpoints, ClientOptions options,
                               std::stop_token stop) {
  auto session = Session::open(endpoints, Session::Role::Producer, std::move(options), stop);
  if (!session) return session.error();
  return Client(std::move(*session));
}

Result<Client> client_detail::connect_through(std::unique_ptr<Link> link, ClientOptions options) {
  auto session = Session::open(std::vector<std::string>{"in this process"}, std::move(link),
                               Session::Role::Producer, std::move(options), {});
  if (!session) return session.error();
  return Client(std::move(*session));
}

Result<Receipt> Client::submit(const Job& job, std::stop_token stop) {
  if (auto refused = session_->refuse_own_thread()) return std::move(*refused);
  return std::move(session_->submit({&job, 1}, session_->submit_deadline(), stop).front());
}

Pending<Receipt> Client::submit_async(const Job& job) {
  const auto state = std::make_shared<PendingState<Receipt>>();
  session_->submit_async(job, state);
  return Pending<Receipt>(state);
}

std::vector<Result<Receipt>> Client::submit_batch(std::span<const Job> jobs, std::stop_token stop) {
  if (auto refused = session_->refuse_own_thread()) {
    return std::vector<Result<Receipt>>(jobs.size(), *refused);
  }
  return session_->submit(jobs, session_->submit_deadline(), stop);
}

Result<JobId> Client::post(const Job& job) { return session_->post(job); }

Status Client::flush(Milliseconds timeout, std::stop_token stop) {
  return session_->flush(timeout, stop);
}

Result<JobResult> Client::call(const Job& job, Milliseconds timeout, std::stop_token stop) {
  if (auto refused = session_->refuse_own_thread()) return std::move(*refused);
  return session_->call(job, deadline_in(timeout), {}, stop);
}

Result<JobResult> Client::call(const Job& job, Milliseconds timeout, ProgressFn on_progress,
                               std::stop_token stop) {
  if (auto refused = session_->refuse_own_thread()) return std::move(*refused);
  return session_->call(job, deadline_in(timeout), std::move(on_progress), stop);
}

Pending<JobResult> Client::call_async(const Job& job, ProgressFn on_progress) {
  const auto state = std::make_shared<PendingState<JobResult>>();
  session_->call_async(job, with_progress(state, std::move(on_progress)));
  return Pending<JobResult>(state);
}

Result<JobResult> Client::wait(const JobId& id, Milliseconds timeout, std::stop_token stop) {
  if (auto refused = session_->refuse_own_thread()) return std::move(*refused);
  return session_->wait(id, deadline_in(timeout), {}, stop);
}

Result<JobResult> Client::wait(const JobId& id, Milliseconds timeout, ProgressFn on_progress,
                               std::stop_token stop) {
  if (auto refused = session_->refuse_own_thread()) return std::move(*refused);
  return session_->wait(id, deadline_in(timeout), std::move(on_progress), stop);
}

void Client::wait_each(std::span<const JobId> ids, Milliseconds timeout,
                       const std::function<void(std::size_t, Result<JobResult>)>& fn,
                       std::stop_token stop) {
  if (auto refused = session_->refuse_own_thread()) {
    for (std::size_t i = 0; i < ids.size(); ++i) fn(i, *refused);
    return;
  }
  session_->wait_each(ids, deadline_in(timeout), stop, fn);
}

std::vector<Result<JobResult>> Client::wait_all(std::span<const JobId> ids, Milliseconds timeout,
                                                std::stop_token stop) {
  std::vector<std::optional<Result<JobResult>>> slots(ids.size());
  const auto keep = [&slots](std::size_t index, Result<JobResult> result) {
    slots[index].emplace(std::move(result));
  };
  wait_each(ids, timeout, keep, std::move(stop));
  std::vector<Result<JobResult>> results;
  results.reserve(slots.size());
  for (auto& slot : slots) results.push_back(std::move(*slot));
  return results;
}

Pending<JobResult> Client::watch(const JobId& id, ProgressFn on_progress) {
  const auto state = std::make_shared<PendingState<JobResult>>();
  session_->watch(id, with_progress(state, std::move(on_progress)));
  return Pending<JobResult>(state);
}

Result<JobResult> Client::result(const JobId& id, std::stop_token stop) {
  auto answer = session_->state(id, stop);
  if (answer && !is_final(answer->state())) {
    return Error(ErrorCode::NotFinished, "the job is " + std::string(to_string(answer->state())));
  }
  return answer;
}

Result<JobStatus> Client::status(const JobId& id, std::stop_token stop) {
  const auto answer = session_->state(id, stop);
  if (!answer) return answer.error();
  return answer->status();
}

Result<JobState> Client::cancel(const JobId& id, std::string_view reason, std::stop_token stop) {
  const auto answer = session_->cancel(id, reason, stop);
  if (!answer) return answer.error();
  return answer->state();
}

CloseReport Client::close(Milliseconds timeout) { return session_->close(deadline_in(timeout)); }

ClientStats Client::stats() const { return session_->stats(); }

Connection Client::connection() const { return session_->connection(); }

JOBWIRE_NAMESPACE_END
