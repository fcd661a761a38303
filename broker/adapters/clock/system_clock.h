// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ports/transport.h"

namespace jobwire::clock {

/// The machine's clocks: CLOCK_MONOTONIC, which nobody sets and which stands while the machine
/// sleeps, and the time of day. About 40 ns.
class SystemClock : public ports::Clock {
 public:
  core::Now now() const override;
};

}  // namespace jobwire::clock
