// SPDX-License-Identifier: Apache-2.0
#include "sim/disk.h"

#include <algorithm>
#include <utility>

namespace jobwire::sim {

using core::JobId;
using core::State;

namespace {

constexpr core::Millis kHostTtl{30'000};
constexpr std::size_t kUndos = 16;

/// Whether a job may get from one stored state to another between two commits.
bool reachable(State from, State to, bool replayed) {
  if (replayed) return to != State::kNone && to != State::kDead;
  if (core::is_final(from)) return false;
  if (from == State::kNone) return to != State::kNone;
  return true;
}

}  // namespace

std::shared_ptr<const Transaction> Disk::own(const core::Batch& batch) {
  const auto keep = [&](std::string_view name) -> std::string_view {
    auto found = names_.find(name);
    if (found == names_.end()) found = names_.emplace(name).first;
    return *found;
  };
  auto transaction = std::make_shared<Transaction>();
  transaction->batch = batch;
  core::Batch* const copy = &transaction->batch;
  for (core::JobWrite& write : copy->jobs) {
    write.job.queue = keep(write.job.queue);
    write.job.origin = keep(write.job.origin);
    write.stored_queue = keep(write.stored_queue);
    write.job.type = keep(write.job.type);
    write.job.worker = keep(write.job.worker);
  }
  for (core::JobRemoval& removal : copy->removals) removal.queue = keep(removal.queue);
  for (core::QueueDelta& delta : copy->queues) delta.queue = keep(delta.queue);
  for (core::QueueWrite& queue : copy->settings) queue.queue = keep(queue.queue);
  for (core::TypeWrite& type : copy->types) type.type = keep(type.type);
  return transaction;
}

const DiskJob* Disk::find(const JobId& id) const {
  const auto found = jobs_.find(id);
  return found == jobs_.end() ? nullptr : &found->second;
}

void Disk::remember(const JobId& id) {
  const DiskJob* job = find(id);
  undo_.back().jobs.emplace_back(id, job ? std::optional<DiskJob>(*job) : std::nullopt);
}

void Disk::check_bounds(const core::Batch& batch) const {
  if (batch.jobs.size() > config_.max_batch_jobs)
    throw Violation("a batch with more jobs than max_batch_jobs");
  if (batch.removals.size() > config_.max_batch_removals)
    throw Violation("a batch with more removals than its bound");
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i + 1 < batch.jobs.size(); ++i) {
    bytes += batch.jobs[i].job.payload.size() + batch.jobs[i].job.result.size();
  }
  for (std::size_t i = 0; i + 1 < batch.checkpoints.size(); ++i)
    bytes += batch.checkpoints[i].checkpoint.bytes.size();
  if (bytes > config_.max_batch_bytes)
    throw Violation("a batch with more bytes than max_batch_bytes");
}

void Disk::apply(const Transaction& transaction) {
  const core::Batch& batch = transaction.batch;
  const bool again = std::exchange(transaction.has_applied, true);
  if (batch.sequence != sequence_ + 1) throw Violation("a batch out of its order");
  check_bounds(batch);
  undo_.push_back(
      {sequence_, {}, dedups_, hosts_, settings_, counted_, written_, types_, gone_before_});
  if (undo_.size() > kUndos) undo_.pop_front();
  sequence_ = batch.sequence;
  std::set<JobId> seen;
  for (const core::JobWrite& change : batch.jobs) {
    if (!seen.insert(change.job.id).second)
      ledger_.violated("one job twice in one batch", change.job.id);
    write(change, again);
  }
  for (const JobId& id : batch.stale_notes) {
    if (!find(id)) ledger_.violated("a note on a job that is not there", id);
  }
  for (const core::ProgressWrite& word : batch.progress) {
    if (!find(word.id)) ledger_.violated("progress of a job that is not there", word.id);
    if (!again) ledger_.progress_written(word);
  }
  for (const core::CheckpointWrite& write : batch.checkpoints) {
    if (!find(write.id)) ledger_.violated("a checkpoint of a job that is not there", write.id);
    remember(write.id);
    jobs_.at(write.id).checkpoint = write.checkpoint;
    if (!again && write.checkpoint) ledger_.checkpoint_written(write);
  }
  for (const core::JobWrite& change : batch.jobs) {
    if (core::is_final(change.job.state) && jobs_.at(change.job.id).checkpoint)
      ledger_.violated("a job that has ended keeps its checkpoint", change.job.id);
  }
  for (const core::JobRemoval& removal : batch.removals) {
    const DiskJob* job = find(removal.id);
    if (!job) ledger_.violated("removes a job that is not there", removal.id);
    if (job->job.state != removal.state || job->job.queue != removal.queue) {
      ledger_.violated("removes a job as something else", removal.id);
    }
    remember(removal.id);
    trace_.note("  removed", removal.id.tail());
    jobs_.erase(removal.id);
    if (!again) ledger_.removed(removal.id, agenda_.steady());
  }
  for (const core::QueueDelta& delta : batch.queues) {
    Tally& tally = counted_[std::string(delta.queue)];
    tally.submitted += delta.submitted;
    tally.succeeded += delta.succeeded;
    tally.dead += delta.dead;
    tally.expired += delta.expired;
    tally.cancelled += delta.cancelled;
    tally.failed_attempts += delta.failed_attempts;
  }
  for (const core::QueueWrite& queue : batch.settings) {
    settings_[std::string(queue.queue)] = queue.settings;
    ledger_.queue_set(std::string(queue.queue), queue.settings);
  }
  if (batch.removals.empty() != (batch.gone_before == core::Wall{}))
    throw Violation("removals and what is gone by them do not go together");
  if (batch.gone_before != core::Wall{}) {
    if (batch.gone_before < gone_before_) throw Violation("what was gone is not gone any more");
    gone_before_ = batch.gone_before;
  }
  for (const core::TypeWrite& type : batch.types) {
    core::TypeWrite& kept = types_[std::string(type.type)];
    kept = type;
    if (!again) coverage_.met(Met::kTypeDeclared);
  }
  for (const core::HostWrite& host : batch.hosts) {
    if (host.left) {
      hosts_.erase(host.id);
    } else {
      hosts_[host.id] = agenda_.steady() + kHostTtl;
    }
  }
}

void Disk::write(const core::JobWrite& change, bool again) {
  const core::JobRecord& job = change.job;
  const auto found = jobs_.find(job.id);
  const State here = found == jobs_.end() ? State::kNone : found->second.job.state;
  trace_.note("  written", job.id.tail(), static_cast<std::uint64_t>(here),
              static_cast<std::uint64_t>(job.state));
  if (change.stored != here) {
    ledger_.violated("the broker believes that the store has " +
                         std::string(core::name_of(change.stored)) + ", it has " +
                         std::string(core::name_of(here)),
                     job.id);
  }
  const bool replayed = here == State::kDead && job.generation == found->second.job.generation + 1;
  if (!reachable(here, job.state, replayed)) {
    ledger_.violated(
        "from " + std::string(core::name_of(here)) + " to " + std::string(core::name_of(job.state)),
        job.id);
  }
  remember(job.id);
  Tally& tally = written_[std::string(job.queue)];
  if (here == State::kNone) {
    ++tally.submitted;
    if (!again) ledger_.inserted(job, agenda_.wall());
    if (job.state != State::kDead && job.options && !job.options->dedup_key.empty()) {
      dedups_[job.options->dedup_key] = {job.id, agenda_.steady() + job.options->dedup_window};
    }
  }
  DiskJob& mine = jobs_[job.id];
  if (replayed) {
    const core::JobRecord& before = mine.job;
    const std::string_view stored_in =
        change.stored_queue.empty() ? job.queue : change.stored_queue;
    const std::string_view origin = before.origin.empty() ? before.queue : before.origin;
    if (job.attempts + job.raised + job.timed_out + job.crashed != 0 || stored_in != before.queue ||
        (job.origin.empty() ? job.queue : job.origin) != origin || job.created != before.created) {
      ledger_.violated("a replay does not begin anew", job.id);
    }
    if (!again) ledger_.replayed(job);
  } else if (here != State::kNone) {
    const core::JobRecord& before = mine.job;
    if (!change.stored_queue.empty() || job.generation != before.generation ||
        job.origin != before.origin || job.attempts < before.attempts ||
        job.raised < before.raised || job.timed_out < before.timed_out ||
        job.crashed < before.crashed || job.created != before.created ||
        job.queue != before.queue) {
      ledger_.violated("something went backwards", job.id);
    }
  }
  mine.job = job;
  mine.job.payload = core::Bytes{};
  if (job.payload) mine.payload = job.payload;
  if (change.drop_payload) mine.payload = core::Bytes{};
  for (const core::Attempt& attempt : change.attempts) {
    if (!again) ledger_.attempt_written(job, attempt);
    if (!mine.attempts.empty() &&
        std::pair(attempt.generation, attempt.number) <=
            std::pair(mine.attempts.back().generation, mine.attempts.back().number)) {
      ledger_.violated("attempts out of order", job.id);
    }
    mine.attempts.push_back(attempt);
    ++tally.failed_attempts;
    if (!again && job.state == State::kScheduled) coverage_.met(Met::kRetried);
  }
  if (!again && !core::is_final(job.state)) ledger_.running_written(job);
  const auto charged = static_cast<std::uint32_t>(
      std::count_if(mine.attempts.begin(), mine.attempts.end(), [&](const core::Attempt& attempt) {
        return attempt.generation == job.generation && attempt.outcome != core::Outcome::kCancelled;
      }));
  if (std::uint32_t{job.raised} + job.timed_out + job.crashed != charged) {
    ledger_.violated("the failures counted are not the failures kept", job.id);
  }
  // One that succeeded, or was cancelled by its own handler, leaves no record of its last attempt.
  const bool one_more = job.state == State::kSucceeded || job.state == State::kCancelled;
  const std::size_t kept = mine.attempts.size();
  if (job.generation == 0 && job.attempts != kept && !(one_more && job.attempts == kept + 1))
    ledger_.violated("an attempt was counted that nobody made", job.id);
  if (!core::is_final(job.state)) {
    if (job.payload_size > 0 && mine.payload.size() != job.payload_size)
      ledger_.violated("a payload is lost", job.id);
    return;
  }
  if (job.state == State::kSucceeded) ++tally.succeeded;
  if (job.state == State::kDead) ++tally.dead;
  if (job.state == State::kExpired) ++tally.expired;
  if (job.state == State::kCancelled) ++tally.cancelled;
  if (!again) ledger_.ended(job);
}

void Disk::lose(std::size_t count) {
  for (; count > 0; --count) {
    Undo& undo = undo_.back();
    for (auto it = undo.jobs.rbegin(); it != undo.jobs.rend(); ++it) {
      if (it->second) {
        jobs_[it->first] = *it->second;
      } else {
        jobs_.erase(it->first);
      }
    }
    dedups_ = undo.dedups;
    hosts_ = undo.hosts;
    for (const auto& [queue, settings] : settings_) {
      const auto before = undo.settings.find(queue);
      ledger_.queue_unset(queue,
                          before == undo.settings.end() ? core::QueueSettings{} : before->second);
    }
    settings_ = undo.settings;
    counted_ = undo.counted;
    written_ = undo.written;
    types_ = undo.types;
    gone_before_ = undo.gone_before;
    sequence_ = undo.sequence;
    undo_.pop_back();
  }
}

std::vector<std::pair<std::string, std::pair<JobId, core::Millis>>> Disk::dedups() const {
  std::vector<std::pair<std::string, std::pair<JobId, core::Millis>>> out;
  for (const auto& [key, hold] : dedups_) {
    const auto left = std::chrono::duration_cast<core::Millis>(hold.until - agenda_.steady());
    if (left.count() > 0) out.push_back({key, {hold.job, left}});
  }
  return out;
}

std::vector<core::HostId> Disk::hosts() const {
  std::vector<core::HostId> out;
  for (const auto& [id, until] : hosts_) {
    if (until > agenda_.steady()) out.push_back(id);
  }
  return out;
}

std::set<std::string> Disk::queues() const {
  std::set<std::string> names;
  for (const auto& [name, tally] : written_) names.insert(name);
  for (const auto& [name, settings] : settings_) names.insert(name);
  return names;
}

void Disk::check_counters() const {
  for (const auto& [queue, tally] : written_) {
    const auto counted = counted_.find(queue);
    const Tally sum = counted == counted_.end() ? Tally{} : counted->second;
    if (sum == tally) continue;
    const auto text = [](const Tally& t) {
      return std::to_string(t.submitted) + "/" + std::to_string(t.succeeded) + "/" +
             std::to_string(t.dead) + "/" + std::to_string(t.expired) + "/" +
             std::to_string(t.cancelled) + "/" + std::to_string(t.failed_attempts);
    };
    throw Violation("counters of queue " + queue + " say " + text(sum) + ", written were " +
                    text(tally) + " (submitted/succeeded/dead/expired/cancelled/failed attempts)");
  }
}

}  // namespace jobwire::sim
