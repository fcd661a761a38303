// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/type_text.h"

#include <algorithm>
#include <charconv>

#include "adapters/redis/options_text.h"

namespace jobwire::redis {
namespace {

constexpr std::string_view kTimeout = "timeout_ms ";

}  // namespace

std::string type_text(const core::TypeWrite& type) {
  std::string text;
  if (type.timeout.count() != 0)
    text.append(kTimeout).append(std::to_string(type.timeout.count())) += '\n';
  if (!type.retry) return text;
  core::JobOptions options;
  options.has_retry = true;
  options.retry = *type.retry;
  return text + options_text(options);
}

bool read_type(std::string_view text, ports::RecoveredType& type) {
  if (text.starts_with(kTimeout)) {
    text.remove_prefix(kTimeout.size());
    const std::string_view digits = text.substr(0, text.find('\n'));
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc{} || end != digits.data() + digits.size() || value <= 0) return false;
    type.timeout = core::Millis(value);
    text.remove_prefix(std::min(text.size(), digits.size() + 1));
  }
  core::JobOptions options;
  if (!read_options(text, options)) return false;
  if (options.has_retry)
    type.retry = std::make_shared<const core::RetryPolicy>(std::move(options.retry));
  return true;
}

}  // namespace jobwire::redis
