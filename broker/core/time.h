// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

namespace jobwire::core {

using Millis = std::chrono::milliseconds;
using Micros = std::chrono::microseconds;

/// A clock that nobody sets: leases, heartbeats and timers. It has no now(): time is an argument of
/// the rules.
struct SteadyTag {
  using duration = Micros;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<SteadyTag, duration>;
  static constexpr bool is_steady = true;
};
using Steady = SteadyTag::time_point;

/// Time of day: what is stored, and what users say. It may jump.
using Wall = std::chrono::sys_time<Millis>;

struct Now {
  Steady steady{};
  Wall wall{};
};

}  // namespace jobwire::core
