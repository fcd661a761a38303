// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/batch_ring.h"

#include <utility>

namespace jobwire::redis {

void BatchRing::push(std::uint64_t before, Transaction transaction, core::Steady now) {
  // A small transaction in memory that was a big one's would use up the bound.
  if (transaction.bytes.capacity() / 4 > transaction.bytes.size())
    transaction.bytes.shrink_to_fit();
  bytes_ += transaction.bytes.capacity();
  entries_.push_back({before, std::move(transaction), now});
  while (!entries_.empty() && bytes_ > most_bytes_) pop();
}

void BatchRing::trim(core::Steady now) {
  while (!entries_.empty() && oldest_ends() <= now) pop();
}

std::size_t BatchRing::after(std::uint64_t sequence) const {
  for (std::size_t i = entries_.size(); i-- > 0;) {
    if (entries_[i].before == sequence) return i;
    if (entries_[i].before < sequence) break;
  }
  return entries_.size();
}

std::string BatchRing::spare() {
  if (spares_.empty()) return {};
  std::string string = std::move(spares_.back());
  spares_.pop_back();
  return string;
}

void BatchRing::pop() {
  // Only strings of usual size are worth keeping, and few of them.
  constexpr std::size_t kSpares = 4;
  constexpr std::size_t kUsual = 2 << 20;
  std::string& bytes = entries_.front().transaction.bytes;
  bytes_ -= bytes.capacity();
  if (spares_.size() < kSpares && bytes.capacity() <= kUsual) spares_.push_back(std::move(bytes));
  entries_.pop_front();
}

}  // namespace jobwire::redis
