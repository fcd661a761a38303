// SPDX-License-Identifier: Apache-2.0
#include "session.h"

#include <pthread.h>

#include <array>
#include <csignal>
#include <utility>

#include "batch.h"
#include "endpoints.h"
#include "gather.h"
#include "job_check.h"
#include "job_request.h"
#include "outbound.h"
#include "progress_sink.h"
#include "stoppable_wait.h"
#include "zmq_link.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {
namespace {

Error closed_error() { return {ErrorCode::Closed, "the client was closed"}; }

Error full_error() {
  return {ErrorCode::Full, "the client holds as many unreceipted jobs as it may"};
}

Error no_result_yet() { return {ErrorCode::Timeout, "the job has not ended in time"}; }

}  // namespace

Session::Session(std::vector<std::string> endpoints, Role role, ClientOptions options)
    : exchange_(std::move(endpoints), std::move(options), role == Role::Operator) {}

Result<std::unique_ptr<Session>> Session::open(std::string_view endpoints, Role role,
                                               ClientOptions options, const std::stop_token& stop) {
  auto parsed = parse_endpoints(endpoints);
  if (!parsed) return parsed.error();
  auto link = open_zmq_link(options.max_message_bytes());
  if (!link) return Error(ErrorCode::Internal, "no ZeroMQ context: no descriptors left");
  return open(std::move(*parsed), std::move(link), role, std::move(options), stop);
}

Result<std::unique_ptr<Session>> Session::open(std::vector<std::string> endpoints,
                                               std::unique_ptr<Link> link, Role role,
                                               ClientOptions options, const std::stop_token& stop) {
  std::unique_ptr<Session> session(new Session(std::move(endpoints), role, std::move(options)));
  const ClientOptions& settings = session->exchange_.options;
  Phase& phase = session->exchange_.phase;
  if (const Status spooled = session->open_spool(); !spooled) return spooled.error();
  session->start(std::move(link));
  if (settings.connect_later()) return session;
  const bool answered = phase.wait(deadline_in(settings.connect_timeout()), stop);
  const Connection connection = phase.connection();
  if (connection.state == ConnectionState::Open) return session;
  if (connection.error) return *connection.error;
  if (!answered && stop.stop_requested()) return stopped_error();
  return Error(ErrorCode::Unavailable, "no broker answered at " + connection.endpoint);
}

Status Session::open_spool() {
  const ClientOptions& options = exchange_.options;
  if (options.spool_path().empty()) return {};
  Spool::Recovered recovered;
  auto spool = Spool::open(options.spool_path(), options.spool_bytes(), recovered);
  if (!spool) return spool.error();
  exchange_.spool = std::move(*spool);
  for (const Job& job : recovered.jobs) {
    exchange_.backlog.restore(job, *job.id(), Outbound::envelope_bytes(job));
  }
  recovered_ = recovered.jobs.size();
  if (recovered_ > 0) {
    exchange_.log(LogLevel::Info,
                  "spool: " + std::to_string(recovered_) + " jobs of an earlier process");
  }
  if (recovered.damaged_bytes > 0) {
    exchange_.log(LogLevel::Warning, "spool: passed over " +
                                         std::to_string(recovered.damaged_bytes) +
                                         " bytes that a crash left half written or that changed");
  }
  return {};
}

void Session::start(std::unique_ptr<Link> link) {
  loop_ = std::make_unique<IoLoop>(exchange_, std::move(link));
  // Signals are the program's: none is handled on this thread.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { loop_->run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread_.native_handle(), "jobwire-io");
  thread_id_ = thread_.get_id();
}

Session::~Session() { close(Clock::now()); }

std::optional<Error> Session::refuse_own_thread() const {
  if (std::this_thread::get_id() != thread_id_) return std::nullopt;
  return Error(ErrorCode::InvalidArgument,
               "a call that waits, on the client's own thread, would wait for itself");
}

std::optional<Error> Session::admit(const Job& job, const JobId& id) {
  if (auto fault = find_fault(job, exchange_.max_payload_bytes.load(std::memory_order_relaxed))) {
    return fault;
  }
  if (job.is_watched() && !exchange_.watches.expect(id)) {
    return Error(ErrorCode::Full, "as many results are awaited as max_watched allows");
  }
  return std::nullopt;
}

void Session::take(std::span<const Job> jobs, std::span<JobId> ids, std::span<std::size_t> bytes,
                   const std::shared_ptr<Sink<Receipt>>& sink, TimePoint deadline,
                   bool wait_for_room, const std::stop_token& stop) {
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const JobId id = jobs[i].id() ? *jobs[i].id() : JobId::make();
    if (auto fault = admit(jobs[i], id)) {
      ids[i] = JobId();  // not to be taken
      sink->settle(i, std::move(*fault));
      continue;
    }
    ids[i] = id;
    bytes[i] = Outbound::envelope_bytes(jobs[i]);
  }
  const std::size_t taken =
      exchange_.backlog.submit(jobs, ids, bytes, sink, deadline, wait_for_room, stop);
  for (std::size_t i = taken; i < jobs.size(); ++i) {
    if (ids[i].is_nil()) continue;
    const Error error = not_taken(stop);
    if (jobs[i].is_watched()) exchange_.watches.fail(ids[i], error);
    sink->settle(i, error);
  }
}

Error Session::not_taken(const std::stop_token& stop) const {
  if (exchange_.backlog.closed()) return closed_error();
  return stop.stop_requested() ? stopped_error() : full_error();
}

std::vector<Result<Receipt>> Session::submit(std::span<const Job> jobs, TimePoint deadline,
                                             const std::stop_token& stop) {
  std::vector<Job> traced;
  if (exchange_.options.trace()) {
    traced.assign(jobs.begin(), jobs.end());
    for (Job& job : traced) exchange_.options.trace()(job);
    jobs = traced;
  }
  std::vector<JobId> ids(jobs.size());
  std::vector<std::size_t> bytes(jobs.size());
  const auto batch = std::make_shared<Batch<Receipt>>(jobs.size());
  take(jobs, ids, bytes, batch, deadline, true, stop);
  return batch->take(deadline + kGrace, stop, Error(ErrorCode::Timeout, "no receipt in time"));
}

void Session::submit_async(const Job& untraced, const std::shared_ptr<Sink<Receipt>>& sink) {
  std::optional<Job> traced;
  const Job& job = trace(untraced, traced);
  JobId id;
  std::size_t bytes = 0;
  take({&job, 1}, {&id, 1}, {&bytes, 1}, sink, submit_deadline(), false, {});
}

JobId Session::start_call(const Job& job, const std::shared_ptr<Sink<JobResult>>& result,
                          const std::shared_ptr<Sink<Receipt>>& receipt, TimePoint deadline,
                          bool wait_for_room, const std::stop_token& stop) {
  Job watched = job;
  watched.watch();
  if (exchange_.options.trace()) exchange_.options.trace()(watched);
  const JobId id = job.id() ? *job.id() : JobId::make();
  if (auto fault = admit(watched, id)) {
    result->settle(0, std::move(*fault));
    return id;
  }
  exchange_.watches.attach({&id, 1}, result);
  const std::size_t bytes = Outbound::envelope_bytes(watched);
  if (exchange_.backlog.submit({&watched, 1}, {&id, 1}, {&bytes, 1}, receipt, deadline,
                               wait_for_room, stop) == 0) {
    exchange_.watches.fail(id, not_taken(stop));
  }
  return id;
}

void Session::call_async(const Job& job, const std::shared_ptr<Sink<JobResult>>& sink) {
  start_call(job, sink, std::make_shared<PendingState<Receipt>>(), submit_deadline(), false, {});
}

Result<JobResult> Session::call(const Job& job, TimePoint deadline, ProgressFn on_progress,
                                const std::stop_token& stop) {
  const auto result = std::make_shared<PendingState<JobResult>>();
  const auto sink = with_progress(result, std::move(on_progress));
  const auto receipt = std::make_shared<PendingState<Receipt>>();
  const JobId id = start_call(job, sink, receipt, deadline, true, stop);
  // One wait for both: the receipt alone wakes nobody.
  if (auto answer = result->wait_until(deadline, stop)) return std::move(*answer);
  if (!stop.stop_requested()) {
    // The I/O thread gives up the submit at the same deadline, and knows why it went wrong.
    if (auto submitted = receipt->wait_until(deadline + kGrace); submitted && !*submitted) {
      exchange_.watches.detach({&id, 1}, sink.get());
      return submitted->error();
    }
  }
  return stop_waiting(id, sink.get(), *result, stop);
}

Result<JobResult> Session::stop_waiting(const JobId& id, const Sink<JobResult>* sink,
                                        const PendingState<JobResult>& state,
                                        const std::stop_token& stop) {
  exchange_.watches.detach({&id, 1}, sink);
  // It may have come just now.
  if (auto answer = state.wait_until(Clock::now())) return std::move(*answer);
  return stop.stop_requested() ? stopped_error() : no_result_yet();
}

void Session::tell_lost(const EntryList& entries, const Error& error) {
  for (const Entry& entry : entries) {
    exchange_.tell(JobEvent::Kind::GivenUp, entry, &error);
    if (entry.job.is_watched()) exchange_.watches.fail(entry.id, error);
    if (exchange_.options.on_lost()) exchange_.options.on_lost()(entry.id, error);
    if (entry.spooled) exchange_.spool->remove({&entry.id, 1});
  }
}

Status Session::spool(const Job& job, const JobId& id, bool may_wait) {
  const ClientOptions& options = exchange_.options;
  const bool waits = may_wait && options.overflow() == OverflowPolicy::Block;
  while (true) {
    Status added = exchange_.spool->add(job, id, waits ? submit_deadline() : Clock::now());
    if (added || added.error().code() != ErrorCode::Full ||
        options.overflow() != OverflowPolicy::DropOldest) {
      return added;
    }
    const EntryList dropped = exchange_.backlog.drop_oldest();
    if (dropped.empty()) return added;
    tell_lost(dropped, Error(ErrorCode::Dropped, "made room for a newer posted job"));
  }
}

const Job& Session::trace(const Job& job, std::optional<Job>& traced) const {
  if (!exchange_.options.trace()) return job;
  exchange_.options.trace()(traced.emplace(job));
  return *traced;
}

Result<JobId> Session::post(const Job& untraced) {
  std::optional<Job> traced;
  const Job& job = trace(untraced, traced);
  const JobId id = job.id() ? *job.id() : JobId::make();
  if (auto fault = admit(job, id)) return std::move(*fault);
  EntryList dropped;
  const bool may_wait = !refuse_own_thread();
  const bool spools = exchange_.spool != nullptr;
  if (spools) {
    if (exchange_.backlog.closed()) return closed_error();
    if (const Status spooled = spool(job, id, may_wait); !spooled) {
      if (job.is_watched()) exchange_.watches.fail(id, spooled.error());
      return spooled.error();
    }
  }
  const auto taken =
      exchange_.backlog.post(job, id, Outbound::envelope_bytes(job), may_wait, spools, dropped);
  if (!dropped.empty()) {
    tell_lost(dropped, Error(ErrorCode::Dropped, "made room for a newer posted job"));
  }
  if (taken == Backlog::Taken::Yes) return id;
  if (spools) exchange_.spool->remove({&id, 1});
  Error error = taken == Backlog::Taken::Full ? full_error() : closed_error();
  if (job.is_watched()) exchange_.watches.fail(id, error);
  return error;
}

Status Session::flush(std::chrono::milliseconds timeout, const std::stop_token& stop) {
  if (auto refused = refuse_own_thread()) return std::move(*refused);
  if (exchange_.backlog.flush(deadline_in(timeout), stop)) return {};
  if (stop.stop_requested()) return stopped_error();
  return Error(ErrorCode::Timeout, "some jobs are not receipted yet");
}

void Session::watch(const JobId& id, const std::shared_ptr<Sink<JobResult>>& sink) {
  if (exchange_.watches.attach({&id, 1}, sink)) exchange_.waker.wake();
}

Result<JobResult> Session::wait(const JobId& id, TimePoint deadline, ProgressFn on_progress,
                                const std::stop_token& stop) {
  const auto state = std::make_shared<PendingState<JobResult>>();
  const auto sink = with_progress(state, std::move(on_progress));
  watch(id, sink);
  if (auto answer = state->wait_until(deadline, stop)) return std::move(*answer);
  return stop_waiting(id, sink.get(), *state, stop);
}

void Session::wait_each(std::span<const JobId> ids, TimePoint deadline, const std::stop_token& stop,
                        const std::function<void(std::size_t, Result<JobResult>)>& fn) {
  const auto gather = std::make_shared<Gather<JobResult>>();
  if (exchange_.watches.attach(ids, gather)) exchange_.waker.wake();
  std::vector<bool> called(ids.size());
  std::size_t open = ids.size();
  Gather<JobResult>::Arrived arrived;
  const auto deliver = [&] {
    for (auto& [slot, answer] : arrived) {
      called[slot] = true;
      --open;
      fn(slot, std::move(answer));
    }
    return !arrived.empty();
  };
  while (open > 0) {
    gather->take(deadline, stop, arrived);
    if (!deliver()) break;
  }
  if (open == 0) return;
  exchange_.watches.detach(ids, gather.get());
  gather->take(Clock::now(), {}, arrived);  // what came just now
  deliver();
  for (std::size_t slot = 0; slot < ids.size(); ++slot) {
    if (!called[slot]) fn(slot, stop.stop_requested() ? stopped_error() : no_result_yet());
  }
}

Status Session::ask(std::shared_ptr<Request> request) {
  if (auto refused = refuse_own_thread()) return std::move(*refused);
  if (!exchange_.requests.ask(std::move(request))) {
    if (exchange_.backlog.closed()) return closed_error();
    return Error(ErrorCode::Full, "too many questions are waiting for an answer");
  }
  exchange_.waker.wake();
  return {};
}

namespace {
std::optional<Error> refuse_nil(const JobId& id) {
  if (!id.is_nil()) return std::nullopt;
  return Error(ErrorCode::InvalidArgument, "id: the nil id names no job");
}
}  // namespace

Result<JobResult> Session::state(const JobId& id, const std::stop_token& stop) {
  if (auto nil = refuse_nil(id)) return std::move(*nil);
  const auto state = std::make_shared<PendingState<JobResult>>();
  const TimePoint deadline = submit_deadline();
  const Status asked = ask(std::make_shared<StateRequest>(deadline, id, state));
  return asked ? await(*state, deadline, stop) : asked.error();
}

Result<JobResult> Session::cancel(const JobId& id, std::string_view reason,
                                  const std::stop_token& stop) {
  if (auto nil = refuse_nil(id)) return std::move(*nil);
  const auto state = std::make_shared<PendingState<JobResult>>();
  const TimePoint deadline = submit_deadline();
  const Status asked =
      ask(std::make_shared<CancelRequest>(deadline, id, std::string(reason), state));
  return asked ? await(*state, deadline, stop) : asked.error();
}

CloseReport Session::close(TimePoint deadline) {
  CloseReport report;
  const std::lock_guard lock(close_mutex_);
  if (std::exchange(closed_, true) || !loop_) return report;
  exchange_.backlog.close();
  if (exchange_.spool) exchange_.spool->close();
  exchange_.backlog.flush(deadline);
  loop_->stop();
  thread_.join();

  const Error error = closed_error();
  EntryList left = loop_->take_unsettled();
  left.splice(left.end(), exchange_.backlog.take_all());
  for (Entry& entry : left) {
    report.unreceipted.push_back(entry.id);
    if (entry.spooled) {  // not given up: the next start sends it
      report.spooled.push_back(entry.id);
      continue;
    }
    exchange_.tell(JobEvent::Kind::GivenUp, entry, &error);
    if (!entry.posted()) entry.receipt.settle(error);
    if (entry.posted() && exchange_.options.on_lost()) {
      exchange_.options.on_lost()(entry.id, error);
    }
  }
  exchange_.backlog.forget(std::move(left));
  exchange_.watches.close(error);
  for (const auto& request : loop_->take_unanswered()) request->fail(error);
  for (const auto& request : exchange_.requests.close()) request->fail(error);
  report.dropped = exchange_.backlog.counts().dropped;
  return report;
}

ClientStats Session::stats() const {
  const Backlog::Counts backlog = exchange_.backlog.counts();
  const Counters& io = exchange_.counters;
  ClientStats stats;
  stats.submitted = backlog.submitted;
  stats.receipted = io.receipted.get();
  stats.refused = io.refused.get();
  stats.expired = io.expired.get();
  stats.dropped = backlog.dropped;
  stats.overflows = backlog.overflows;
  stats.retried = io.retried.get();
  stats.resent = io.resent.get();
  stats.messages = io.messages.get();
  stats.results = io.results.get();
  stats.sessions = io.sessions.get();
  stats.brokers = io.brokers.get();
  stats.malformed = io.malformed.get();
  stats.recovered = recovered_;
  stats.spooled = exchange_.spool ? exchange_.spool->size() : 0;
  stats.pending = backlog.pending;
  stats.watched = exchange_.watches.size();
  stats.connected = exchange_.phase.is_open();
  return stats;
}

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
