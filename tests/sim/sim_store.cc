// SPDX-License-Identifier: Apache-2.0
#include "sim/sim_store.h"

#include <algorithm>
#include <utility>

namespace jobwire::sim {

using core::Micros;

SimStore::SimStore(Agenda& agenda, Disk& disk, StoreWeather& weather, Assassin& assassin, Dice dice,
                   const Plan& plan, Trace& trace, Coverage& coverage)
    : agenda_(agenda),
      disk_(disk),
      weather_(weather),
      assassin_(assassin),
      dice_(dice),
      plan_(plan),
      trace_(trace),
      coverage_(coverage),
      line_(std::make_shared<Line>()) {}

SimStore::~SimStore() { line_->dead = true; }

Micros SimStore::latency(Micros most) {
  if (weather_.slow_until > agenda_.steady()) {
    coverage_.met(Met::kStoreSlow);
    return dice_.span(most, most * 20 + Micros(400'000));
  }
  return dice_.span(Micros(50), most);
}

ports::Result<ports::StoreOpened> SimStore::open() {
  if (weather_.down) {
    coverage_.met(Met::kStoreAwayAtStart);
    return ports::Failure{"away", true};
  }
  line_->epoch = disk_.take_over();
  line_->committed = disk_.sequence();
  to_recover_.clear();
  finals_.clear();
  for (const auto& [id, job] : disk_.jobs()) {
    if (core::is_final(job.job.state)) {
      const bool own_ttl = job.job.options && job.job.options->result_ttl.count() > 0;
      finals_.push_back({id, std::string(job.job.queue), job.job.state, job.job.finished,
                         own_ttl ? job.job.finished + job.job.options->result_ttl : core::Wall{}});
    } else {
      to_recover_.push_back(id);
    }
  }
  for (std::size_t i = to_recover_.size(); i > 1; --i)
    std::swap(to_recover_[i - 1], to_recover_[dice_.below(i)]);
  const auto ran = std::stable_partition(
      to_recover_.begin(), to_recover_.end(),
      [this](const core::JobId& id) { return disk_.find(id)->job.state != core::State::kRunning; });
  ran_ = static_cast<std::size_t>(to_recover_.end() - ran);
  std::stable_sort(finals_.begin(), finals_.end(),
                   [](const auto& a, const auto& b) { return a.finished < b.finished; });
  trace_.note("store opened", line_->epoch, line_->committed);
  ports::StoreOpened opened;
  opened.epoch = line_->epoch;
  opened.last_sequence = line_->committed;
  opened.durability = core::Durability::kStored;
  opened.description = "sim";
  return opened;
}

ports::StoredJob SimStore::look(const core::JobId& id, bool payload) const {
  ports::StoredJob out;
  out.id = id;
  const DiskJob* job = disk_.find(id);
  if (!job) return out;
  out.found = true;
  out.job = job->job;
  out.queue = job->job.queue;
  out.type = job->job.type;
  out.worker = job->job.worker;
  out.origin = job->job.origin;
  if (payload) out.job.payload = job->payload;
  out.attempts = job->attempts;
  out.checkpoint = job->checkpoint;
  if (!job->attempts.empty() && job->attempts.back().generation == job->job.generation) {
    out.error = job->attempts.back().error;
    out.error_type = job->attempts.back().error_type;
    out.error_message = job->attempts.back().error_message;
  }
  out.rebind();
  return out;
}

ports::Result<ports::RecoveredPage> SimStore::recover_jobs() {
  assassin_.pass(Moment::kInRecovery);
  // While workers are served already: time for them to come before their jobs are known.
  if (serving_ && dice_.chance(0.5)) return ports::Failure{"slow", true};
  ports::RecoveredPage page;
  while (!to_recover_.empty() && page.jobs.size() < plan_.recovery_page) {
    page.jobs.push_back(look(to_recover_.back(), false));
    to_recover_.pop_back();
    if (ran_ > 0) --ran_;
  }
  page.all_running = ran_ == 0;
  page.last = to_recover_.empty();
  return page;
}

ports::Result<ports::RecoveredPage> SimStore::recover_some(std::span<const core::JobId> ids) {
  assassin_.pass(Moment::kInRecovery);
  if (line_->away) return ports::Failure{"away", true};
  ports::RecoveredPage page;
  for (const core::JobId& id : ids) {
    const DiskJob* job = disk_.find(id);
    if (!job || core::is_final(job->job.state)) continue;
    coverage_.met(Met::kReadAhead);
    page.jobs.push_back(look(id, false));
    std::erase(to_recover_, id);
  }
  return page;
}

ports::Result<ports::RecoveredFinals> SimStore::recover_finals() {
  assassin_.pass(Moment::kInRecovery);
  ports::RecoveredFinals page;
  const std::size_t count = std::min<std::size_t>(finals_.size(), plan_.recovery_page);
  page.jobs.assign(finals_.begin(), finals_.begin() + static_cast<std::ptrdiff_t>(count));
  finals_.erase(finals_.begin(), finals_.begin() + static_cast<std::ptrdiff_t>(count));
  page.last = finals_.empty();
  return page;
}

ports::Result<std::vector<ports::RecoveredQueue>> SimStore::recover_queues() {
  std::vector<ports::RecoveredQueue> out;
  for (const std::string& name : disk_.queues()) {
    const auto set = disk_.settings().find(name);
    out.push_back({name, set == disk_.settings().end() ? core::QueueSettings{} : set->second});
  }
  return out;
}

ports::Result<std::vector<ports::RecoveredDedup>> SimStore::recover_dedups() {
  std::vector<ports::RecoveredDedup> out;
  for (auto& [key, hold] : disk_.dedups()) out.push_back({key, hold.first, hold.second});
  return out;
}

ports::Result<core::Wall> SimStore::recover_gone_before() { return disk_.gone_before(); }

ports::Result<std::vector<ports::RecoveredType>> SimStore::recover_types() {
  std::vector<ports::RecoveredType> out;
  for (const auto& [name, type] : disk_.types()) out.push_back({name, type.timeout, type.retry});
  return out;
}

ports::Result<std::vector<core::HostId>> SimStore::recover_hosts() {
  serving_ = true;
  return disk_.hosts();
}

void SimStore::commit(const core::Batch& batch) {
  if (!ready()) throw Violation("commit() to a store that is not ready");
  assassin_.pass(Moment::kBeforeCommit);
  line_->under_way = disk_.own(batch);
  trace_.note("commit", batch.sequence, batch.jobs.size(), batch.removals.size());
  send_batch();
  assassin_.pass(Moment::kAfterCommit);
}

void SimStore::send_batch() {
  // One that took effect before the store lost it is taken again.
  const bool refuse = !line_->under_way->has_applied && weather_.full_until > agenda_.steady() &&
                      dice_.chance(weather_.refuse);
  const auto batch = line_->under_way;
  const std::uint64_t connection = line_->connection;
  // The line is kept alive by what travels on it: a commit may take effect after its broker's end.
  agenda_.after(latency(plan_.store_latency_most), [this, line = line_, batch, connection, refuse,
                                                    &disk = disk_] {
    if (!line->dead) return execute(batch, connection, refuse);
    if (!refuse && disk.epoch() == line->epoch && disk.sequence() + 1 == batch->batch.sequence)
      disk.apply(*batch);
  });
}

void SimStore::execute(const std::shared_ptr<const Transaction>& batch, std::uint64_t connection,
                       bool refuse) {
  if (connection != line_->connection) return;
  if (disk_.epoch() != line_->epoch) {
    answer(latency(plan_.store_latency_most), ports::Fenced{"another epoch"});
    return;
  }
  if (refuse) {
    coverage_.met(Met::kStoreRefused);
    answer(latency(plan_.store_latency_most),
           ports::BatchRefused{batch->batch.sequence, core::Code::kStoreFull, "full"});
    return;
  }
  disk_.apply(*batch);
  trace_.note("applied", batch->batch.sequence);
  answer(latency(plan_.store_latency_most), ports::Committed{batch->batch.sequence});
}

void SimStore::answer(Micros delay, ports::StoreEvent event) {
  line_->replies.push_back({agenda_.steady() + delay, std::move(event)});
  agenda_.after(delay, [this, line = line_] {
    if (!line->dead && wake) wake();
  });
}

void SimStore::go_away(Micros time) {
  if (line_->away) return;
  const bool effect_reached =
      line_->under_way && disk_.sequence() == line_->under_way->batch.sequence;
  // What has been sent may still take effect although nobody will hear of it.
  const bool arrives =
      line_->under_way && !effect_reached && dice_.chance(0.5) && disk_.epoch() == line_->epoch;
  if (line_->under_way) {
    coverage_.met(effect_reached || arrives ? Met::kStoreAwayAfterEffect
                                            : Met::kStoreAwayBeforeEffect);
  }
  if (arrives) disk_.apply(*line_->under_way);
  ++line_->connection;
  line_->away = true;
  line_->replies.clear();
  line_->reads = 0;
  trace_.note("store away", effect_reached, arrives);
  answer(dice_.span(Micros(0), Micros(5'000)), ports::StoreAway{"gone"});
  agenda_.after(time, [this, line = line_] {
    if (!line->dead) come_back();
  });
}

void SimStore::lose_batches(Micros time) {
  if (line_->away || disk_.epoch() != line_->epoch) return;
  go_away(time);
  // Only what this broker has committed, and still has.
  std::size_t most = std::min(line_->ring.size(), disk_.can_lose());
  if (line_->under_way && disk_.sequence() == line_->under_way->batch.sequence)
    most = std::min(most + 1, disk_.can_lose());
  if (most == 0) return;
  const std::size_t count = 1 + dice_.below(most);
  trace_.note("store lost batches", count);
  coverage_.met(Met::kStoreWentBack);
  disk_.lose(count);
  line_->lost = true;
}

void SimStore::come_back() {
  if (disk_.epoch() != line_->epoch) {
    answer(Micros(0), ports::Fenced{"another epoch"});
    return;
  }
  std::uint32_t repaired = 0;
  for (const auto& batch : line_->ring) {
    if (batch->batch.sequence != disk_.sequence() + 1) continue;
    disk_.apply(*batch);
    ++repaired;
  }
  coverage_.met(Met::kBatchRepaired, repaired);
  line_->away = false;
  if (!line_->under_way) line_->lost = false;
  // The order of the answers is the store's business.
  answer(dice_.span(Micros(0), Micros(3'000)), ports::StoreBack{repaired});
  trace_.note("store back", repaired, disk_.sequence(), line_->committed);
  if (!line_->under_way) return;
  if (disk_.sequence() == line_->under_way->batch.sequence) {
    answer(latency(plan_.store_latency_most), ports::Committed{line_->under_way->batch.sequence});
  } else {
    send_batch();
  }
}

bool SimStore::read(ports::ReadRequest request) {
  if (line_->away || line_->reads >= 4) return false;
  ++line_->reads;
  if (request.what == ports::ReadRequest::What::kPayload)
    coverage_.met(Met::kPayloadRead, request.ids.size());
  const std::uint64_t connection = line_->connection;
  agenda_.after(latency(plan_.read_latency_most),
                [this, line = line_, connection, request = std::move(request)] {
                  if (line->dead || connection != line->connection) return;
                  ports::ReadDone done;
                  done.tag = request.tag;
                  for (const core::JobId& id : request.ids) {
                    const bool payload = request.what == ports::ReadRequest::What::kPayload ||
                                         request.what == ports::ReadRequest::What::kWhole;
                    done.jobs.push_back(look(id, payload));
                  }
                  --line->reads;
                  answer(latency(plan_.read_latency_most), std::move(done));
                });
  return true;
}

bool SimStore::scan(ports::ScanRequest request) {
  if (line_->away || line_->reads >= 4) return false;
  ++line_->reads;
  const std::uint64_t connection = line_->connection;
  // The index first, and some time later the jobs.
  agenda_.after(latency(plan_.read_latency_most), [this, line = line_, connection,
                                                   request = std::move(request)] {
    if (line->dead || connection != line->connection) return;
    std::vector<core::IndexPlace> places;
    for (const auto& [id, job] : disk_.jobs()) {
      if (job.job.queue != request.queue || job.job.state != request.state) continue;
      const core::IndexPlace place{core::index_time(job.job), id};
      if (place > request.after) places.push_back(place);
    }
    std::sort(places.begin(), places.end());
    const bool last = places.size() < request.limit;
    places.resize(std::min<std::size_t>(places.size(), request.limit));
    agenda_.after(latency(plan_.read_latency_most),
                  [this, line, connection, request, last, places = std::move(places)] {
                    if (line->dead || connection != line->connection) return;
                    ports::ScanDone done;
                    done.tag = request.tag;
                    done.last = last;
                    done.end = places.empty() ? request.after : places.back();
                    for (const core::IndexPlace& place : places) {
                      ports::StoredJob job = look(place.id, false);
                      if (job.found && job.job.state == request.state && job.queue == request.queue)
                        done.jobs.push_back(std::move(job));
                    }
                    for (ports::StoredJob& job : done.jobs) job.rebind();
                    --line->reads;
                    answer(latency(plan_.read_latency_most), std::move(done));
                  });
  });
  return true;
}

void SimStore::settle_committed() {
  line_->committed = line_->under_way->batch.sequence;
  line_->lost = false;
  line_->ring.push_back(std::move(line_->under_way));
  line_->under_way.reset();
  if (line_->ring.size() > plan_.kept_batches) line_->ring.pop_front();
}

void SimStore::poll(core::Steady now, std::vector<ports::StoreEvent>& events) {
  const bool scarce = weather_.full_is_told && weather_.full_until > now;
  if (scarce != line_->told_scarce && !line_->away) {
    line_->told_scarce = scarce;
    if (scarce) coverage_.met(Met::kStoreScarce);
    events.push_back(ports::StoreRoom{scarce, "as it is"});
  }
  for (std::size_t i = 0; i < line_->replies.size();) {
    if (line_->replies[i].at > now) {
      ++i;
      continue;
    }
    ports::StoreEvent event = std::move(line_->replies[i].event);
    line_->replies.erase(line_->replies.begin() + static_cast<std::ptrdiff_t>(i));
    if (const auto* committed = std::get_if<ports::Committed>(&event)) {
      if (!line_->under_way || line_->under_way->batch.sequence != committed->sequence)
        throw Violation("the simulated store: a reply too many");
      assassin_.pass(Moment::kBeforeReply);
      settle_committed();
    } else if (std::holds_alternative<ports::BatchRefused>(event)) {
      line_->under_way.reset();
      line_->lost = false;
    }
    events.push_back(std::move(event));
  }
}

std::optional<core::Steady> SimStore::deadline() const {
  std::optional<core::Steady> next;
  if (line_->told_scarce && !line_->away) next = weather_.full_until;
  for (const Reply& reply : line_->replies) next = next ? std::min(*next, reply.at) : reply.at;
  return next;
}

}  // namespace jobwire::sim
