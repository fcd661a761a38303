// SPDX-License-Identifier: Apache-2.0
#include "adapters/memory/memory_store.h"

#include <algorithm>
#include <cassert>
#include <map>
#include <utility>

namespace jobwire::memory {
namespace {

constexpr std::size_t kPage = 1000;
constexpr std::size_t kMostReads = 64;

}  // namespace

MemoryStore::OwnBatch::OwnBatch(const core::Batch& source) : batch(source) {
  const auto own = [this](std::string_view& name) {
    if (names.empty() || names.back() != name) names.emplace_back(name);
    name = names.back();
  };
  for (core::JobWrite& write : batch.jobs) {
    own(write.job.queue);
    own(write.job.origin);
    own(write.stored_queue);
    own(write.job.type);
    own(write.job.worker);
  }
  for (core::JobRemoval& removal : batch.removals) own(removal.queue);
  for (core::QueueDelta& delta : batch.queues) own(delta.queue);
  for (core::QueueWrite& queue : batch.settings) own(queue.queue);
  for (core::TypeWrite& type : batch.types) own(type.type);
}

void MemoryStore::go_away(Away when) {
  if (when == Away::kNow) {
    away_now_ = true;
  } else {
    away_next_ = when;
  }
}

void MemoryStore::lose(std::size_t batches) {
  away_now_ = true;
  shelf_->go_back(batches);
}

ports::Result<ports::StoreOpened> MemoryStore::open() {
  if (phase_ == Phase::kAway || away_now_) return ports::Failure{"the store is away", true};
  phase_ = Phase::kUp;
  to_recover_.reset();
  epoch_ = shelf_->raise_epoch();
  committed_ = shelf_->sequence();
  ports::StoreOpened opened;
  opened.epoch = epoch_;
  opened.last_sequence = committed_;
  opened.durability = core::Durability::kMemory;
  opened.description = "memory";
  return opened;
}

void MemoryStore::put(const Shelf::Kept& kept, ports::RecoveredPage& page) {
  if (core::is_final(kept.job.job.state)) return;
  ports::StoredJob& job = page.jobs.emplace_back(kept.job);
  job.job.payload = {};
  job.error = {};
  job.error_type.clear();
  job.error_message.clear();
  job.rebind();
}

ports::Result<ports::RecoveredPage> MemoryStore::recover_jobs() {
  const auto runs = [this](const core::JobId& id) {
    const auto at = shelf_->jobs().find(id);
    return at != shelf_->jobs().end() && at->second.job.job.state == core::State::kRunning;
  };
  if (!to_recover_) {
    to_recover_.emplace();
    for (const auto& [id, kept] : shelf_->jobs()) {
      if (!core::is_final(kept.job.job.state)) to_recover_->push_back(id);
    }
    std::stable_partition(to_recover_->begin(), to_recover_->end(), runs);
  }
  ports::RecoveredPage page;
  for (; !to_recover_->empty() && page.jobs.size() < kPage; to_recover_->pop_front()) {
    const auto at = shelf_->jobs().find(to_recover_->front());
    if (at != shelf_->jobs().end()) put(at->second, page);
  }
  page.all_running = to_recover_->empty() || !runs(to_recover_->front());
  page.last = to_recover_->empty();
  if (page.last) to_recover_.reset();
  return page;
}

ports::Result<ports::RecoveredPage> MemoryStore::recover_some(std::span<const core::JobId> ids) {
  ports::RecoveredPage page;
  for (const core::JobId& id : ids) {
    const auto at = shelf_->jobs().find(id);
    if (at != shelf_->jobs().end()) put(at->second, page);
    if (to_recover_) std::erase(*to_recover_, id);
  }
  return page;
}

ports::Result<ports::RecoveredFinals> MemoryStore::recover_finals() {
  ports::RecoveredFinals page;
  for (const auto& [id, kept] : shelf_->jobs()) {
    const core::JobRecord& job = kept.job.job;
    if (!core::is_final(job.state)) continue;
    const bool own_ttl = job.options && job.options->result_ttl.count() > 0;
    page.jobs.push_back({id, kept.job.queue, job.state, job.finished,
                         own_ttl ? job.finished + job.options->result_ttl : core::Wall{}});
  }
  std::stable_sort(page.jobs.begin(), page.jobs.end(),
                   [](const auto& a, const auto& b) { return a.finished < b.finished; });
  page.last = true;
  return page;
}

ports::Result<std::vector<ports::RecoveredQueue>> MemoryStore::recover_queues() {
  std::map<std::string, core::QueueSettings> found;
  for (const auto& [id, kept] : shelf_->jobs()) found.try_emplace(kept.job.queue);
  for (const auto& [name, counters] : shelf_->queues()) found.try_emplace(name);
  for (const auto& [name, settings] : shelf_->settings()) found[name] = settings;
  std::vector<ports::RecoveredQueue> queues;
  for (const auto& [name, settings] : found) queues.push_back({name, settings});
  return queues;
}

ports::Result<std::vector<ports::RecoveredDedup>> MemoryStore::recover_dedups() {
  std::vector<ports::RecoveredDedup> found;
  for (const auto& [key, dedup] : shelf_->dedups()) {
    if (dedup.ends > shelf_->now()) found.push_back({key, dedup.job, dedup.ends - shelf_->now()});
  }
  return found;
}

ports::Result<std::vector<ports::RecoveredType>> MemoryStore::recover_types() {
  std::vector<ports::RecoveredType> found;
  for (const auto& [name, type] : shelf_->types()) found.push_back(type);
  return found;
}

ports::Result<std::vector<core::HostId>> MemoryStore::recover_hosts() {
  std::vector<core::HostId> living;
  for (const auto& [id, host] : shelf_->hosts()) {
    if (host.ends > shelf_->now()) living.push_back(id);
  }
  return living;
}

ports::Result<std::vector<ports::ContractFile>> MemoryStore::recover_contracts() {
  std::vector<ports::ContractFile> files;
  for (const auto& [name, schema] : shelf_->contracts()) files.push_back({name, schema});
  return files;
}

ports::Status MemoryStore::keep_contracts(const std::vector<ports::ContractFile>& files) {
  std::map<std::string, std::string> kept;
  for (const ports::ContractFile& file : files) kept.insert_or_assign(file.name, file.schema);
  shelf_->keep_contracts(std::move(kept));
  return {};
}

void MemoryStore::commit(const core::Batch& batch) {
  assert(ready() && batch.sequence > committed_);
  batch_ = std::make_unique<OwnBatch>(batch);
  batch_due_ = now_ + latency_;
}

bool MemoryStore::read(ports::ReadRequest request) {
  if (phase_ != Phase::kUp || questions_.size() >= kMostReads) return false;
  questions_.push_back({std::move(request), now_ + latency_});
  return true;
}

ports::StoredJob MemoryStore::answer(const core::JobId& id, ports::ReadRequest::What what) const {
  ports::StoredJob job;
  job.id = id;
  job.job.id = id;
  const auto at = shelf_->jobs().find(id);
  if (at == shelf_->jobs().end()) return job;
  const ports::StoredJob& kept = at->second.job;
  if (what != ports::ReadRequest::What::kPayload) {
    job = kept;
    if (what == ports::ReadRequest::What::kWhole) job.attempts = at->second.attempts;
    if (what == ports::ReadRequest::What::kHead) {
      job.job.payload = job.job.result = {};
      job.error = {};
    }
    return job;
  }
  job.found = true;
  job.job.state = kept.job.state;
  job.job.encoding = kept.job.encoding;
  job.job.payload_size = kept.job.payload_size;
  job.job.payload = kept.job.payload;
  return job;
}

bool MemoryStore::scan(ports::ScanRequest request) {
  if (phase_ != Phase::kUp || questions_.size() >= kMostReads) return false;
  questions_.push_back({std::move(request), now_ + latency_});
  return true;
}

ports::ReadDone MemoryStore::answer(const ports::ReadRequest& request) const {
  ports::ReadDone done{request.tag, {}};
  for (const core::JobId& id : request.ids) {
    done.jobs.push_back(answer(id, request.what));
    done.jobs.back().rebind();
  }
  return done;
}

ports::ScanDone MemoryStore::answer(const ports::ScanRequest& request) const {
  std::vector<core::IndexPlace> places;
  for (const auto& [id, kept] : shelf_->jobs()) {
    const core::JobRecord& job = kept.job.job;
    if (kept.job.queue != request.queue || job.state != request.state) continue;
    const core::IndexPlace place{core::index_time(job), id};
    if (place > request.after) places.push_back(place);
  }
  std::sort(places.begin(), places.end());
  ports::ScanDone done;
  done.tag = request.tag;
  done.last = places.size() < request.limit;
  places.resize(std::min<std::size_t>(places.size(), request.limit));
  done.end = places.empty() ? request.after : places.back();
  for (const core::IndexPlace& place : places) {
    done.jobs.push_back(answer(place.id, ports::ReadRequest::What::kHead));
    done.jobs.back().rebind();
  }
  return done;
}

void MemoryStore::poll(core::Steady now, std::vector<ports::StoreEvent>& events) {
  now_ = now;
  if (phase_ == Phase::kUp && std::exchange(away_now_, false)) {
    phase_ = Phase::kAway;
    events.push_back(ports::StoreAway{"the store was told to be away"});
  }
  if (phase_ == Phase::kAway && std::exchange(comes_back_, false)) judge(events);
  if (const bool scarce = shelf_->room() != Shelf::Room::kAmple;
      phase_ == Phase::kUp && scarce != told_scarce_) {
    told_scarce_ = scarce;
    events.push_back(ports::StoreRoom{scarce, "as told"});
  }
  if (phase_ == Phase::kUp && batch_ && batch_due_ <= now) settle(events);
  while (phase_ == Phase::kUp && !questions_.empty() && questions_.front().due <= now) {
    std::visit([&](const auto& request) { events.push_back(answer(request)); },
               questions_.front().request);
    questions_.pop_front();
  }
}

void MemoryStore::settle(std::vector<ports::StoreEvent>& events) {
  const core::Batch& batch = batch_->batch;
  if (shelf_->epoch() == 0) return end(ports::StoreDiverged{"the shelf was wiped"}, events);
  if (shelf_->epoch() != epoch_) return end(ports::Fenced{"another store took the shelf"}, events);
  if (const auto away = std::exchange(away_next_, std::nullopt)) {
    if (*away == Away::kAfterEffect) shelf_->apply(batch);
    phase_ = Phase::kAway;
    events.push_back(ports::StoreAway{"the store was told to be away"});
    return;
  }
  const bool adds_jobs =
      std::any_of(batch.jobs.begin(), batch.jobs.end(),
                  [](const core::JobWrite& write) { return write.stored == core::State::kNone; });
  if (adds_jobs && shelf_->room() == Shelf::Room::kFull) {
    events.push_back(
        ports::BatchRefused{batch.sequence, core::Code::kStoreFull, "the shelf is full"});
  } else {
    shelf_->apply(batch);
    committed_ = batch.sequence;
    events.push_back(ports::Committed{committed_});
  }
  batch_.reset();
}

void MemoryStore::judge(std::vector<ports::StoreEvent>& events) {
  if (shelf_->epoch() == 0) return end(ports::StoreDiverged{"the shelf was wiped"}, events);
  if (shelf_->epoch() != epoch_) return end(ports::Fenced{"another store took the shelf"}, events);
  if (shelf_->gone() > repair_reach_)
    return end(ports::StoreDiverged{"more batches were lost than memory holds"}, events);
  const std::uint32_t repaired = shelf_->go_forward();
  phase_ = Phase::kUp;
  events.push_back(ports::StoreBack{repaired});
  if (!batch_) return;
  if (shelf_->sequence() == batch_->batch.sequence) {
    committed_ = batch_->batch.sequence;
    batch_.reset();
    events.push_back(ports::Committed{committed_});
  } else {
    batch_due_ = now_ + latency_;
  }
}

void MemoryStore::end(ports::StoreEvent event, std::vector<ports::StoreEvent>& events) {
  phase_ = Phase::kEnded;
  batch_.reset();
  questions_.clear();
  events.push_back(std::move(event));
}

std::optional<core::Steady> MemoryStore::deadline() const {
  if (phase_ == Phase::kUp && away_now_) return now_;
  if (phase_ == Phase::kAway && comes_back_) return now_;
  if (phase_ != Phase::kUp) return std::nullopt;
  std::optional<core::Steady> due;
  if (batch_) due = batch_due_;
  if (!questions_.empty() && (!due || questions_.front().due < *due)) due = questions_.front().due;
  return due;
}

}  // namespace jobwire::memory
