// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>

#include "jobwire/export.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;

/// Longer waits are cut to this: no wait is infinite, and adding to now cannot overflow.
constexpr std::chrono::hours kLongestWait{24 * 365};

inline TimePoint deadline_in(std::chrono::milliseconds timeout) {
  return Clock::now() +
         std::clamp<std::chrono::milliseconds>(timeout, std::chrono::milliseconds{0}, kLongestWait);
}

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
