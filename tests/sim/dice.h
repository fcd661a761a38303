// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>

#include "core/ids.h"
#include "core/random.h"
#include "core/time.h"

namespace jobwire::sim {

/// All chance of a run, from its seed. Each part of the world has dice of its own, so that a change
/// in one part does not reshuffle the others.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) { random_.next(); }

  Dice fork() { return Dice(random_.next()); }
  std::uint64_t next() { return random_.next(); }
  bool chance(double probability) { return random_.fraction() < probability; }

  /// Uniform in [low, high].
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low +
           static_cast<std::int64_t>(random_.next() % static_cast<std::uint64_t>(high - low + 1));
  }
  std::size_t below(std::size_t count) { return static_cast<std::size_t>(random_.next() % count); }

  core::Micros span(core::Micros low, core::Micros high) {
    return core::Micros(between(low.count(), high.count()));
  }

  template <typename Id>
  Id id() {
    Id id;
    const std::uint64_t halves[2] = {next(), next() | 1};
    std::memcpy(id.bytes.data(), halves, sizeof halves);
    return id;
  }

  /// An id as producers make them: 48 bits of time, then random.
  core::JobId job_id(core::Wall now) {
    auto made = id<core::JobId>();
    auto millis = static_cast<std::uint64_t>(now.time_since_epoch().count());
    for (int i = 5; i >= 0; --i) {
      made.bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(millis);
      millis >>= 8;
    }
    return made;
  }

 private:
  core::Random random_;
};

}  // namespace jobwire::sim
