// SPDX-License-Identifier: Apache-2.0
#include "adapters/memory/shelf.h"

#include <cassert>

namespace jobwire::memory {
namespace {

constexpr core::Millis kHostTtl{60'000};

template <typename Map, typename Saved>
void save(const Map& map, const typename Map::key_type& key, Saved& saved) {
  const auto at = map.find(key);
  saved.emplace_back(key, at == map.end() ? std::nullopt : std::optional(at->second));
}

template <typename Map, typename Saved>
void swap_back(Map& map, Saved& saved) {
  // Backwards: a key that was touched twice was saved twice, and its first value was saved first.
  for (std::size_t i = saved.size(); i-- > 0;) {
    auto& [key, value] = saved[i];
    const auto at = map.find(key);
    auto current = at == map.end() ? std::nullopt : std::optional(at->second);
    if (value) {
      map.insert_or_assign(key, *value);
    } else if (at != map.end()) {
      map.erase(at);
    }
    value = std::move(current);
  }
  std::vector(saved.rbegin(), saved.rend()).swap(saved);
}

}  // namespace

void Shelf::apply(const core::Batch& batch) {
  assert(batch.sequence > sequence_ && gone_.empty());
  Change& change = done_.emplace_back();
  change.sequence = std::exchange(sequence_, batch.sequence);
  now_ = batch.now;
  for (const core::JobWrite& job : batch.jobs) {
    save(jobs_, job.job.id, change.jobs);
    const auto& options = job.job.options;
    const bool dedups = job.stored == core::State::kNone && job.job.state != core::State::kDead &&
                        options && !options->dedup_key.empty();
    if (dedups) save(dedups_, options->dedup_key, change.dedups);
    write(job);
  }
  for (const core::JobId& id : batch.stale_notes) {
    save(jobs_, id, change.jobs);
    ++jobs_.at(id).stale_results;
  }
  for (const core::ProgressWrite& word : batch.progress) {
    save(jobs_, word.id, change.jobs);
    jobs_.at(word.id).job.progress = word.progress;
  }
  for (const core::CheckpointWrite& write : batch.checkpoints) {
    save(jobs_, write.id, change.jobs);
    jobs_.at(write.id).job.checkpoint = write.checkpoint;
  }
  for (const core::JobRemoval& removal : batch.removals) {
    save(jobs_, removal.id, change.jobs);
    jobs_.erase(removal.id);
  }
  for (const core::QueueDelta& delta : batch.queues) {
    save(queues_, std::string(delta.queue), change.queues);
    count(delta);
  }
  for (const core::QueueWrite& queue : batch.settings) {
    save(settings_, std::string(queue.queue), change.settings);
    settings_.insert_or_assign(std::string(queue.queue), queue.settings);
  }
  for (const core::HostWrite& host : batch.hosts) {
    save(hosts_, host.id, change.hosts);
    if (host.left) {
      hosts_.erase(host.id);
    } else {
      hosts_.insert_or_assign(host.id, Host{host.name, host.seen + kHostTtl});
    }
  }
  for (const core::TypeWrite& type : batch.types) {
    const std::string name(type.type);
    save(types_, name, change.types);
    if (type.timeout.count() == 0 && !type.retry) {
      types_.erase(name);
    } else {
      types_.insert_or_assign(name, ports::RecoveredType{name, type.timeout, type.retry});
    }
  }
  for (const core::ContractWrite& contract : batch.contracts) {
    save(contracts_, contract.name, change.contracts);
    if (contract.schema) {
      contracts_.insert_or_assign(contract.name, std::string(contract.schema.view()));
    } else {
      contracts_.erase(contract.name);
    }
  }
  change.gone_before = gone_before_;
  if (batch.gone_before != core::Wall{}) gone_before_ = batch.gone_before;
  if (done_.size() > kRemembered) done_.pop_front();
}

void Shelf::write(const core::JobWrite& write) {
  const core::JobRecord& now = write.job;
  const bool is_new = write.stored == core::State::kNone;
  Kept& kept = jobs_[now.id];
  core::JobRecord& job = kept.job.job;
  assert(is_new || job.state == write.stored);
  const core::JobRecord before = job;
  job = now;
  kept.job.id = now.id;
  kept.job.found = true;
  kept.job.worker = now.worker;
  if (is_new || !write.stored_queue.empty()) {
    kept.job.queue = now.queue;
    kept.job.origin = now.origin;
  }
  if (is_new) {
    kept.job.type = now.type;
    if (write.drop_payload) job.payload = {};
    // A new job that is dead is an import: its key was used up long ago.
    if (job.state != core::State::kDead && job.options && !job.options->dedup_key.empty() &&
        job.options->dedup_window.count() > 0)
      dedups_.insert_or_assign(job.options->dedup_key,
                               Dedup{job.id, job.created + job.options->dedup_window});
  } else {
    // What never changes is written once.
    job.encoding = before.encoding;
    job.priority = before.priority;
    job.keep_payload = before.keep_payload;
    job.payload_size = before.payload_size;
    job.payload = write.drop_payload ? core::Bytes{} : before.payload;
    job.timeout = before.timeout;
    job.created = before.created;
    if (!core::is_final(write.stored)) job.expires = before.expires;  // else it was replayed
    job.options = before.options;
  }
  kept.job.rebind();

  kept.attempts.insert(kept.attempts.end(), write.attempts.begin(), write.attempts.end());
  const core::Attempt none;
  const core::Attempt& last = write.attempts.empty() ? none : write.attempts.back();
  const bool failed = !last.error_type.empty() || !last.error_message.empty();
  const bool replayed = core::is_final(write.stored);
  if (failed || !write.attempts.empty() || replayed || job.state == core::State::kSucceeded) {
    kept.job.error = failed ? last.error : core::Bytes{};
    kept.job.error_type = failed ? last.error_type : std::string{};
    kept.job.error_message = failed ? last.error_message : std::string{};
  }
}

void Shelf::count(const core::QueueDelta& delta) {
  Counters& counters = queues_[std::string(delta.queue)];
  counters.submitted += delta.submitted;
  counters.succeeded += delta.succeeded;
  counters.dead += delta.dead;
  counters.expired += delta.expired;
  counters.cancelled += delta.cancelled;
  counters.failed_attempts += delta.failed_attempts;
  counters.stale_results += delta.stale_results;
}

void Shelf::swap(Change& change) {
  std::swap(sequence_, change.sequence);
  swap_back(jobs_, change.jobs);
  swap_back(queues_, change.queues);
  swap_back(settings_, change.settings);
  swap_back(dedups_, change.dedups);
  swap_back(hosts_, change.hosts);
  swap_back(types_, change.types);
  swap_back(contracts_, change.contracts);
  std::swap(gone_before_, change.gone_before);
}

void Shelf::go_back(std::size_t batches) {
  assert(batches <= done_.size());
  for (; batches > 0; --batches) {
    swap(done_.back());
    gone_.push_front(std::move(done_.back()));
    done_.pop_back();
  }
}

std::uint32_t Shelf::go_forward() {
  std::uint32_t batches = 0;
  for (; !gone_.empty(); ++batches) {
    swap(gone_.front());
    done_.push_back(std::move(gone_.front()));
    gone_.pop_front();
  }
  return batches;
}

void Shelf::wipe() { *this = Shelf{}; }

}  // namespace jobwire::memory
