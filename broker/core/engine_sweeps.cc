// SPDX-License-Identifier: Apache-2.0
// Walks over many jobs, in slices: purge of what waits, replay and drop of what is dead.
#include <algorithm>
#include <cassert>

#include "core/admission.h"
#include "core/engine.h"

namespace jobwire::core {
namespace {

constexpr Millis kRetryLater{1'000};
constexpr Millis kReportEvery{1'000};
constexpr std::size_t kMaxBy = 128;
constexpr std::size_t kMaxWhy = 1'024;
constexpr std::size_t kMaxError = 1'024;
/// Slots looked at in one turn, by all sweeps: under a millisecond.
constexpr std::uint32_t kLooksPerTurn = 4'096;
constexpr std::uint32_t kDeadPerScan = 256;

const char* name_of(SweepAction action) {
  switch (action) {
    case SweepAction::kPurge:
      return "purge";
    case SweepAction::kReplay:
      return "replay";
    case SweepAction::kDrop:
      return "drop";
    case SweepAction::kNone:
      break;
  }
  return "?";
}

Objection invalid(const char* field, const char* message) {
  return {Code::kInvalidArgument, field, message};
}

std::string describe(const Sweep& sweep) {
  std::string text = name_of(sweep.action);
  if (sweep.dry_run) text = "dry run of a " + text;
  if (!sweep.filter.queue.empty()) text += " of queue " + sweep.filter.queue;
  return text + " by " + sweep.by;
}

}  // namespace

std::optional<Objection> Engine::objection_to(const SweepAsked& asked) const {
  auto& lanes = const_cast<Lanes&>(lanes_);
  const JobFilter& filter = asked.filter;
  if (asked.by.empty() || asked.by.size() > kMaxBy) return invalid("by", "by: 1 to 128 bytes");
  if (asked.why.size() > kMaxWhy) return invalid("why", "why: at most 1024 bytes");
  if (filter.error.size() > kMaxError) return invalid("filter.error", "error: at most 1024 bytes");
  if (filter.before < Wall{}) return invalid("filter.before_ms", "before_ms: not negative");
  if (asked.action == SweepAction::kPurge) {
    if (filter.queue.empty()) return invalid("filter.queue", "queue: a purge names one");
    if (filter.reason != DeadReason::kNone || !filter.error.empty())
      return invalid("filter", "reason, error: what waits has none");
  }
  if (!filter.queue.empty() && !lanes.queue_names().find(filter.queue)) {
    return Objection{Code::kUnknownQueue, "filter.queue", "no queue of that name was ever used"};
  }
  if (asked.to_queue.empty()) return std::nullopt;
  if (asked.action != SweepAction::kReplay) return invalid("to_queue", "to_queue: for a replay");
  if (!is_name(asked.to_queue))
    return Objection{Code::kInvalidName, "to_queue", "to_queue: no name"};
  return std::nullopt;
}

void Engine::on(const SweepAsked& asked, Now now, Effects& out) {
  if (!hear(asked.session, asked.request, now, out)) return;
  const auto refuse_it = [&](Code code, const char* message, Millis retry_after) {
    SweepReportOut report;
    report.session = asked.session;
    report.request = asked.request;
    report.code = code;
    report.message = message;
    report.retry_after = retry_after;
    report.finished = true;
    out.sweep_reports.push_back(report);
  };
  if (const auto objection = objection_to(asked))
    return refuse_it(objection->code, objection->message, Millis{0});
  if (shutting_down_) return refuse_it(Code::kShuttingDown, "the broker is stopping", kRetryLater);
  const auto queue = lanes_.queue_names().find(asked.filter.queue);
  const bool purges = asked.action == SweepAction::kPurge;
  if (purges && lanes_[QueueIx{*queue}].purging)
    return refuse_it(Code::kQuotaExceeded, "the queue is being purged", kRetryLater);
  const std::uint8_t slot = sweeps_.add(asked, now);
  if (slot == 0) return refuse_it(Code::kQuotaExceeded, "16 sweeps are under way", kRetryLater);
  Sweep& sweep = *sweeps_.find(slot);
  if (purges) {
    lanes_[QueueIx{*queue}].purging = true;
    ++lanes_[QueueIx{*queue}].purge_round;
    sweep.end = jobs_.slots();
  } else if (queue) {
    sweep.queues.push_back(QueueIx{*queue});
  } else {
    for (std::uint32_t q = lanes_.queues(); q-- > 0;) {
      if (finished_.dead(QueueIx{q}) > 0) sweep.queues.push_back(QueueIx{q});
    }
  }
  std::string line = describe(sweep) + " begins";
  if (!sweep.why.empty()) line += ": " + sweep.why;
  log(out, Severity::kInfo, std::move(line));
  report(sweep, false, out);
}

void Engine::report(const Sweep& sweep, bool finished, Effects& out) const {
  SweepReportOut report;
  report.session = sweep.session;
  report.request = sweep.request;
  report.matched = sweep.matched;
  report.done = sweep.done;
  report.failed = sweep.failed;
  report.before = sweep.filter.before;
  report.finished = finished;
  if (finished) {
    report.code = sweep.stopped;
    report.message = sweep.stop_message;
  }
  out.sweep_reports.push_back(report);
}

void Engine::stop_sweeps(SessionId session, Code code, const char* message) {
  sweeps_.for_each([&](std::uint8_t, Sweep& sweep) {
    if (session != SessionId{} && sweep.session != session) return;
    if (sweep.stopped != Code::kNone || sweep.walked) return;
    sweep.stopped = code;
    sweep.stop_message = message;
  });
}

std::uint64_t Engine::allowance(Sweep& sweep, Now now) const {
  if (sweep.dry_run) return UINT64_MAX;
  // A quarter of a batch: others do not wait behind it, nor do the removals that a purge brings
  // about once more jobs have ended than are kept. Redis is held for under a millisecond at once.
  const std::uint64_t slice = std::max(1U, config_.max_batch_jobs / 4);
  if (sweep.outstanding >= slice) return 0;
  return std::min(sweep.pace.allows(now.steady), slice - sweep.outstanding);
}

void Engine::run_sweeps(Now now, Effects& out) {
  sweep_at_.reset();
  const auto wake = [&](Steady at) { sweep_at_ = sweep_at_ ? std::min(*sweep_at_, at) : at; };
  std::uint32_t looks = kLooksPerTurn;
  sweeps_.for_each([&](std::uint8_t slot, Sweep& sweep) {
    if (sweep.stopped == Code::kNone && !sweep.walked) {
      if (sweep.full()) {
        sweep.walked = true;
      } else if (sweep.action == SweepAction::kPurge) {
        purge(slot, sweep, looks, now);
      } else if (!sweep.reading && allowance(sweep, now) > 0) {
        walk_dead(sweep, out);
      }
    }
    const bool over = sweep.walked || sweep.stopped != Code::kNone;
    if (over && sweep.outstanding == 0) {
      report(sweep, true, out);
      log(out, Severity::kInfo,
          describe(sweep) + (sweep.stopped == Code::kNone ? " has ended: " : " was stopped: ") +
              std::to_string(sweep.matched) + " matched, " + std::to_string(sweep.done) +
              " done, " + std::to_string(sweep.failed) + " failed" +
              (*sweep.stop_message != '\0' ? std::string("; ") + sweep.stop_message : ""));
      if (sweep.action == SweepAction::kPurge)
        lanes_[lanes_.queue(sweep.filter.queue)].purging = false;
      sweeps_.remove(slot);
      return;
    }
    if (now.steady >= sweep.report_at) {
      sweep.report_at = now.steady + kReportEvery;
      report(sweep, false, out);
    }
    wake(sweep.report_at);
    if (over || sweep.reading) return;
    if (allowance(sweep, now) > 0) {
      wake(now.steady);
    } else if (sweep.pace.allows(now.steady) == 0) {
      wake(sweep.pace.next());
    }  // else the next commit makes room
  });
}

bool Engine::purges(const Sweep& sweep, JobIx ix) {
  const Job& job = jobs_[ix];
  if (job.state != State::kScheduled && job.state != State::kQueued) return false;
  const QueueIx queue = lanes_.queue_of(job);
  return lanes_.name(queue) == sweep.filter.queue && job.round != lanes_[queue].purge_round &&
         (sweep.any_time || job.created < sweep.filter.before) &&
         (sweep.filter.type.empty() || lanes_.name(lanes_.type_of(job)) == sweep.filter.type);
}

void Engine::purge(std::uint8_t slot, Sweep& sweep, std::uint32_t& looks, Now now) {
  const std::vector<JobId>& ids = sweep.filter.ids;
  const std::uint32_t end = ids.empty() ? sweep.end : static_cast<std::uint32_t>(ids.size());
  std::uint64_t may_change = allowance(sweep, now);
  for (; sweep.next < end && looks > 0 && may_change > 0 && !sweep.full(); ++sweep.next, --looks) {
    const JobIx ix = ids.empty() ? JobIx{sweep.next} : jobs_.find(ids[sweep.next]);
    if (ix == kNoJob || jobs_[ix].state == State::kNone || !purges(sweep, ix)) continue;
    ++sweep.matched;
    if (sweep.dry_run) continue;
    if (jobs_[ix].stored == State::kDead) {
      ++sweep.failed;  // just replayed, which is not stored yet: that sweep's
      continue;
    }
    --may_change;
    sweep.pace.take();
    ++sweep.outstanding;
    finish(ix, Move::kCancel, now);
    jobs_[ix].sweep = slot;
  }
  if (sweep.next >= end || sweep.full()) sweep.walked = true;
}

void Engine::walk_dead(Sweep& sweep, Effects& out) {
  DeadScanOut scan;
  scan.sweep = sweep.number;
  if (!sweep.filter.ids.empty()) {
    const auto first = sweep.filter.ids.begin() + sweep.next;
    const auto left = static_cast<std::uint32_t>(sweep.filter.ids.end() - first);
    scan.ids.assign(first, first + std::min(left, kDeadPerScan));
    sweep.end = sweep.next + static_cast<std::uint32_t>(scan.ids.size());
  } else if (!sweep.queues.empty()) {
    scan.queue = lanes_.name(sweep.queues.back());
    scan.after = sweep.place;
    scan.limit = kDeadPerScan;
  } else {
    sweep.walked = true;
    return;
  }
  sweep.reading = true;
  out.dead_scans.push_back(std::move(scan));
}

void Engine::on(const DeadScanned& event, Now now, Effects&) {
  const std::uint8_t slot = sweeps_.slot_of(event.sweep);
  if (slot == 0) return;
  Sweep& sweep = *sweeps_.find(slot);
  if (!sweep.reading) return;
  sweep.reading = false;
  if (sweep.stopped != Code::kNone) return;
  const bool by_ids = !sweep.filter.ids.empty();
  for (const DeadView& dead : event.jobs) {
    if (by_ids) {
      while (sweep.next < sweep.end && sweep.filter.ids[sweep.next] != dead.job.id) ++sweep.next;
    }
    // What does not fit in now is read again.
    if (sweep.full() || !sweep_dead(slot, sweep, dead, now)) return;
    sweep.place = {dead.job.finished, dead.job.id};
    if (by_ids) ++sweep.next;
  }
  if (by_ids) {
    sweep.next = sweep.end;
    if (sweep.next >= sweep.filter.ids.size()) sweep.walked = true;
    return;
  }
  sweep.place = event.end;
  // What died since does not count: the index is in the order of that.
  if (!event.last && sweep.place.time < sweep.filter.before) return;
  sweep.place = IndexPlace{};
  sweep.queues.pop_back();
  if (sweep.queues.empty()) sweep.walked = true;
}

bool Engine::sweep_dead(std::uint8_t slot, Sweep& sweep, const DeadView& dead, Now now) {
  const JobRecord& record = dead.job;
  if (record.state != State::kDead || !fits(sweep.filter, dead)) return true;
  if (!sweep.dry_run && allowance(sweep, now) == 0) return false;
  ++sweep.matched;
  // The record was read a moment ago, or is of an earlier end: only what is so now counts.
  const FinishedJobs::Entry* entry = finished_.find(record.id);
  if (!entry || entry->leaving || entry->state != State::kDead ||
      !entry->ended_at(record.finished) || jobs_.find(record.id) != kNoJob) {
    ++sweep.failed;
    return true;
  }
  if (sweep.dry_run) return true;
  if (sweep.action == SweepAction::kDrop) {
    finished_.expel(record.id);
    dropping_.emplace(record.id, slot);
  } else if (!replay(slot, sweep, record)) {
    ++sweep.failed;
    return true;
  }
  sweep.pace.take();
  ++sweep.outstanding;
  return true;
}

bool Engine::replay(std::uint8_t slot, const Sweep& sweep, const JobRecord& record) {
  const std::string_view origin = record.origin.empty() ? record.queue : record.origin;
  const std::string_view target = sweep.to_queue.empty() ? origin : sweep.to_queue;
  const std::uint64_t contract = record.options ? record.options->contract : 0;
  // 0 is its type's timeout, or the default.
  if (record.priority > 9 || record.timeout.count() < 0) return false;
  if (!lanes_.type_names().find(record.type) && lanes_.type_names().size() >= config_.max_types)
    return false;
  if (contract != 0 && too_many_contracts(record.type, contract)) return false;
  if (const auto known = lanes_.queue_names().find(target)) {
    const Queue& queue = lanes_[QueueIx{*known}];
    if (queue.settings.draining || queue.jobs >= config_.max_queue_jobs ||
        queue.bytes + record.payload_size > config_.max_queue_bytes) {
      return false;
    }
  } else if (lanes_.queue_names().size() >= config_.max_queues) {
    return false;
  }
  finished_.take(record.id);
  const JobIx ix = jobs_.insert(record.id);
  Job& job = jobs_[ix];
  const QueueIx queue_ix = lanes_.queue(target);
  job.lane = lanes_.lane(queue_ix, lanes_.type(record.type), contract);
  enter(job, State::kDead);
  move(job, Move::kReplay);
  job.stored = State::kDead;
  job.encoding = record.encoding;
  job.priority = record.priority;
  job.keep_payload = record.keep_payload;
  job.payload_size = record.payload_size;
  job.timeout_ms =
      static_cast<std::uint32_t>(std::min<Millis::rep>(record.timeout.count(), 0xffffffff));
  job.created = record.created;
  // Not its expires_at: whoever replays it wants it to run.
  job.generation = record.generation + 1;
  job.sweep = slot;
  if (record.options) job.more().options = record.options;
  if (target != record.queue) job.more().stored_in = lanes_.queue(record.queue);
  if (target != origin) job.more().origin = lanes_.queue(origin);
  Queue& queue = lanes_[queue_ix];
  job.round = queue.purge_round;
  ++queue.jobs;
  queue.bytes += job.payload_size;
  mark_dirty(ix);
  return true;
}

void Engine::swept(std::uint8_t slot, bool stored) {
  Sweep* sweep = sweeps_.find(slot);
  assert(sweep && sweep->outstanding > 0);
  --sweep->outstanding;
  // What the store never took is refused to its producer, and was no job.
  ++(stored ? sweep->done : sweep->failed);
}

}  // namespace jobwire::core
