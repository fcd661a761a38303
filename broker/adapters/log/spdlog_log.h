// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <spdlog/logger.h>

#include <memory>

#include "adapters/log/rate_limit.h"
#include "ports/log.h"
#include "ports/transport.h"

namespace jobwire::log {

enum class Format : std::uint8_t { kText, kJson };

/// Lines on a sink, stderr as a rule: "2024-06-01T12:00:00.123Z warning the store is away", or the
/// same as one JSON object a line. Lines of one key come five in ten seconds; what was left out is
/// said as "… and 312 more of these in 10 s".
///
/// One thread. Writing blocks while the sink does.
class SpdlogLog : public ports::Log {
 public:
  SpdlogLog(Format format, ports::Level least, const ports::Clock& clock, spdlog::sink_ptr sink);

  void write(ports::Level level, const char* key, std::string_view text) override;

  /// Says what was left out in windows that have ended. write() does it, too; call this now and
  /// then, so that the last window is not forgotten.
  void tell_left_out();

 private:
  void put(ports::Level level, std::string_view key, std::string_view text);

  Format format_;
  ports::Level least_;
  const ports::Clock& clock_;
  spdlog::logger logger_;
  RateLimit limit_;
};

/// The usual sink.
spdlog::sink_ptr stderr_sink();

}  // namespace jobwire::log
