// SPDX-License-Identifier: Apache-2.0
#include "core/fleet.h"

#include <cassert>

namespace jobwire::core {

WorkerIx Fleet::find(const HostId& host, WorkerNumber number) const {
  const auto found = by_number_.find(Key{host, number});
  return found == by_number_.end() ? kNoWorker : found->second;
}

WorkerIx Fleet::add_worker(const HostId& host, WorkerNumber number) {
  WorkerIx ix;
  if (free_workers_.empty()) {
    ix = WorkerIx{static_cast<std::uint32_t>(workers_.size())};
    workers_.emplace_back();
  } else {
    ix = free_workers_.back();
    free_workers_.pop_back();
  }
  Worker& worker = workers_[raw(ix)];
  worker.host = host;
  worker.number = number;
  worker.alive = true;
  by_number_.emplace(Key{host, number}, ix);
  return ix;
}

void Fleet::remove_worker(WorkerIx ix) {
  Worker& worker = workers_[raw(ix)];
  assert(worker.leases == 0 && worker.room == Room::kNone);
  by_number_.erase(Key{worker.host, worker.number});
  worker = Worker{};
  free_workers_.push_back(ix);
}

void Fleet::link(LeaseIx ix, WorkerIx worker_ix) {
  Lease& lease = leases_[raw(ix)];
  Worker& worker = workers_[raw(worker_ix)];
  lease.worker = worker_ix;
  lease.previous = worker.youngest;
  lease.next = kNoLease;
  if (worker.youngest != kNoLease) {
    leases_[raw(worker.youngest)].next = ix;
  } else {
    worker.oldest = ix;
  }
  worker.youngest = ix;
  ++worker.leases;
  worker.load_us += lease.estimate_us;
}

void Fleet::unlink(LeaseIx ix) {
  Lease& lease = leases_[raw(ix)];
  Worker& worker = workers_[raw(lease.worker)];
  (lease.previous == kNoLease ? worker.oldest : leases_[raw(lease.previous)].next) = lease.next;
  (lease.next == kNoLease ? worker.youngest : leases_[raw(lease.next)].previous) = lease.previous;
  --worker.leases;
  worker.load_us -= lease.estimate_us;
}

LeaseIx Fleet::add_lease(JobIx job, WorkerIx worker, const LeaseToken& token,
                         std::uint32_t estimate_us, Steady now) {
  LeaseIx ix = free_leases_;
  if (ix == kNoLease) {
    ix = LeaseIx{static_cast<std::uint32_t>(leases_.size())};
    leases_.emplace_back();
  } else {
    free_leases_ = leases_[raw(ix)].next;
  }
  Lease& lease = leases_[raw(ix)];
  lease = Lease{};
  lease.token = token;
  lease.job = job;
  lease.granted = now;
  lease.estimate_us = estimate_us;
  link(ix, worker);
  ++lease_count_;
  return ix;
}

void Fleet::remove_lease(LeaseIx ix) {
  unlink(ix);
  Lease& lease = leases_[raw(ix)];
  lease = Lease{};
  lease.next = free_leases_;
  free_leases_ = ix;
  --lease_count_;
}

void Fleet::move_lease(LeaseIx ix, WorkerIx to) {
  unlink(ix);
  link(ix, to);
}

}  // namespace jobwire::core
