// SPDX-License-Identifier: Apache-2.0
#include "core/job_table.h"

#include <algorithm>
#include <cassert>

namespace jobwire::core {

JobIx JobTable::find(const JobId& id) const {
  if (index_.empty()) return kNoJob;
  const std::uint32_t hash = hash_of(id);
  for (std::size_t at = hash & (index_.size() - 1); index_[at].job != kNoJob; at = next(at)) {
    if (index_[at].hash == hash && (*this)[index_[at].job].id == id) return index_[at].job;
  }
  return kNoJob;
}

void JobTable::place(const Entry& entry) {
  std::size_t at = entry.hash & (index_.size() - 1);
  while (index_[at].job != kNoJob) at = next(at);
  index_[at] = entry;
}

void JobTable::grow() {
  std::vector<Entry> old(std::max<std::size_t>(kChunk, 2 * index_.size()));
  old.swap(index_);
  for (const Entry& entry : old) {
    if (entry.job != kNoJob) place(entry);
  }
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
  assert(find(id) == kNoJob);
  if (4 * (size_ + 1) > 3 * index_.size()) grow();
  place({hash_of(id), ix});
  ++size_;
  Job& job = (*this)[ix];
  free_ = job.next;
  job.next = kNoJob;
  job.id = id;
  return ix;
}

void JobTable::erase(JobIx ix) {
  Job& job = (*this)[ix];
  std::size_t hole = hash_of(job.id) & (index_.size() - 1);
  while (index_[hole].job != ix) hole = next(hole);
  // Whatever was pushed past the hole moves back, so that no search ends early.
  for (std::size_t at = next(hole); index_[at].job != kNoJob; at = next(at)) {
    const std::size_t distance = (at - index_[at].hash) & (index_.size() - 1);
    if (distance < ((at - hole) & (index_.size() - 1))) continue;
    index_[hole] = index_[at];
    hole = at;
  }
  index_[hole] = Entry{};
  --size_;
  const auto stamp = static_cast<std::uint16_t>(job.timer_stamp + 1);
  job = Job{};
  job.timer_stamp = stamp;
  job.next = free_;
  free_ = ix;
}

}  // namespace jobwire::core
