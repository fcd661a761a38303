// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/control.h"
#include "core/job_table.h"
#include "core/time.h"

namespace jobwire::core {

/// How many jobs a sweep may change just now: a bucket that fills with its rate, up to a tenth of a
/// second's worth.
class Pace {
 public:
  /// 0: no cap.
  Pace(std::uint32_t per_second, Steady now);

  std::uint64_t allows(Steady now);
  /// Requires: allows() said that there is one.
  void take() { tokens_ -= capped_ ? 1.0 : 0.0; }
  /// When the next one is allowed. Requires: allows() says none.
  Steady next() const;

 private:
  bool capped_;
  double per_second_;
  double most_;
  double tokens_;
  Steady filled_;
};

/// A walk over many jobs, in slices: what it was asked, where it stands, what it has done. What it
/// does to a job is the engine's.
struct Sweep {
  Sweep(const SweepAsked& asked, std::uint64_t number, Now now);

  bool full() const { return limit != 0 && matched >= limit; }

  std::uint64_t number;  // counts up over all sweeps of this broker
  SessionId session;
  std::uint64_t request;
  SweepAction action;
  JobFilter filter;  // `before` is set
  std::string by;
  std::string why;
  bool dry_run;
  std::uint64_t limit;
  std::string to_queue;
  Pace pace;

  std::uint64_t matched = 0;
  std::uint64_t done = 0;  // and stored
  std::uint64_t failed = 0;
  std::uint64_t outstanding = 0;  // changed, not stored yet
  bool walked = false;            // nothing more to look at
  Code stopped = Code::kNone;     // why it did not go to its end
  const char* stop_message = "";
  Steady report_at;

  // Purge: slots of the table, or the filter's ids.
  std::uint32_t next = 0;
  std::uint32_t end = 0;
  bool any_time = false;  // the command named no time: whatever was there when it came

  // Replay, Drop: the store's indexes of the dead.
  std::vector<QueueIx> queues;  // still to walk, the next one last
  IndexPlace place;
  bool reading = false;
};

/// The sweeps under way: at most 16, found by the small number that a job under change carries.
class Sweeps {
 public:
  static constexpr std::uint8_t kMost = 16;

  /// The slot of a new sweep, from 1; 0 when all are taken.
  std::uint8_t add(const SweepAsked& asked, Now now);
  Sweep* find(std::uint8_t slot) { return slots_[slot - 1U] ? &*slots_[slot - 1U] : nullptr; }
  /// Requires: nothing of it is outstanding.
  void remove(std::uint8_t slot);
  std::uint8_t slot_of(std::uint64_t number) const;
  std::size_t size() const { return size_; }

  template <typename Visit>
  void for_each(Visit&& visit) {
    for (std::uint8_t slot = 1; size_ > 0 && slot <= kMost; ++slot) {
      if (slots_[slot - 1U]) visit(slot, *slots_[slot - 1U]);
    }
  }

 private:
  std::array<std::optional<Sweep>, kMost> slots_;
  std::size_t size_ = 0;
  std::uint64_t last_number_ = 0;
};

}  // namespace jobwire::core
