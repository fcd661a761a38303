// SPDX-License-Identifier: Apache-2.0
// What producers ask for: submit, results, cancel.
#include <algorithm>

#include "core/admission.h"
#include "core/engine.h"
#include "core/obstacles.h"

namespace jobwire::core {
namespace {

constexpr Millis kRetrySoon{200};
constexpr Millis kRetryLater{1'000};
/// A batch that is under way for longer: whoever finds no place is told that the store is away. The
/// store itself, which must not give up a slow one, waits longer.
constexpr Millis kStoreIsSilent{1'000};
constexpr std::size_t kMaxWatchers = 64;
constexpr std::size_t kMaxDedups = 1'000'000;

}  // namespace

void Engine::on(const Submitted& event, Now now, Effects& out) {
  Session* session = hear(event.session, 0, now, out);
  if (!session) return;
  for (const Submission& job : event.jobs) submit(event.session, *session, job, now, out);
}

void Engine::refuse(SessionId id, const Submission& job, Code code, const char* field,
                    const char* message, Millis retry_after, Effects& out) const {
  ReceiptOut receipt;
  receipt.session = id;
  receipt.id = receipt.job = job.id;
  receipt.code = code;
  receipt.retry_after = retry_after;
  receipt.field = field;
  receipt.message = message;
  out.receipts.push_back(receipt);
}

bool Engine::answer_known(SessionId id, const Submission& submission, Effects& out) {
  const JobIx ix = jobs_.find(submission.id);
  if (ix != kNoJob) {
    Job& job = jobs_[ix];
    // A replay may have moved it since it was submitted.
    const bool moved = job.extra && job.extra->origin != kNoQueue;
    const bool here = lanes_.name(lanes_.queue_of(job)) == submission.queue ||
                      (moved && lanes_.name(job.extra->origin) == submission.queue);
    if (!here || lanes_.name(lanes_.type_of(job)) != submission.type) {
      refuse(id, submission, Code::kDuplicateMismatch, "id", "known, for another queue or type",
             Millis{0}, out);
      return true;
    }
    if (submission.watch && !can_watch(job, id)) {
      refuse(id, submission, Code::kQuotaExceeded, "watch", "watched by too many", kRetryLater,
             out);
      return true;
    }
    if (submission.watch) watch(job, id);
    if (job.stored != State::kNone) {
      receipt(id, job, true, out);
    } else if (job.submitter != id) {
      std::vector<SessionId>& waiters = job.more().receipt_waiters;
      if (std::find(waiters.begin(), waiters.end(), id) == waiters.end()) {
        if (waiters.size() < kMaxWatchers) {
          waiters.push_back(id);
        } else {
          refuse(id, submission, Code::kWindowFull, "id", "submitted by too many at once",
                 kRetrySoon, out);
        }
      }
    }
    return true;
  }
  if (const FinishedJobs::Entry* entry = finished_.find(submission.id)) {
    if (!entry->moved && lanes_.name(entry->queue) != submission.queue) {
      refuse(id, submission, Code::kDuplicateMismatch, "id", "known, for another queue", Millis{0},
             out);
      return true;
    }
    ReceiptOut known;
    known.session = id;
    known.id = known.job = submission.id;
    known.duplicate = true;
    known.state = entry->state;
    out.receipts.push_back(known);
    if (submission.watch) out.result_reads.push_back({id, 0, submission.id});
    return true;
  }
  return false;
}

std::optional<Code> Engine::full(const Session& session, std::string_view name, std::uint64_t bytes,
                                 Now now) const {
  if (session.unreceipted >= config_.window_jobs ||
      session.unreceipted_bytes + bytes > config_.window_bytes ||
      unstored_jobs_ >= config_.max_unstored_jobs ||
      unstored_bytes_ + bytes > config_.max_unstored_bytes) {
    const bool silent = batch_under_way_ && now.steady - staged_at_ >= kStoreIsSilent;
    return store_away_ || silent ? Code::kStoreUnavailable : Code::kWindowFull;
  }
  auto& lanes = const_cast<Lanes&>(lanes_);
  const auto known = lanes.queue_names().find(name);
  const std::uint64_t jobs = known ? lanes[QueueIx{*known}].jobs : 0;
  const std::uint64_t held = known ? lanes[QueueIx{*known}].bytes : 0;
  if (jobs >= config_.max_queue_jobs || held + bytes > config_.max_queue_bytes)
    return Code::kQueueFull;
  return std::nullopt;
}

bool Engine::too_many_contracts(std::string_view type, std::uint64_t contract) {
  const auto known = lanes_.type_names().find(type);
  if (!known) return false;
  const std::vector<std::uint64_t>& contracts = lanes_[TypeIx{*known}].contracts;
  return contracts.size() >= config_.max_contracts &&
         std::find(contracts.begin(), contracts.end(), contract) == contracts.end();
}

void Engine::submit(SessionId id, Session& session, const Submission& job, Now now, Effects& out) {
  if (const auto objection = examine(job, now.wall)) {
    refuse(id, job, objection->code, objection->field, objection->message, Millis{0}, out);
    return;
  }
  if (answer_known(id, job, out)) return;
  if (job.objection) {
    refuse(id, job, Code::kInvalidArgument, "payload", job.objection, Millis{0}, out);
    return;
  }
  if (shutting_down_) {
    refuse(id, job, Code::kShuttingDown, "", "the broker is stopping", kRetryLater, out);
    return;
  }
  if (store_scarce_ || now.steady < store_full_until_) {
    refuse(id, job, Code::kStoreFull, "", "the store has no room", kRetryLater, out);
    return;
  }

  if (const auto known = lanes_.queue_names().find(job.queue)) {
    const QueueSettings& settings = lanes_[QueueIx{*known}].settings;
    if (settings.draining) {
      const bool ends = settings.until != Wall{};
      refuse(id, job, Code::kQueuePaused, "queue", "the queue is closed for intake",
             ends ? std::max(Millis(1), settings.until - now.wall) : Millis{0}, out);
      return;
    }
  }

  const bool dedups = job.options && !job.options->dedup_key.empty();
  if (dedups) {
    const auto holder = dedups_.find(job.options->dedup_key);
    if (holder != dedups_.end() && holder->second.until > now.steady) {
      ReceiptOut known;
      known.session = id;
      known.id = job.id;
      known.job = holder->second.job;
      known.duplicate = true;
      const JobIx held = jobs_.find(known.job);
      if (held != kNoJob && jobs_[held].stored == State::kNone) {
        // Its holder may still be refused by the store: no promise before that is known.
        refuse(id, job, Code::kWindowFull, "dedup_key", "held by a job that is being stored",
               kRetrySoon, out);
        return;
      }
      known.state =
          held != kNoJob ? shown(jobs_[held]) : state_of(known.job).value_or(State::kNone);
      out.receipts.push_back(known);
      return;
    }
    if (dedups_.size() >= kMaxDedups) {
      refuse(id, job, Code::kQuotaExceeded, "dedup_key", "too many keys are held", kRetryLater,
             out);
      return;
    }
  }

  const bool new_queue = !lanes_.queue_names().find(job.queue);
  if (new_queue && lanes_.queue_names().size() >= config_.max_queues) {
    refuse(id, job, Code::kQuotaExceeded, "queue", "too many queues", Millis{0}, out);
    return;
  }
  if (!lanes_.type_names().find(job.type) && lanes_.type_names().size() >= config_.max_types) {
    refuse(id, job, Code::kQuotaExceeded, "type", "too many types", Millis{0}, out);
    return;
  }
  const std::uint64_t contract = job.options ? job.options->contract : 0;
  if (contract != 0 && too_many_contracts(job.type, contract)) {
    refuse(id, job, Code::kQuotaExceeded, "contract", "too many contracts of this type", Millis{0},
           out);
    return;
  }
  Wall due = std::max(now.wall + Millis(static_cast<Millis::rep>(job.delay_ms)),
                      Wall(Millis(job.not_before_ms)));
  const Wall expires{Millis(job.expires_at_ms)};
  if (job.expires_at_ms != 0 && due >= expires) {
    refuse(id, job, Code::kInvalidArgument, "expires_at_ms", "before the job may start", Millis{0},
           out);
    return;
  }
  if (const auto code = full(session, job.queue, job.payload.size(), now)) {
    refuse(id, job, *code, "", "", *code == Code::kQueueFull ? kRetryLater : kRetrySoon, out);
    return;
  }

  const QueueIx queue_ix = lanes_.queue(job.queue);
  const JobIx ix = jobs_.insert(job.id);
  Job& fresh = jobs_[ix];
  const bool delayed = due > now.wall;
  fresh.lane = lanes_.lane(queue_ix, lanes_.type(job.type), contract);
  move(fresh, delayed ? Move::kSubmitDelayed : Move::kSubmit);
  fresh.encoding = job.encoding;
  fresh.priority = job.priority;
  fresh.keep_payload = job.keep_payload;
  fresh.timeout_ms = static_cast<std::uint32_t>(job.timeout_ms);
  fresh.created = now.wall;
  if (delayed) fresh.due = due;
  fresh.by_the_clock = delayed && due == Wall(Millis(job.not_before_ms));
  fresh.expires = expires;
  fresh.payload = Bytes::copy_of(job.payload);
  fresh.payload_size = static_cast<std::uint32_t>(job.payload.size());
  fresh.submitter = id;
  if (job.watch) fresh.watcher = id;
  if (job.options) fresh.more().options = job.options;
  if (dedups) {
    const Steady until = now.steady + job.options->dedup_window;
    dedups_[job.options->dedup_key] = {job.id, until};
    dedup_ends_.emplace(until, job.options->dedup_key);
  }
  make_resident(fresh, true);
  ++session.unreceipted;
  session.unreceipted_bytes += fresh.payload_size;
  ++unstored_jobs_;
  unstored_bytes_ += fresh.payload_size;
  Queue& queue = lanes_[queue_ix];
  ++queue.jobs;
  queue.bytes += fresh.payload_size;
  fresh.round = queue.purge_round;
  mark_dirty(ix);
}

bool Engine::can_watch(Job& job, SessionId session) {
  if (job.watcher == session || !sessions_.contains(job.watcher) || !job.extra) return true;
  std::vector<SessionId>& watchers = job.extra->watchers;
  if (std::find(watchers.begin(), watchers.end(), session) != watchers.end()) return true;
  // Those whose sessions have ended make room first.
  std::erase_if(watchers, [&](SessionId watcher) { return !sessions_.contains(watcher); });
  return watchers.size() < kMaxWatchers;
}

void Engine::watch(Job& job, SessionId session) {
  if (job.watcher == session) return;
  if (!sessions_.contains(job.watcher)) {
    job.watcher = session;
    return;
  }
  std::vector<SessionId>& watchers = job.more().watchers;
  if (std::find(watchers.begin(), watchers.end(), session) == watchers.end())
    watchers.push_back(session);
}

State Engine::shown(const Job& job) {
  if (!is_final(job.state) || job.stored == job.state) return job.state;
  if (job.state == State::kSucceeded || job.state == State::kDead) return State::kRunning;
  return job.stored == State::kNone ? State::kQueued : job.stored;
}

ResultOut Engine::view(const Job& job) const {
  ResultOut out;
  out.id = job.id;
  out.state = shown(job);
  const bool ended = is_final(out.state);
  out.known = ended                          ? Known::kFinal
              : out.state == State::kRunning ? Known::kRunning
                                             : Known::kWaiting;
  out.attempts = job.attempts;
  out.created = job.created;
  out.started = job.started;
  if (ended) {
    out.finished = job.finished;
    out.run = Micros(job.run_us);
    out.reason = job.reason;
    if (job.state == State::kSucceeded) {
      out.encoding = job.result_encoding;
      out.result = job.payload;
    }
  }
  if (out.state != State::kSucceeded && job.extra && job.extra->last_failure) {
    out.error = job.extra->last_failure->error;
    auto words = std::make_shared<ErrorText>();
    words->type = job.extra->last_failure->error_type;
    words->message = job.extra->last_failure->error_message;
    words->retryable = job.reason != DeadReason::kRejected;
    out.error_text = std::move(words);
  }
  return out;
}

void Engine::on(const ResultsAsked& event, Now now, Effects& out) {
  if (!hear(event.session, event.request, now, out)) return;
  Obstacles obstacles(lanes_, fleet_);
  for (const JobId& id : event.ids) {
    const JobIx ix = event.wait ? jobs_.find(id) : kNoJob;
    if (ix == kNoJob || can_watch(jobs_[ix], event.session)) continue;
    out.refusals.push_back({event.session, Code::kQuotaExceeded, event.request, kRetryLater,
                            "a job of these is watched by too many"});
    return;
  }
  for (const JobId& id : event.ids) {
    const JobIx ix = jobs_.find(id);
    if (ix == kNoJob && finished_.find(id)) {
      out.result_reads.push_back({event.session, event.request, id});
      continue;
    }
    ResultOut answer;
    if (ix != kNoJob) {
      answer = view(jobs_[ix]);
      if (answer.state == State::kQueued) answer.obstacle = obstacles.before(jobs_[ix]);
      if (event.wait && answer.known != Known::kFinal) watch(jobs_[ix], event.session);
    } else {
      answer.id = id;
      const Wall horizon = std::max(finished_.gone_before(), now.wall - config_.keep_finished);
      answer.known = made_at(id) < horizon ? Known::kGone : Known::kUnknown;
    }
    answer.session = event.session;
    answer.request = event.request;
    out.results.push_back(std::move(answer));
    if (ix != kNoJob && progress_.has(ix)) answer_progress(ix, event.session, out);
  }
}

void Engine::on(const CancelAsked& event, Now now, Effects& out) {
  if (!hear(event.session, event.request, now, out)) return;
  for (const JobId& id : event.ids) {
    const JobIx ix = jobs_.find(id);
    if (ix != kNoJob) {
      cancel(event, ix, now, out);
      continue;
    }
    CancelReplyOut reply{event.session, event.request, id, Code::kUnknownJob, State::kNone};
    if (const FinishedJobs::Entry* entry = finished_.find(id)) {
      reply.code = Code::kAlreadyFinal;
      reply.state = entry->state;
    } else if (made_at(id) < std::max(finished_.gone_before(), now.wall - config_.keep_finished)) {
      reply.code = Code::kGoneJob;
    }
    out.cancel_replies.push_back(reply);
  }
}

void Engine::cancel(const CancelAsked& event, JobIx ix, Now now, Effects& out) {
  Job& job = jobs_[ix];
  std::vector<CancelWaiter>& waiters = job.more().cancel_waiters;
  if (waiters.size() >= kMaxWatchers) {
    out.cancel_replies.push_back(
        {event.session, event.request, job.id, Code::kTooMany, shown(job)});
    return;
  }
  waiters.push_back({event.session, event.request});
  if (is_final(job.state)) return;  // answered when the end is stored
  if (!job.extra->cancel_reason && !event.reason.empty())
    job.extra->cancel_reason = Bytes::copy_of(event.reason);
  if (job.state != State::kRunning) {
    finish(ix, Move::kCancel, now);
    return;
  }
  if (job.cancelling) return;
  job.cancelling = true;
  // A worker that has not come back since a restart is asked when it is; else the end of the
  // adoption window decides.
  if (job.lease != kNoLease) ask_to_stop(job, out);
}

void Engine::ask_to_stop(const Job& job, Effects& out) {
  const Lease& lease = fleet_[job.lease];
  const Worker& worker = fleet_[lease.worker];
  // The worker gives it back if it has not begun; the agent stops it if it has.
  if (worker.connected) recall(job.lease, out);
  const auto host = fleet_.hosts().find(worker.host);
  const SessionId agent = host != fleet_.hosts().end() ? host->second.session : worker.session;
  if (agent != SessionId{})
    out.cancel_leases.push_back({agent, lease.token, worker.number, config_.cancel_grace});
}

}  // namespace jobwire::core
