// SPDX-License-Identifier: Apache-2.0
#include "adapters/log/spdlog_log.h"

#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <utility>

#include "adapters/log/line.h"

namespace jobwire::log {
namespace {

spdlog::level::level_enum level_of(ports::Level level) {
  switch (level) {
    case ports::Level::kDebug:
      return spdlog::level::debug;
    case ports::Level::kInfo:
      return spdlog::level::info;
    case ports::Level::kWarning:
      return spdlog::level::warn;
    case ports::Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

SpdlogLog::SpdlogLog(Format format, ports::Level least, const ports::Clock& clock,
                     spdlog::sink_ptr sink)
    : format_(format), least_(least), clock_(clock), logger_("jobwired", std::move(sink)) {
  logger_.set_level(spdlog::level::trace);
  logger_.flush_on(spdlog::level::trace);
  const char* pattern = format == Format::kJson
                            ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})"
                            : "%Y-%m-%dT%H:%M:%S.%eZ %-7l %v";
  logger_.set_formatter(
      std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc));
}

void SpdlogLog::write(ports::Level level, const char* key, std::string_view text) {
  tell_left_out();
  if (level < least_) return;
  if (limit_.allow(key, clock_.now().steady)) put(level, key, text);
}

void SpdlogLog::tell_left_out() {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(RateLimit::kWindow).count();
  for (const RateLimit::LeftOut& left_out : limit_.ended(clock_.now().steady)) {
    put(ports::Level::kWarning, left_out.key,
        fmt::format("{}: … and {} more of these in {} s", left_out.key, left_out.lines, seconds));
  }
}

void SpdlogLog::put(ports::Level level, std::string_view key, std::string_view text) {
  // As an argument, never as a format: the text is not ours.
  if (format_ == Format::kText) {
    logger_.log(level_of(level), "{}", one_line(text));
  } else if (key.empty()) {
    logger_.log(level_of(level), "\"message\":{}", json_string(text));
  } else {
    logger_.log(level_of(level), "\"kind\":{},\"message\":{}", json_string(key), json_string(text));
  }
}

spdlog::sink_ptr stderr_sink() { return std::make_shared<spdlog::sinks::stderr_sink_st>(); }

}  // namespace jobwire::log
