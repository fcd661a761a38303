// SPDX-License-Identifier: Apache-2.0
#include "adapters/clock/system_clock.h"

#include <chrono>

namespace jobwire::clock {

core::Now SystemClock::now() const {
  using std::chrono::floor;
  const auto steady = std::chrono::steady_clock::now().time_since_epoch();
  return {core::Steady{floor<core::Micros>(steady)},
          floor<core::Millis>(std::chrono::system_clock::now())};
}

}  // namespace jobwire::clock
