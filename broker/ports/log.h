// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace jobwire::ports {

enum class Level : std::uint8_t { kDebug, kInfo, kWarning, kError };

/// Where lines for people go.
class Log {
 public:
  virtual ~Log() = default;

  /// Writes one line. Lines with the same non-empty `key` (a literal) are limited in rate, and what
  /// was left out is counted and said later. Never a payload or a secret.
  virtual void write(Level level, const char* key, std::string_view text) = 0;
};

}  // namespace jobwire::ports
