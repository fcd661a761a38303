// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/job_table.h"
#include "core/time.h"

namespace jobwire::core {

/// Moments at which a job must be looked at again. A heap with lazy removal: an entry that no
/// longer fits its job is dropped by whoever takes it, or by sweep(), so setting a timer anew is
/// just one more entry. 32 bytes an entry, O(log n).
class Timers {
 public:
  enum class Kind : std::uint8_t { kDue, kExpire };

  struct Entry {
    Steady at;
    std::uint64_t id_tail;  // tells whether the slot still holds the same job
    JobIx job;
    std::uint16_t stamp;
    Kind kind;
  };

  void set(const Entry& entry) {
    heap_.push_back(entry);
    std::push_heap(heap_.begin(), heap_.end(), later);
  }

  std::optional<Steady> next() const {
    if (heap_.empty()) return std::nullopt;
    return heap_.front().at;
  }

  /// The next entry whose time has come, removed; nothing when none has.
  std::optional<Entry> take(Steady now) {
    if (heap_.empty() || heap_.front().at > now) return std::nullopt;
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const Entry entry = heap_.back();
    heap_.pop_back();
    return entry;
  }

  /// Throws out the entries that are stale, once there are twice as many as after the last time:
  /// O(1) an entry set.
  template <typename Stale>
  void sweep(Stale&& stale) {
    if (heap_.size() < sweep_at_) return;
    std::erase_if(heap_, stale);
    std::make_heap(heap_.begin(), heap_.end(), later);
    sweep_at_ = std::max(kLeastSweep, 2 * heap_.size());
  }

  std::size_t size() const { return heap_.size(); }

 private:
  static constexpr std::size_t kLeastSweep = 1'024;
  static bool later(const Entry& a, const Entry& b) { return a.at > b.at; }

  std::vector<Entry> heap_;
  std::size_t sweep_at_ = kLeastSweep;
};

}  // namespace jobwire::core
