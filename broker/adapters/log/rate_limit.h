// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"

namespace jobwire::log {

/// Lets the first few lines of a key through in each window and counts the rest. Pure: time is an
/// argument.
class RateLimit {
 public:
  static constexpr std::uint32_t kLinesPerWindow = 5;
  static constexpr core::Micros kWindow{10'000'000};

  struct LeftOut {
    std::string_view key;
    std::uint64_t lines = 0;
  };

  /// Whether a line of this key may be written now. An empty key always may. Keys live as long as
  /// this object.
  bool allow(std::string_view key, core::Steady now);

  /// Windows that have ended and in which lines were left out; each is said once. Order of first
  /// use. O(keys).
  std::vector<LeftOut> ended(core::Steady now);

 private:
  struct Window {
    std::string_view key;
    core::Steady begun{};
    std::uint64_t lines = 0;
  };
  std::vector<Window> windows_;  // a dozen keys
};

}  // namespace jobwire::log
