// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "core/time.h"
#include "ports/transport.h"

namespace jobwire::sim {

/// Simulated time: what is to happen, and when. Things at the same moment happen in the order in
/// which they were put down. Time moves only in step(), and never by itself.
class Agenda : public ports::Clock {
 public:
  core::Now now() const override { return {now_, wall()}; }
  core::Steady steady() const { return now_; }
  core::Wall wall() const {
    return core::Wall(
        core::Millis(kWallStart + wall_offset_.count() + now_.time_since_epoch().count() / 1000));
  }
  /// The time of day without the steps: what a peer's own clock shows.
  core::Wall true_wall() const {
    return core::Wall(core::Millis(kWallStart + now_.time_since_epoch().count() / 1000));
  }
  /// Somebody sets the clock.
  void step_wall(core::Millis by) { wall_offset_ += by; }
  void restore_wall() { wall_offset_ = core::Millis{0}; }

  void at(core::Steady when, std::function<void()> what) {
    entries_.push_back({std::max(when, now_), ++count_, std::move(what)});
    std::push_heap(entries_.begin(), entries_.end(), later);
  }
  void after(core::Micros delay, std::function<void()> what) { at(now_ + delay, std::move(what)); }

  /// Goes to the next entry at or before `limit` and does it. False, at `limit`, when there is
  /// none.
  bool step(core::Steady limit) {
    if (entries_.empty() || entries_.front().at > limit) {
      now_ = std::max(now_, limit);
      return false;
    }
    std::pop_heap(entries_.begin(), entries_.end(), later);
    Entry entry = std::move(entries_.back());
    entries_.pop_back();
    now_ = entry.at;
    entry.what();
    return true;
  }

  /// The broker is busy for so long.
  void spend(core::Micros time) { now_ += time; }

 private:
  struct Entry {
    core::Steady at;
    std::uint64_t order;
    std::function<void()> what;
  };
  static bool later(const Entry& a, const Entry& b) {
    return a.at != b.at ? a.at > b.at : a.order > b.order;
  }

  static constexpr std::int64_t kWallStart = 1'800'000'000'000;

  std::vector<Entry> entries_;
  std::uint64_t count_ = 0;
  core::Steady now_{core::Micros(1'000'000'000)};
  core::Millis wall_offset_{0};
};

}  // namespace jobwire::sim
