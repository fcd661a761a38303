// SPDX-License-Identifier: Apache-2.0
// One attempt: lease, result, failure, hand-back.
#include <algorithm>
#include <cassert>
#include <limits>

#include "core/engine.h"
#include "core/retry.h"

namespace jobwire::core {
namespace {

/// What a job costs its worker beside its own run time, measured for the Python runtime.
constexpr double kWorkerCostUs = 8.0;
constexpr double kEstimateWeight = 0.1;
/// In one batch. More are counted, but not noted on their jobs: a worker that floods must not hold
/// the store up.
constexpr std::size_t kMaxStaleNotes = 1'000;

void count_up(std::uint8_t& counter) {
  if (counter < std::numeric_limits<std::uint8_t>::max()) ++counter;
}

}  // namespace

LeaseToken Engine::new_token() {
  LeaseToken token;
  const std::uint64_t counter = (epoch_ << 40) | (++lease_counter_ & ((1ULL << 40) - 1));
  const std::uint64_t nonce = random_.next();
  std::memcpy(token.bytes.data(), &counter, sizeof counter);
  std::memcpy(token.bytes.data() + 8, &nonce, sizeof nonce);
  return token;
}

LeaseIx Engine::bind(JobIx ix, WorkerIx worker, const LeaseToken& token, Move move, Now now) {
  Job& job = jobs_[ix];
  if (job.linked) lanes_.unlink(ix);
  if (job.state != State::kRunning) this->move(job, move);
  job.adoptable = false;
  job.started = now.wall;
  job.lease = fleet_.add_lease(ix, worker, token, estimate(lanes_.type_of(job)), now.steady);
  fleet_[job.lease].timeout_ms = static_cast<std::uint32_t>(timeout_of(job).count());
  late_marks_.push_back({now.steady + config_.running_mark_delay, ix, job.id.tail(), token});
  if (fleet_[worker].leases > fleet_[worker].slots && !recall_check_at_)
    recall_check_at_ = now.steady + config_.recall_after;
  return job.lease;
}

void Engine::grant(JobIx ix, WorkerIx worker_ix, std::uint16_t offer, Now now, Effects& out) {
  const LeaseIx lease = bind(ix, worker_ix, new_token(), Move::kLease, now);
  const Job& job = jobs_[ix];
  DispatchOut dispatch;
  dispatch.session = fleet_[worker_ix].session;
  dispatch.token = fleet_[lease].token;
  dispatch.job = job.id;
  dispatch.payload = job.payload;
  dispatch.timeout = Millis(fleet_[lease].timeout_ms);
  dispatch.type = offer;
  dispatch.attempt = static_cast<std::uint16_t>(job.attempts + 1);
  dispatch.encoding = job.encoding;
  dispatch.priority = job.priority;
  if (job.extra && job.extra->options && !job.extra->options->headers.empty())
    dispatch.options = job.extra->options;
  if (const Checkpoint* saved = checkpoints_.find(ix)) dispatch.checkpoint = *saved;
  out.dispatches.push_back(std::move(dispatch));
}

void Engine::drop_lease(Job& job) {
  if (job.lease == kNoLease) return;
  const WorkerIx worker = fleet_[job.lease].worker;
  fleet_.remove_lease(job.lease);
  job.lease = kNoLease;
  refresh_room(worker);
}

void Engine::finish(JobIx ix, Move move, Now now) {
  Job& job = jobs_[ix];
  if (job.linked) lanes_.unlink(ix);
  this->move(job, move);
  job.finished = now.wall;
  ++job.timer_stamp;
  if (job.state != State::kSucceeded && job.resident) {
    make_resident(job, false);
    if (job.stored != State::kNone) job.payload = Bytes{};
  }
  mark_dirty(ix);
}

void Engine::succeed(JobIx ix, const ResultReport& report, Now now) {
  Job& job = jobs_[ix];
  job.more().ended_at = fleet_[fleet_[job.lease].worker].label;
  drop_lease(job);
  ++job.attempts;
  make_resident(job, false);
  job.payload = Bytes::copy_of(report.payload);
  unstored_report_bytes_ += report.payload.size();
  job.result_encoding = report.encoding;
  job.run_us = static_cast<std::uint32_t>(
      std::min<Micros::rep>(report.run.count(), std::numeric_limits<std::uint32_t>::max()));
  if (report.started.time_since_epoch().count() != 0) job.started = report.started;
  finish(ix, Move::kSucceed, now);
}

void Engine::fail(JobIx ix, const Failed& failed, Now now) {
  Job& job = jobs_[ix];
  Attempt attempt;
  attempt.number = ++job.attempts;
  attempt.generation = job.generation;
  if (job.lease != kNoLease) {
    const Lease& lease = fleet_[job.lease];
    const Worker& worker = fleet_[lease.worker];
    attempt.token = lease.token;
    attempt.worker = worker.label;
    const auto host = fleet_.hosts().find(worker.host);
    if (host != fleet_.hosts().end()) attempt.host = host->second.name;
  }
  attempt.started = failed.started.time_since_epoch().count() != 0 ? failed.started : job.started;
  attempt.ended = now.wall;
  attempt.outcome = failed.outcome;
  attempt.run = failed.run;
  if (!failed.error.empty()) attempt.error = Bytes::copy_of(failed.error);
  unstored_report_bytes_ += failed.error.size();
  attempt.error_type = failed.error_type;
  attempt.error_message = failed.error_message;
  drop_lease(job);
  job.more().last_failure = std::make_shared<const Attempt>(attempt);
  job.extra->unstored_attempts.push_back(std::move(attempt));

  if (failed.outcome == Outcome::kTimedOut) {
    count_up(job.timed_out);
  } else if (failed.outcome == Outcome::kCrashed) {
    count_up(job.crashed);
  } else if (failed.outcome != Outcome::kCancelled) {
    count_up(job.raised);
  }
  if (job.cancelling) {
    confirm_cancel(ix, now);
    return;
  }
  const Verdict verdict =
      judge(policy_of(job), {job.raised, job.timed_out, job.crashed}, failed.outcome,
            failed.error_type, failed.retryable, failed.asked, random_);
  if (verdict.retry) {
    move(job, Move::kRetry);
    job.due = now.wall + verdict.delay;
    job.by_the_clock = false;
    ++job.timer_stamp;  // a due time from before its adoption means nothing any more
    mark_dirty(ix);
  } else {
    job.reason = verdict.reason;
    finish(ix, Move::kBury, now);
  }
}

void Engine::give_back(JobIx ix, Now now) {
  Job& job = jobs_[ix];
  drop_lease(job);
  if (job.cancelling) {
    confirm_cancel(ix, now);
    return;
  }
  move(job, Move::kHandBack);
  // A running mark under way to the store must be taken back.
  if (job.stored != State::kQueued || job.staged) mark_dirty(ix);
  lanes_.push_front(ix);
  if (job.expires != Wall{}) {
    const Millis left = std::max(Millis{0}, job.expires - now.wall);
    timers_.set({now.steady + left, job.id.tail(), ix, 0, Timers::Kind::kExpire});
  }
}

void Engine::confirm_cancel(JobIx ix, Now now) {
  jobs_[ix].cancelling = false;
  finish(ix, Move::kCancelConfirmed, now);
}

void Engine::on(const ResultsReported& event, Now now, Effects& out) {
  Session* session = hear_worker(event.session, event.sequence, now, out);
  if (!session) return;
  const WorkerIx worker_ix = session->worker;
  Worker& worker = fleet_[worker_ix];
  if (event.sequence > worker.last_sequence() + 1) {
    out.refusals.push_back({event.session, Code::kInvalidArgument, event.sequence, Millis{0},
                            "sequence skips a number"});
    return;
  }
  if (event.sequence <= worker.last_sequence()) {
    out.acks.push_back({event.session, worker.settled});
    return;
  }
  worker.unsettled.push_back(0);
  for (const ResultReport& report : event.results) {
    const JobIx ix = jobs_.find(report.job);
    const bool leased = ix != kNoJob && jobs_[ix].lease != kNoLease &&
                        fleet_[jobs_[ix].lease].token == report.token &&
                        fleet_[jobs_[ix].lease].worker == worker_ix;
    if (!leased) {
      ++stale_results_;
      out.lease_refusals.push_back({event.session, report.token, Code::kStaleLease});
      const FinishedJobs::Entry* ended = ix == kNoJob ? finished_.find(report.job) : nullptr;
      if (ix != kNoJob && jobs_[ix].stored != State::kNone) {
        if (stale_notes_.size() < kMaxStaleNotes) stale_notes_.push_back(report.job);
        ++delta(lanes_.queue_of(jobs_[ix])).stale_results;
      } else if (ended) {
        if (stale_notes_.size() < kMaxStaleNotes) stale_notes_.push_back(report.job);
        ++delta(ended->queue).stale_results;
      }
      continue;
    }
    Job& job = jobs_[ix];
    worker.held_up = false;
    if (report.outcome == Outcome::kHandedBack) {
      give_back(ix, now);
      continue;
    }
    double& run_us = lanes_[lanes_.type_of(job)].run_us;
    const double seen = static_cast<double>(report.run.count()) + kWorkerCostUs;
    run_us = run_us == 0 ? seen : run_us + kEstimateWeight * (seen - run_us);
    if (report.outcome == Outcome::kSucceeded) {
      succeed(ix, report, now);
    } else if (report.outcome == Outcome::kCancelled && job.cancelling) {
      drop_lease(job);
      ++job.attempts;
      confirm_cancel(ix, now);
    } else {
      Failed failed;
      failed.outcome = report.outcome;
      failed.error_type = report.error_type;
      failed.error_message = report.error_message;
      failed.retryable = report.error_retryable;
      failed.asked = report.retry_delay;
      failed.run = report.run;
      failed.started = report.started;
      failed.error = report.payload;
      fail(ix, failed, now);
    }
    job.ack_session = event.session;
    job.ack_sequence = static_cast<std::uint32_t>(event.sequence);
    ++worker.unsettled.back();
  }
  if (worker.unsettled.front() == 0 && !worker.ack_pending) {
    worker.ack_pending = true;
    to_acknowledge_.push_back(worker_ix);
  }
  acknowledge(out);
}

void Engine::on(const HandedBack& event, Now now, Effects& out) {
  Session* session = hear_worker(event.session, 0, now, out);
  if (!session) return;
  const WorkerIx worker = session->worker;
  std::vector<JobIx> jobs;
  bool asked = true;
  for (LeaseIx lease = fleet_[worker].youngest; lease != kNoLease; lease = fleet_[lease].previous) {
    const LeaseToken& token = fleet_[lease].token;
    if (std::find(event.tokens.begin(), event.tokens.end(), token) != event.tokens.end()) {
      jobs.push_back(fleet_[lease].job);
      const Job& job = jobs_[fleet_[lease].job];
      asked = asked && (fleet_[lease].recalled || job.cancelling ||
                        lanes_[lanes_.queue_of(job)].settings.paused);
    }
  }
  // It is about to stop. Given them again, it would hand them back again.
  if (!asked) fleet_[worker].declined_at = now.steady;
  for (const JobIx ix : jobs) give_back(ix, now);
}

}  // namespace jobwire::core
