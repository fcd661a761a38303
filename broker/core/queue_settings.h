// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "core/time.h"

namespace jobwire::core {

inline constexpr std::uint32_t kMaxWeight = 1'000;

/// What operators have set on a queue. Kept in the store; in effect from the commit on.
struct QueueSettings {
  std::uint32_t weight = 1;  // share of workers against other queues, 1 to kMaxWeight
  bool paused = false;       // nothing is handed out
  bool draining = false;     // nothing is taken in
  // Of the pause or drain:
  std::string by;
  std::string why;
  Wall since{};
  Wall until{};  // lifted by itself; zero: when it is resumed

  bool closed() const { return paused || draining; }
  /// Lifts pause and drain.
  void open() {
    paused = draining = false;
    by.clear();
    why.clear();
    since = until = Wall{};
  }

  friend bool operator==(const QueueSettings&, const QueueSettings&) = default;
};

}  // namespace jobwire::core
