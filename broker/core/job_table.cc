// SPDX-License-Identifier: Apache-2.0
#include "core/job_table.h"

#include <cassert>

namespace jobwire::core {

JobIx JobTable::find(const JobId& id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? kNoJob : found->second;
}

JobIx JobTable::insert(const JobId& id) {
  if (free_ == kNoJob) {
    const auto base = static_cast<std::uint32_t>(chunks_.size()) * kChunk;
    chunks_.push_back(std::make_unique<Job[]>(kChunk));
    for (std::uint32_t i = kChunk; i-- > 0;) {
      chunks_.back()[i].next = free_;
      free_ = JobIx{base + i};
    }
  }
  const JobIx ix = free_;
  const bool fresh = by_id_.emplace(id, ix).second;
  assert(fresh);
  (void)fresh;
  Job& job = (*this)[ix];
  free_ = job.next;
  job.next = kNoJob;
  job.id = id;
  return ix;
}

void JobTable::erase(JobIx ix) {
  Job& job = (*this)[ix];
  by_id_.erase(job.id);
  const auto stamp = static_cast<std::uint16_t>(job.timer_stamp + 1);
  job = Job{};
  job.timer_stamp = stamp;
  job.next = free_;
  free_ = ix;
}

}  // namespace jobwire::core
