// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "adapters/redis/batch_writer.h"
#include "core/time.h"

namespace jobwire::redis {

/// The last committed transactions, kept so that they can be written again when Redis comes back
/// without them. Bounded by bytes and by age; never less than nothing, so that one huge transaction
/// may not be kept at all.
class BatchRing {
 public:
  BatchRing(std::size_t most_bytes, core::Micros longest)
      : most_bytes_(most_bytes), longest_(longest) {}

  /// `before`: the sequence that the store had until then.
  void push(std::uint64_t before, Transaction transaction, core::Steady now);
  /// Lets go of what is too old.
  void trim(core::Steady now);
  /// When trim() next has something to do.
  bool empty() const { return entries_.empty(); }
  core::Steady oldest_ends() const { return entries_.front().at + longest_; }

  /// Position of the first transaction to write again on a store whose last one was `sequence`;
  /// size() when the ring does not reach back to it.
  std::size_t after(std::uint64_t sequence) const;
  std::size_t size() const { return entries_.size(); }
  const Transaction& at(std::size_t position) const { return entries_[position].transaction; }
  /// The sequence that the store had before it.
  std::uint64_t before(std::size_t position) const { return entries_[position].before; }

  /// A string whose memory is no longer needed; empty when there is none.
  std::string spare();
  std::size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    std::uint64_t before;
    Transaction transaction;
    core::Steady at;
  };
  void pop();

  std::size_t most_bytes_;
  core::Micros longest_;
  std::size_t bytes_ = 0;
  std::deque<Entry> entries_;
  std::vector<std::string> spares_;
};

}  // namespace jobwire::redis
