// SPDX-License-Identifier: Apache-2.0
#include "sim/audit.h"

#include <algorithm>
#include <map>
#include <set>

namespace jobwire::core {
namespace {

std::string differ(const char* what, std::uint64_t kept, std::uint64_t counted) {
  if (kept == counted) return {};
  return std::string(what) + ": the engine has " + std::to_string(kept) + ", there are " +
         std::to_string(counted);
}

}  // namespace

std::string EngineAudit::check_jobs() {
  Engine& e = engine_;
  std::uint64_t unstored = 0, unstored_bytes = 0, resident = 0, dirty = 0, staged = 0, leased = 0;
  std::map<std::uint32_t, std::pair<std::uint64_t, std::uint64_t>> queues;
  std::map<std::uint32_t, std::array<std::uint64_t, kStates>> in_state;
  std::string wrong;
  e.jobs_.for_each([&](JobIx ix) {
    const Job& job = e.jobs_[ix];
    const auto say = [&](const char* what) {
      if (wrong.empty())
        wrong = std::string(what) + ": job " + to_string(job.id) + ", " +
                std::string(name_of(job.state));
    };
    if (job.stored == State::kNone) {
      ++unstored;
      unstored_bytes += job.payload_size;
    }
    if (job.resident) resident += job.payload_size;
    if (job.dirty) ++dirty;
    if (job.staged) ++staged;
    if (job.lease != kNoLease) ++leased;
    auto& [jobs, bytes] = queues[raw(e.lanes_.queue_of(job))];
    ++jobs;
    bytes += job.payload_size;
    ++in_state[raw(e.lanes_.queue_of(job))][static_cast<std::size_t>(job.state)];
    if (job.linked && job.state != State::kQueued) say("in a lane, but not queued");
    if (job.lease != kNoLease && job.state != State::kRunning) say("leased, but not running");
    if (job.state == State::kRunning && job.lease == kNoLease && !job.adoptable)
      say("running without a lease");
    if (job.state == State::kQueued && job.stored != State::kNone && !job.linked && !job.staged &&
        !job.dirty) {
      say("queued and stored, but in no lane");
    }
    if (job.linked && job.stored == State::kNone) say("ready to run before it is stored");
    if (job.cancelling && job.state != State::kRunning && !is_final(job.state))
      say("being cancelled, but not running");
    if (job.resident && job.payload_size > 0 && !job.payload)
      say("counts as resident without its payload");
    if (is_final(job.state) && !job.dirty && !job.staged) say("ended, and nobody will write it");
    if (job.state != job.stored && !job.dirty && !job.staged && job.state != State::kRunning &&
        job.state != State::kQueued) {
      say("changed, and nobody will write it");
    }
  });
  if (!wrong.empty()) return wrong;
  for (std::uint32_t q = 0; q < e.lanes_.queues(); ++q) {
    const Queue& queue = e.lanes_[QueueIx{q}];
    if (auto d = differ("jobs of a queue", queue.jobs, queues[q].first); !d.empty()) return d;
    if (auto d = differ("bytes of a queue", queue.bytes, queues[q].second); !d.empty()) return d;
    if (queue.in_state != in_state[q]) return "a queue's counts of states do not fit its jobs";
  }
  if (auto d = differ("unstored jobs", e.unstored_jobs_, unstored); !d.empty()) return d;
  if (auto d = differ("unstored bytes", e.unstored_bytes_, unstored_bytes); !d.empty()) return d;
  if (auto d = differ("resident bytes", e.resident_bytes_, resident); !d.empty()) return d;
  if (auto d = differ("dirty jobs", e.dirty_.size(), dirty); !d.empty()) return d;
  if (auto d = differ("staged jobs", e.staged_.size(), staged); !d.empty()) return d;
  return differ("leases", e.fleet_.leases(), leased);
}

std::string EngineAudit::check_leases() {
  Engine& e = engine_;
  std::size_t found = 0;
  std::set<LeaseToken> tokens;
  for (std::uint32_t w = 0; w < e.fleet_.worker_slots(); ++w) {
    const Worker& worker = e.fleet_[WorkerIx{w}];
    std::uint64_t load = 0;
    std::uint32_t count = 0;
    LeaseIx previous = kNoLease;
    for (LeaseIx ix = worker.oldest; ix != kNoLease; ix = e.fleet_[ix].next) {
      const Lease& lease = e.fleet_[ix];
      if (lease.previous != previous) return "a worker's leases are not linked both ways";
      if (raw(lease.worker) != w) return "a lease in another worker's list";
      if (lease.job == kNoJob || e.jobs_[lease.job].lease != ix)
        return "a lease whose job does not know it";
      if (!tokens.insert(lease.token).second) return "two leases with one token";
      load += lease.estimate_us;
      ++count;
      previous = ix;
    }
    if (worker.youngest != previous) return "a worker's youngest lease is not its last";
    if (auto d = differ("leases of a worker", worker.leases, count); !d.empty()) return d;
    if (auto d = differ("load of a worker", worker.load_us, load); !d.empty()) return d;
    if (!worker.alive && count > 0) return "a worker that is gone has leases";
    found += count;
  }
  return differ("leases in lists", e.fleet_.leases(), found);
}

std::vector<LeaseToken> EngineAudit::held_up() {
  Engine& e = engine_;
  std::vector<LeaseToken> found;
  if (!e.dispatches()) return found;
  for (std::uint32_t w = 0; w < e.fleet_.worker_slots(); ++w) {
    const Worker& worker = e.fleet_[WorkerIx{w}];
    if (!worker.alive || !worker.connected || worker.group == kNoGroup) continue;
    std::uint32_t before = 0;
    for (LeaseIx ix = worker.oldest; ix != kNoLease; ix = e.fleet_[ix].next) {
      const Lease& lease = e.fleet_[ix];
      if (before++ < worker.slots || lease.recalled) continue;
      for (const Lane::Server& server : e.lanes_[e.jobs_[lease.job].lane].servers) {
        if (e.lanes_[server.group].idle.head == kNoWorker) continue;
        found.push_back(lease.token);
        break;
      }
    }
  }
  return found;
}

std::string EngineAudit::check_lanes() {
  Engine& e = engine_;
  std::size_t linked = 0;
  for (std::uint32_t q = 0; q < e.lanes_.queues(); ++q) {
    for (const LaneIx lane_ix : e.lanes_[QueueIx{q}].lanes) {
      const Lane& lane = e.lanes_[lane_ix];
      std::uint32_t ready = 0;
      std::uint16_t mask = 0;
      for (std::size_t p = 0; p < lane.lists.size(); ++p) {
        JobIx previous = kNoJob;
        for (JobIx ix = lane.lists[p].head; ix != kNoJob; ix = e.jobs_[ix].next) {
          const Job& job = e.jobs_[ix];
          if (!job.linked || job.lane != lane_ix || job.priority != p || job.previous != previous) {
            return "a lane's list holds a job that is not its";
          }
          previous = ix;
          ++ready;
          mask = static_cast<std::uint16_t>(mask | (1U << p));
        }
        if (lane.lists[p].tail != previous) return "a lane's list ends elsewhere";
      }
      if (auto d = differ("ready jobs of a lane", lane.ready, ready); !d.empty()) return d;
      if (lane.mask != mask) return "a lane's mask does not fit its lists";
      linked += ready;
      if (ready == 0) continue;
      if (e.lanes_[lane.queue].settings.paused) continue;
      for (const Lane::Server& server : lane.servers) {
        const Group& group = e.lanes_[server.group];
        if (!lane.fetching && !group.queues[server.queue].in_ring)
          return "a lane with work is in no ring of its group";
        if (!lane.fetching && !e.adopting_until_ && group.idle.head != kNoWorker && !group.hot) {
          return "work and an idle worker, and nobody will look";
        }
      }
    }
  }
  std::size_t marked = 0;
  e.jobs_.for_each([&](JobIx ix) { marked += e.jobs_[ix].linked ? 1 : 0; });
  return differ("jobs in lanes", marked, linked);
}

std::string EngineAudit::check_rooms() {
  Engine& e = engine_;
  std::vector<std::uint32_t> with_room(e.lanes_.groups(), 0);
  for (std::uint32_t w = 0; w < e.fleet_.worker_slots(); ++w) {
    const Worker& worker = e.fleet_[WorkerIx{w}];
    if (worker.room == Room::kNone) {
      // Between Hello and Ready it has no group.
      if (worker.alive && worker.connected && worker.group != kNoGroup &&
          worker.declined_at == Steady{} && worker.leases < worker.slots)
        return "a worker with a free slot is in no list";
      continue;
    }
    if (!worker.alive || !worker.connected || worker.group == kNoGroup)
      return "a worker in a list that takes nothing";
    ++with_room[raw(worker.group)];
  }
  for (std::uint32_t g = 0; g < e.lanes_.groups(); ++g) {
    const Group& group = e.lanes_[GroupIx{g}];
    std::uint32_t listed = 0;
    for (const Group::List* list : {&group.idle, &group.ahead}) {
      for (WorkerIx ix = list->head; ix != kNoWorker; ix = e.fleet_[ix].room_next) ++listed;
    }
    if (auto d = differ("workers with room", group.with_room, listed); !d.empty()) return d;
    if (auto d = differ("workers in the lists", with_room[g], listed); !d.empty()) return d;
  }
  return {};
}

std::string EngineAudit::check_sessions() {
  Engine& e = engine_;
  std::map<SessionId, std::pair<std::uint32_t, std::uint64_t>> unreceipted;
  e.jobs_.for_each([&](JobIx ix) {
    const Job& job = e.jobs_[ix];
    if (job.stored != State::kNone || job.submitter == SessionId{}) return;
    auto& [jobs, bytes] = unreceipted[job.submitter];
    ++jobs;
    bytes += job.payload_size;
  });
  for (const auto& [id, session] : e.sessions_) {
    const auto& [jobs, bytes] = unreceipted[id];
    if (auto d = differ("unreceipted jobs of a session", session.unreceipted, jobs); !d.empty())
      return d;
    if (auto d = differ("unreceipted bytes of a session", session.unreceipted_bytes, bytes);
        !d.empty())
      return d;
    if (session.worker != kNoWorker && e.fleet_[session.worker].session != id)
      return "a session of a worker that has another";
  }
  for (std::uint32_t w = 0; w < e.fleet_.worker_slots(); ++w) {
    const Worker& worker = e.fleet_[WorkerIx{w}];
    if (worker.alive && worker.connected && !e.sessions_.contains(worker.session))
      return "a connected worker without a session";
  }
  return {};
}

std::string EngineAudit::check_bounds() {
  const EngineConfig& c = engine_.config_;
  if (engine_.unstored_jobs_ > c.max_unstored_jobs)
    return "more unstored jobs than max_unstored_jobs";
  if (engine_.unstored_bytes_ > c.max_unstored_bytes)
    return "more unstored bytes than max_unstored_bytes";
  for (const auto& [id, session] : engine_.sessions_) {
    if (session.unreceipted > c.window_jobs || session.unreceipted_bytes > c.window_bytes)
      return "a session beyond its window";
  }
  if (engine_.late_marks_.size() > 4 * (engine_.jobs_.size() + 1'000)) return "too many late marks";
  if (engine_.timers_.size() > 8 * (engine_.jobs_.size() + 1'100)) return "too many timers";
  return {};
}

std::string EngineAudit::check() {
  for (const auto part :
       {&EngineAudit::check_jobs, &EngineAudit::check_leases, &EngineAudit::check_lanes,
        &EngineAudit::check_rooms, &EngineAudit::check_sessions, &EngineAudit::check_bounds}) {
    if (std::string wrong = (this->*part)(); !wrong.empty()) return wrong;
  }
  return {};
}

std::size_t EngineAudit::ready_workers() const {
  std::size_t ready = 0;
  for (std::uint32_t w = 0; w < engine_.fleet_.worker_slots(); ++w) {
    const Worker& worker = engine_.fleet_[WorkerIx{w}];
    if (worker.alive && worker.connected && worker.group != kNoGroup) ++ready;
  }
  return ready;
}

std::string EngineAudit::check_idle() {
  const Engine& e = engine_;
  if (e.jobs_.size() != 0) return "jobs are left";
  if (e.fleet_.leases() != 0) return "leases are left";
  if (e.resident_bytes_ != 0 || e.unstored_bytes_ != 0 || e.unstored_jobs_ != 0)
    return "bytes are left";
  if (!e.dirty_.empty() || !e.staged_.empty() || !e.orphans_.empty()) return "writes are left";
  if (e.finished_.size() != 0) return "finished jobs are left after their time";
  if (!e.dedups_.empty() || !e.dedup_ends_.empty()) return "dedup keys are left after their time";
  if (e.timers_.size() > 1'024) return "timers are left";
  if (!e.late_marks_.empty()) return "late marks are left";
  if (e.checkpoints_.size() != 0 || e.checkpoints_.bytes() != 0) return "checkpoints are left";
  if (e.sweeps_.size() != 0 || !e.dropping_.empty()) return "sweeps are left";
  return {};
}

}  // namespace jobwire::core
