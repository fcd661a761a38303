// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <queue>
#include <vector>

#include "core/job_table.h"
#include "core/time.h"

namespace jobwire::core {

/// Moments at which a job must be looked at again. A heap with lazy removal: an entry that no longer fits its job is
/// dropped by whoever takes it, so setting a timer anew is just one more entry. 32 bytes an entry, O(log n).
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

  void set(const Entry& entry) { heap_.push(entry); }

  std::optional<Steady> next() const {
    if (heap_.empty()) return std::nullopt;
    return heap_.top().at;
  }

  /// The next entry whose time has come, removed; nothing when none has.
  std::optional<Entry> take(Steady now) {
    if (heap_.empty() || heap_.top().at > now) return std::nullopt;
    const Entry entry = heap_.top();
    heap_.pop();
    return entry;
  }

  std::size_t size() const { return heap_.size(); }

 private:
  struct Later {
    bool operator()(const Entry& a, const Entry& b) const { return a.at > b.at; }
  };
  std::priority_queue<Entry, std::vector<Entry>, Later> heap_;
};

}  // namespace jobwire::core
