// SPDX-License-Identifier: Apache-2.0
// Jobs that wait in a worker behind one that takes long, while another worker has nothing to do.
#include <algorithm>

#include "core/engine.h"

namespace jobwire::core {

void Engine::recall(LeaseIx ix, Effects& out) {
  Lease& lease = fleet_[ix];
  lease.recalled = true;
  out.recalls.push_back({fleet_[lease.worker].session, lease.token});
}

bool Engine::idle_elsewhere(const Job& job) {
  const Lane& lane = lanes_[job.lane];
  return std::any_of(lane.servers.begin(), lane.servers.end(), [&](const Lane::Server& server) {
    return lanes_[server.group].idle.head != kNoWorker;
  });
}

bool Engine::relieve(WorkerIx ix, Now now, Effects& out) {
  Worker& worker = fleet_[ix];
  if (!worker.alive || !worker.connected || worker.group == kNoGroup ||
      worker.leases <= worker.slots)
    return false;
  // The oldest run, as many as there are slots. The others came after them, in the order of the
  // list: once one of them has not waited for long, none behind it has.
  LeaseIx lease = worker.oldest;
  for (std::uint16_t slot = 0; slot < worker.slots; ++slot) lease = fleet_[lease].next;
  bool more = false;
  for (; lease != kNoLease; lease = fleet_[lease].next) {
    if (fleet_[lease].recalled) continue;
    more = true;
    if (now.steady - fleet_[lease].granted < config_.recall_after) break;
    // Nothing is sent to wait there until something ends.
    worker.held_up = true;
    if (idle_elsewhere(jobs_[fleet_[lease].job])) recall(lease, out);
  }
  if (worker.held_up) refresh_room(ix);
  return more;
}

void Engine::recall_held_up(Now now, Effects& out) {
  if (!recall_check_at_ || now.steady < *recall_check_at_) return;
  recall_check_at_.reset();
  if (!dispatches()) {
    recall_check_at_ = now.steady + config_.recall_after;
    return;
  }
  bool more = false;
  for (std::uint32_t i = 0; i < fleet_.worker_slots(); ++i)
    more = relieve(WorkerIx{i}, now, out) || more;
  if (more) recall_check_at_ = now.steady + config_.recall_after / 2;
}

}  // namespace jobwire::core
