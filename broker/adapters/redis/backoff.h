// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>

#include "core/time.h"

namespace jobwire::redis {

/// How long to wait before the next try: doubles from `first` to `most`, each time between half and
/// all of that, so that brokers which lost the same Redis do not come back in step.
class Backoff {
 public:
  Backoff(core::Micros first, core::Micros most, std::uint32_t seed)
      : first_(first), most_(most), random_(seed), wait_(first) {}

  core::Micros next() {
    const core::Micros wait = wait_;
    wait_ = std::min(most_, wait_ * 2);
    return wait / 2 + core::Micros(static_cast<std::int64_t>(random_()) % (wait.count() / 2 + 1));
  }
  void reset() { wait_ = first_; }

 private:
  core::Micros first_;
  core::Micros most_;
  std::minstd_rand random_;
  core::Micros wait_;
};

}  // namespace jobwire::redis
