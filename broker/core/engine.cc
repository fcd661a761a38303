// SPDX-License-Identifier: Apache-2.0
#include "core/engine.h"

#include <algorithm>
#include <variant>

namespace jobwire::core {
namespace {

constexpr std::uint32_t kLeastRecordBytes = 300;

}  // namespace

Engine::Engine(const EngineConfig& config, std::uint64_t seed, std::uint64_t epoch,
               std::uint64_t sequence)
    : config_(config),
      random_(seed),
      hash_seed_(Random(~seed).next()),
      epoch_(epoch),
      jobs_(hash_seed_),
      fleet_(hash_seed_),
      lanes_(jobs_, fleet_),
      finished_({config.keep_finished, config.keep_finished_jobs, config.keep_finished_bytes},
                {config.keep_dead, config.keep_dead_jobs, config.keep_finished_bytes}, hash_seed_),
      checkpoints_(config.checkpoint_budget),
      fetches_(0, Id16Hash<JobIdTag>(hash_seed_)),
      sequence_(sequence) {}

bool Engine::restore(const JobRecord& record, Now now) {
  const bool waits = record.state == State::kScheduled || record.state == State::kQueued ||
                     record.state == State::kRunning;
  if (!waits || finished_.find(record.id) || record.priority > 9 || record.timeout.count() < 0 ||
      jobs_.find(record.id) != kNoJob)
    return false;
  const JobIx ix = jobs_.insert(record.id);
  Job& job = jobs_[ix];
  job.lane = lanes_.lane(lanes_.queue(record.queue), lanes_.type(record.type),
                         record.options ? record.options->contract : 0);
  enter(job, record.state);
  job.stored = record.state;
  job.encoding = record.encoding;
  job.priority = record.priority;
  job.keep_payload = record.keep_payload;
  job.payload_size = record.payload_size;
  job.timeout_ms =
      static_cast<std::uint32_t>(std::min<Millis::rep>(record.timeout.count(), 0xffffffff));
  job.created = record.created;
  job.due = record.due;
  job.expires = record.expires;
  job.started = record.started;
  job.attempts = record.attempts;
  job.raised = static_cast<std::uint8_t>(std::min<std::uint16_t>(record.raised, 255));
  job.timed_out = static_cast<std::uint8_t>(std::min<std::uint16_t>(record.timed_out, 255));
  job.crashed = static_cast<std::uint8_t>(std::min<std::uint16_t>(record.crashed, 255));
  job.generation = record.generation;
  // Attempts are counted anew after a replay: a word of an attempt before it, that of a dead worker
  // that comes again, would be taken for one of now. So it must be marked as running to be adopted.
  job.adoptable = record.generation == 0 || record.state == State::kRunning;
  if (!record.origin.empty()) job.more().origin = lanes_.queue(record.origin);
  // The store knows times of day alone.
  job.by_the_clock = record.state == State::kScheduled && record.attempts == 0;
  if (record.options) job.more().options = record.options;
  Queue& queue = lanes_[lanes_.queue_of(job)];
  ++queue.jobs;
  queue.bytes += job.payload_size;
  if (job.state == State::kRunning) {
    job.more().recovered_token = record.token;
    orphans_.push_back(ix);
  } else {
    arm(ix, now);
  }
  return true;
}

void Engine::restore_final(const JobId& id, std::string_view queue, State state, Wall finished,
                           Wall goes) {
  // How much the store holds for it is not known; a record at the least.
  const Millis ttl = goes == Wall{} ? Millis{0} : std::max(Millis(1), goes - finished);
  // Nor does an index tell whether a replay has moved it.
  finished_.add(id, lanes_.queue(queue), state, finished, ttl, kLeastRecordBytes, true);
}

void Engine::restore_dedup(std::string_view key, const JobId& job, Millis left, Now now) {
  const Steady until = now.steady + left;
  dedups_[std::string(key)] = {job, until};
  dedup_ends_.emplace(until, key);
}

void Engine::restore_host(const HostId& id) { awaited_hosts_.insert(id); }

void Engine::finish_recovery(Now now) {
  if (!awaited_hosts_.empty() && jobs_.size() > 0) {
    adopting_until_ = now.steady + config_.adoption_window;
    return;
  }
  Effects nothing_to_say;
  close_adoption(now, nothing_to_say);
}

void Engine::apply(const Event& event, Now now, Effects& out) {
  std::visit([&](const auto& happened) { on(happened, now, out); }, event);
}

void Engine::end_turn(Now now, Effects& out) {
  fire_timers(now);
  check_silence(now, out);
  check_adoption(now, out);
  lift_closed(now);
  run_sweeps(now, out);
  take_late_marks(now);
  tell_progress(now, out);
  dispatch(now, out);
  recall_held_up(now, out);
  tell_unserved(now, out);
}

std::optional<Steady> Engine::next_deadline() const {
  // The checks of silence come every half second, whatever else.
  Steady next = next_check_;
  if (const auto timer = timers_.next()) next = std::min(next, *timer);
  if (!late_marks_.empty()) next = std::min(next, late_marks_.front().due);
  if (const auto word = progress_.next()) next = std::min(next, *word);
  if (recall_check_at_) next = std::min(next, *recall_check_at_);
  if (!batch_under_way_ && !store_away_ && !dirty_.empty()) next = std::min(next, retry_batch_at_);
  if (adopting_until_) next = std::min(next, *adopting_until_);
  if (!closed_until_.empty()) next = std::min(next, lift_check_);
  if (sweep_at_) next = std::min(next, *sweep_at_);
  return next;
}

std::optional<State> Engine::state_of(const JobId& id) const {
  const JobIx ix = jobs_.find(id);
  if (ix != kNoJob) return jobs_[ix].state;
  if (const FinishedJobs::Entry* entry = finished_.find(id)) return entry->state;
  return std::nullopt;
}

Engine::Counts Engine::counts() const {
  Counts counts;
  counts.jobs = jobs_.size();
  counts.finished = finished_.size();
  counts.leases = fleet_.leases();
  counts.workers = fleet_.workers();
  counts.groups = lanes_.living_groups();
  counts.sessions = sessions_.size();
  counts.unstored_jobs = unstored_jobs_;
  counts.unstored_bytes = unstored_bytes_;
  counts.resident_bytes = resident_bytes_;
  counts.checkpoint_bytes = checkpoints_.bytes();
  counts.stale_results = stale_results_;
  return counts;
}

Engine::Session* Engine::hear(SessionId id, std::uint64_t request, Now now, Effects& out) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) {
    out.refusals.push_back({id, Code::kHelloFirst, request, Millis{0}, "no session"});
    return nullptr;
  }
  found->second.heard = now.steady;
  return &found->second;
}

Engine::Session* Engine::hear_worker(SessionId id, std::uint64_t request, Now now, Effects& out) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end() || found->second.worker == kNoWorker) {
    out.refusals.push_back({id, Code::kUnknownWorker, request, Millis{0}, "no such worker"});
    return nullptr;
  }
  found->second.heard = now.steady;
  return &found->second;
}

void Engine::move(Job& job, Move move) { enter(job, *next_state(job.state, move)); }

void Engine::enter(Job& job, State state) {
  Queue& queue = lanes_[lanes_.queue_of(job)];
  if (job.state != State::kNone) --queue.in_state[static_cast<std::size_t>(job.state)];
  if (state != State::kNone) ++queue.in_state[static_cast<std::size_t>(state)];
  job.state = state;
}

void Engine::log(Effects& out, Severity severity, std::string text) const {
  out.logs.push_back({severity, std::move(text)});
}

}  // namespace jobwire::core
