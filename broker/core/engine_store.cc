// SPDX-License-Identifier: Apache-2.0
// What is written, and what was kept back until it was.
#include <algorithm>
#include <cassert>

#include "core/engine.h"

namespace jobwire::core {
namespace {

/// A record's size in a batch without its payload or result; only bounds are made of it.
constexpr std::uint64_t kRecordBytes = 300;
constexpr Millis kRetryRejected{200};
constexpr std::size_t kWordsKept = 1'024;
constexpr Millis kFullFor{1'000};

/// What workers reported: results and errors.
std::uint64_t report_bytes_of(const JobWrite& write) {
  std::uint64_t bytes = write.job.result.size();
  for (const Attempt& attempt : write.attempts) bytes += attempt.error.size();
  return bytes;
}

std::uint64_t bytes_of(const JobWrite& write) {
  std::uint64_t bytes = kRecordBytes + write.job.payload.size() + report_bytes_of(write);
  for (const Attempt& attempt : write.attempts) bytes += attempt.error_message.size();
  return bytes;
}

/// A queue's counters are made of what is written, and written with it: they fit the jobs whatever
/// is refused or lost.
void count(const JobWrite& write, QueueDelta& counters) {
  if (write.stored == State::kNone) ++counters.submitted;
  counters.failed_attempts += static_cast<std::uint32_t>(write.attempts.size());
  switch (write.job.state) {
    case State::kSucceeded:
      ++counters.succeeded;
      break;
    case State::kDead:
      ++counters.dead;
      break;
    case State::kExpired:
      ++counters.expired;
      break;
    case State::kCancelled:
      ++counters.cancelled;
      break;
    case State::kNone:
    case State::kScheduled:
    case State::kQueued:
    case State::kRunning:
      break;
  }
}

/// The store has the error now: of a job that waits for its next attempt memory keeps the words.
void forget_error(JobExtra& extra) {
  const Attempt& last = *extra.last_failure;
  if (!last.error && last.error_message.size() <= kWordsKept) return;
  auto words = std::make_shared<Attempt>(last);
  words->error = Bytes{};
  std::size_t end = std::min(words->error_message.size(), kWordsKept);
  if (end < words->error_message.size()) {  // not inside a UTF-8 character
    while (end > 0 && (static_cast<unsigned char>(words->error_message[end]) & 0xc0) == 0x80) --end;
  }
  words->error_message.resize(end);
  words->error_message.shrink_to_fit();
  extra.last_failure = std::move(words);
}

}  // namespace

QueueDelta& Engine::delta(QueueIx ix) {
  Queue& queue = lanes_[ix];
  if (!queue.changed) {
    queue.changed = true;
    changed_queues_.push_back(ix);
  }
  return queue.delta;
}

void Engine::mark_dirty(JobIx ix) {
  Job& job = jobs_[ix];
  if (job.dirty) return;
  job.dirty = true;
  dirty_.push_back(ix);
}

void Engine::make_resident(Job& job, bool resident) {
  if (job.resident == resident || job.payload_size == 0) return;
  job.resident = resident;
  if (resident) {
    resident_bytes_ += job.payload_size;
  } else {
    resident_bytes_ -= job.payload_size;
  }
}

void Engine::take_late_marks(Now now) {
  while (!late_marks_.empty() && late_marks_.front().due <= now.steady) {
    const LateMark mark = late_marks_.front();
    late_marks_.pop_front();
    const Job& job = jobs_[mark.job];
    if (job.id.tail() != mark.id_tail) continue;
    const bool runs = job.state == State::kRunning && job.lease != kNoLease &&
                      fleet_[job.lease].token == mark.token;
    const bool waits =
        mark.token.is_zero() && job.state == State::kQueued && job.stored != State::kQueued;
    if (runs || waits) mark_dirty(mark.job);
  }
}

bool Engine::has_batch(Now now) const {
  if (batch_under_way_ || store_away_ || now.steady < retry_batch_at_) return false;
  return !dirty_.empty() || !queue_changes_.empty() || contract_change_ ||
         !changed_queues_.empty() || !host_writes_.empty() || !declared_types_.empty() ||
         !stale_notes_.empty() || progress_.has_writes() || checkpoints_.has_writes() ||
         finished_.has_work(now.wall);
}

void Engine::write_of(JobIx ix, JobWrite& write) {
  Job& job = jobs_[ix];
  JobRecord& record = write.job;
  write.stored = job.stored;
  record.id = job.id;
  record.queue = lanes_.name(lanes_.queue_of(job));
  record.type = lanes_.name(lanes_.type_of(job));
  record.state = job.state;
  record.encoding = job.encoding;
  record.priority = job.priority;
  record.keep_payload = job.keep_payload;
  record.payload_size = job.payload_size;
  record.timeout = Millis(job.timeout_ms);
  record.created = job.created;
  if (job.state == State::kScheduled) record.due = job.due;
  record.expires = job.expires;
  record.attempts = job.attempts;
  record.raised = job.raised;
  record.timed_out = job.timed_out;
  record.crashed = job.crashed;
  record.generation = job.generation;
  if (job.stored == State::kNone && job.state != State::kSucceeded) record.payload = job.payload;
  if (job.extra) {
    record.options = job.extra->options;
    if (job.extra->origin != kNoQueue) record.origin = lanes_.name(job.extra->origin);
    if (job.extra->stored_in != kNoQueue) write.stored_queue = lanes_.name(job.extra->stored_in);
    write.attempts = std::move(job.extra->unstored_attempts);
    job.extra->unstored_attempts.clear();
  }
  if (job.state == State::kRunning && job.lease != kNoLease) {
    record.token = fleet_[job.lease].token;
    record.worker = fleet_[fleet_[job.lease].worker].label;
    record.started = job.started;
  }
  if (is_final(job.state)) {
    if (job.extra) record.worker = job.extra->ended_at;
    record.started = job.started;
    record.finished = job.finished;
    record.run = Micros(job.run_us);
    record.reason = job.reason;
    if (job.extra && job.state == State::kCancelled)
      record.cancel_reason = job.extra->cancel_reason;
    if (job.state == State::kSucceeded) {
      record.result = job.payload;
      record.result_encoding = job.result_encoding;
    }
    // A dead job keeps its payload: it may be replayed.
    write.drop_payload = !job.keep_payload && job.state != State::kDead;
  }
}

const Batch& Engine::stage(Now now) {
  assert(has_batch(now));
  batch_ = Batch{};
  staged_.clear();
  batch_.sequence = sequence_ + 1;
  batch_.now = now.wall;
  std::uint64_t bytes = 0;
  while (!dirty_.empty() && batch_.jobs.size() < config_.max_batch_jobs &&
         bytes < config_.max_batch_bytes) {
    const JobIx ix = dirty_.front();
    dirty_.pop_front();
    Job& job = jobs_[ix];
    job.dirty = false;
    const bool nothing_new = job.stored == job.state && job.state != State::kRunning &&
                             (!job.extra || job.extra->unstored_attempts.empty());
    if (nothing_new) continue;
    staged_.push_back({ix, job.state, job.stored == State::kNone, job.ack_session, job.ack_sequence,
                       0, job.sweep});
    job.ack_session = SessionId{};
    job.sweep = 0;
    job.staged = true;
    batch_.jobs.emplace_back();
    write_of(ix, batch_.jobs.back());
    count(batch_.jobs.back(), delta(lanes_.queue_of(job)));
    if (progress_.has(ix)) progress_.take_write(ix, jobs_, batch_.progress);
    if (checkpoints_.has(ix)) checkpoints_.take_write(ix, jobs_, batch_.checkpoints);
    staged_.back().report_bytes = report_bytes_of(batch_.jobs.back());
    bytes += bytes_of(batch_.jobs.back());
  }
  progress_.take_writes(config_.max_batch_jobs -
                            std::min<std::size_t>(config_.max_batch_jobs, batch_.progress.size()),
                        jobs_, batch_.progress);
  checkpoints_.take_writes(config_.max_batch_jobs, bytes, config_.max_batch_bytes, jobs_,
                           batch_.checkpoints);
  std::vector<FinishedJobs::Removal> removals;
  finished_.collect(now.wall, config_.max_batch_removals, removals);
  for (const auto& removal : removals) {
    batch_.removals.push_back(
        {removal.id, lanes_.name(removal.queue), removal.state, removal.own_ttl});
  }
  if (!removals.empty()) batch_.gone_before = finished_.gone_before(removals, now.wall);
  for (const QueueIx ix : changed_queues_) {
    Queue& queue = lanes_[ix];
    batch_.queues.push_back(queue.delta);
    queue.delta = QueueDelta{};
    queue.delta.queue = lanes_.name(ix);
    queue.changed = false;
  }
  changed_queues_.clear();
  stage_queue_changes(now);
  for (const TypeIx ix : declared_types_) {
    const JobType& type = lanes_[ix];
    batch_.types.push_back({lanes_.name(ix), Millis(type.timeout_ms), type.retry});
  }
  declared_types_.clear();
  if (contract_change_)
    batch_.contracts.push_back({contract_change_->name, contract_change_->schema});
  batch_.hosts = std::move(host_writes_);
  host_writes_.clear();
  // One that has gone meanwhile must not come back as a record of nothing but a note.
  std::erase_if(stale_notes_,
                [&](const JobId& id) { return jobs_.find(id) == kNoJob && !finished_.find(id); });
  batch_.stale_notes = std::move(stale_notes_);
  stale_notes_.clear();
  batch_under_way_ = true;
  staged_at_ = now.steady;
  return batch_;
}

void Engine::receipt(SessionId session, const Job& job, bool duplicate, Effects& out) const {
  ReceiptOut receipt;
  receipt.session = session;
  receipt.id = receipt.job = job.id;
  receipt.duplicate = duplicate;
  receipt.state = shown(job);
  out.receipts.push_back(receipt);
}

void Engine::note_stored(Job& job, Effects& out) {
  --unstored_jobs_;
  unstored_bytes_ -= job.payload_size;
  const auto session = sessions_.find(job.submitter);
  if (session != sessions_.end()) {
    --session->second.unreceipted;
    session->second.unreceipted_bytes -= job.payload_size;
    receipt(job.submitter, job, false, out);
  }
  job.submitter = SessionId{};
  if (!job.extra) return;
  for (const SessionId waiter : job.extra->receipt_waiters) receipt(waiter, job, true, out);
  job.extra->receipt_waiters.clear();
}

void Engine::arm(JobIx ix, Now now) {
  Job& job = jobs_[ix];
  if (job.state == State::kQueued && !job.linked) {
    lanes_.push_back(ix);
    if (lanes_[job.lane].servers.empty()) note_unserved(job.lane, now);
  } else if (job.state == State::kScheduled) {
    const Millis left = std::max(Millis{0}, job.due - now.wall);
    timers_.set({now.steady + left, job.id.tail(), ix, ++job.timer_stamp, Timers::Kind::kDue});
  }
  if (job.expires != Wall{}) {
    const Millis left = std::max(Millis{0}, job.expires - now.wall);
    timers_.set({now.steady + left, job.id.tail(), ix, 0, Timers::Kind::kExpire});
  }
}

void Engine::settle(SessionId session_id, std::uint64_t sequence) {
  const auto session = sessions_.find(session_id);
  if (session == sessions_.end() || session->second.worker == kNoWorker) return;
  const WorkerIx ix = session->second.worker;
  Worker& worker = fleet_[ix];
  const auto at =
      static_cast<std::uint32_t>(sequence - static_cast<std::uint32_t>(worker.settled + 1));
  if (at >= worker.unsettled.size() || worker.unsettled[at] == 0) return;
  --worker.unsettled[at];
  if (worker.unsettled.front() == 0 && !worker.ack_pending) {
    worker.ack_pending = true;
    to_acknowledge_.push_back(ix);
  }
}

void Engine::acknowledge(Effects& out) {
  for (const WorkerIx ix : to_acknowledge_) {
    Worker& worker = fleet_[ix];
    worker.ack_pending = false;
    if (!worker.alive) continue;
    const std::uint64_t before = worker.settled;
    while (!worker.unsettled.empty() && worker.unsettled.front() == 0) {
      worker.unsettled.pop_front();
      ++worker.settled;
    }
    if (worker.settled != before && worker.connected)
      out.acks.push_back({worker.session, worker.settled});
  }
  to_acknowledge_.clear();
}

void Engine::announce_end(Job& job, Effects& out) const {
  const auto push = [&](SessionId watcher) {
    if (!sessions_.contains(watcher)) return;
    ResultOut result = view(job);
    result.session = watcher;
    result.pushed = true;
    out.results.push_back(std::move(result));
  };
  if (job.watcher != SessionId{}) push(job.watcher);
  if (!job.extra) return;
  for (const SessionId watcher : job.extra->watchers) push(watcher);
  for (const CancelWaiter& waiter : job.extra->cancel_waiters) {
    const Code code = job.state == State::kCancelled ? Code::kNone : Code::kAlreadyFinal;
    out.cancel_replies.push_back({waiter.session, waiter.request, job.id, code, job.state});
  }
}

void Engine::forget(JobIx ix) {
  Job& job = jobs_[ix];
  make_resident(job, false);
  enter(job, State::kNone);
  Queue& queue = lanes_[lanes_.queue_of(job)];
  --queue.jobs;
  queue.bytes -= job.payload_size;
  jobs_.erase(ix);
}

void Engine::stored(const Staged& staged, Now now, Effects& out) {
  Job& job = jobs_[staged.job];
  job.staged = false;
  job.stored = staged.state;
  unstored_report_bytes_ -= staged.report_bytes;
  if (job.extra) job.extra->stored_in = kNoQueue;
  if (staged.sweep != 0) swept(staged.sweep, true);
  if (staged.inserted) note_stored(job, out);
  // Beyond the budget the payloads of jobs that wait stay in the store, and are read again shortly
  // before they are needed.
  const bool waits = staged.inserted || job.state == State::kScheduled;
  if (waits && job.resident && resident_bytes_ > config_.payload_budget) {
    make_resident(job, false);
    job.payload = Bytes{};
  }
  if (staged.ack_session != SessionId{}) settle(staged.ack_session, staged.ack_sequence);
  if (job.lease == kNoLease && progress_.has(staged.job)) progress_.drop(staged.job);
  if (job.extra && job.extra->last_failure && job.extra->unstored_attempts.empty() &&
      !is_final(job.state)) {
    forget_error(*job.extra);
  }
  if (job.state != staged.state) return;  // it has moved on meanwhile, and is dirty again
  if (is_final(job.state)) {
    announce_end(job, out);
    const Millis ttl = job.extra && job.extra->options ? job.extra->options->result_ttl : Millis{0};
    const std::uint32_t bytes = static_cast<std::uint32_t>(
        kRecordBytes + (job.state == State::kSucceeded ? job.payload.size() : 0) +
        (job.keep_payload || job.state == State::kDead ? job.payload_size : 0));
    const bool moved = job.extra && job.extra->origin != kNoQueue;
    finished_.add(job.id, lanes_.queue_of(job), job.state, job.finished, ttl, bytes, moved);
    drop_checkpoint(staged.job, out);
    forget(staged.job);
  } else if (job.lease == kNoLease) {
    arm(staged.job, now);
  }
}

void Engine::on(const BatchCommitted& event, Now now, Effects& out) {
  assert(batch_under_way_ && event.sequence == batch_.sequence);
  (void)event;
  batch_under_way_ = false;
  sequence_ = batch_.sequence;
  std::vector<Staged> staged;
  staged.swap(staged_);
  for (const Staged& write : staged) stored(write, now, out);
  for (const JobRemoval& removal : batch_.removals) {
    finished_.gone(removal.id, now.wall);
    if (dropping_.empty()) continue;
    const auto dropped = dropping_.find(removal.id);
    if (dropped == dropping_.end()) continue;
    swept(dropped->second, true);
    dropping_.erase(dropped);
  }
  // As it was stored: the clock may have been set back since.
  finished_.restore_gone_before(batch_.gone_before);
  queue_changes_committed(now, out);
  checkpoints_committed(out);
  contract_committed(out);
  staged_.swap(staged);
  staged_.clear();
  acknowledge(out);
}

void Engine::tell_unknown(const Job& job, SessionId watcher, Effects& out) const {
  if (watcher == job.submitter || !sessions_.contains(watcher)) return;
  if (job.extra) {
    const std::vector<SessionId>& receipted = job.extra->receipt_waiters;
    if (std::find(receipted.begin(), receipted.end(), watcher) != receipted.end()) return;
  }
  ResultOut answer;
  answer.session = watcher;
  answer.id = job.id;
  answer.known = Known::kUnknown;
  answer.pushed = true;
  out.results.push_back(std::move(answer));
}

void Engine::turn_away(JobIx ix, Code code, Effects& out) {
  const Job& job = jobs_[ix];
  if (job.sweep != 0) swept(job.sweep, false);
  ReceiptOut refusal;
  refusal.id = refusal.job = job.id;
  refusal.code = code;
  refusal.retry_after = kFullFor;
  refusal.message = "the store did not take it";
  const auto session = sessions_.find(job.submitter);
  if (session != sessions_.end()) {
    --session->second.unreceipted;
    session->second.unreceipted_bytes -= job.payload_size;
    refusal.session = job.submitter;
    out.receipts.push_back(refusal);
  }
  tell_unknown(job, job.watcher, out);
  if (job.extra) {
    for (const SessionId waiter : job.extra->receipt_waiters) {
      refusal.session = waiter;
      out.receipts.push_back(refusal);
    }
    for (const SessionId watcher : job.extra->watchers) tell_unknown(job, watcher, out);
    for (const CancelWaiter& waiter : job.extra->cancel_waiters) {
      out.cancel_replies.push_back(
          {waiter.session, waiter.request, job.id, Code::kUnknownJob, State::kNone});
    }
    if (job.extra->options) {
      const auto held = dedups_.find(job.extra->options->dedup_key);
      if (held != dedups_.end() && held->second.job == job.id) dedups_.erase(held);
    }
  }
  if (job.extra) {
    for (const Attempt& attempt : job.extra->unstored_attempts)
      unstored_report_bytes_ -= attempt.error.size();
  }
  --unstored_jobs_;
  unstored_bytes_ -= job.payload_size;
  forget(ix);
}

void Engine::turn_away_unstaged(Code code, Effects& out) {
  const auto first_new = std::stable_partition(dirty_.begin(), dirty_.end(), [&](JobIx ix) {
    return jobs_[ix].stored != State::kNone || jobs_[ix].staged;
  });
  const std::vector<JobIx> fresh(first_new, dirty_.end());
  dirty_.erase(first_new, dirty_.end());
  for (const JobIx ix : fresh) turn_away(ix, code, out);
}

void Engine::on(const BatchRejected& event, Now now, Effects& out) {
  assert(batch_under_way_ && event.sequence == batch_.sequence);
  batch_under_way_ = false;
  retry_batch_at_ = now.steady + kRetryRejected;
  if (event.code == Code::kStoreFull) {
    // Whatever makes room must not be turned down together with new jobs: none come into a batch
    // for a while.
    store_full_until_ = now.steady + kFullFor;
    turn_away_unstaged(event.code, out);
  }
  for (std::size_t i = 0; i < staged_.size(); ++i) {
    const Staged& write = staged_[i];
    Job& job = jobs_[write.job];
    job.staged = false;
    if (write.sweep != 0) job.sweep = write.sweep;
    if (write.inserted) {
      unstored_report_bytes_ -= write.report_bytes;
      if (job.dirty) std::erase(dirty_, write.job);
      turn_away(write.job, event.code, out);
      continue;
    }
    if (write.ack_session != SessionId{}) {
      job.ack_session = write.ack_session;
      job.ack_sequence = static_cast<std::uint32_t>(write.ack_sequence);
    }
    if (!batch_.jobs[i].attempts.empty()) {
      std::vector<Attempt>& again = job.more().unstored_attempts;
      again.insert(again.begin(), std::make_move_iterator(batch_.jobs[i].attempts.begin()),
                   std::make_move_iterator(batch_.jobs[i].attempts.end()));
    }
    mark_dirty(write.job);
  }
  staged_.clear();
  // What was to go, goes later. What was refused is counted when it is written.
  for (const JobRemoval& removal : batch_.removals) {
    finished_.put_back({removal.id, lanes_.queue(removal.queue), removal.state, true});
  }
  for (const QueueDelta& lost : batch_.queues) {
    if (lost.stale_results > 0) delta(lanes_.queue(lost.queue)).stale_results += lost.stale_results;
  }
  queue_changes_rejected(event.code, out);
  contract_rejected(event.code, out);
  // Before those that were noted meanwhile: the last word counts.
  std::erase_if(batch_.hosts, [&](const HostWrite& older) {
    return std::any_of(host_writes_.begin(), host_writes_.end(),
                       [&](const HostWrite& newer) { return newer.id == older.id; });
  });
  host_writes_.insert(host_writes_.begin(), std::make_move_iterator(batch_.hosts.begin()),
                      std::make_move_iterator(batch_.hosts.end()));
  stale_notes_.insert(stale_notes_.end(), batch_.stale_notes.begin(), batch_.stale_notes.end());
  for (const TypeWrite& lost : batch_.types) note_declared(lanes_.type(lost.type));
  checkpoints_rejected();
  for (const ProgressWrite& lost : batch_.progress) {
    const JobIx ix = jobs_.find(lost.id);
    if (ix != kNoJob && progress_.has(ix)) progress_.write_again(ix, now.steady);
  }
}

void Engine::on(const StoreWentAway&, Now, Effects&) { store_away_ = true; }

void Engine::on(const StoreCameBack&, Now, Effects&) { store_away_ = false; }

void Engine::on(const StoreRoomChanged& event, Now, Effects& out) {
  store_scarce_ = event.scarce;
  // What waits to be stored may be more than the reserve.
  if (event.scarce) turn_away_unstaged(Code::kStoreFull, out);
}

void Engine::on(const ShutdownBegun&, Now, Effects&) {
  shutting_down_ = true;
  stop_sweeps({}, Code::kShuttingDown, "the broker is stopping");
}

}  // namespace jobwire::core
