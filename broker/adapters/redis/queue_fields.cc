// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/queue_fields.h"

#include <charconv>

namespace jobwire::redis {
namespace {

template <typename Number>
Number number_in(std::string_view text, Number otherwise) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? value : otherwise;
}

}  // namespace

void read_setting(std::size_t field, std::string_view text, core::QueueSettings& settings) {
  switch (field) {
    case 0:
      settings.weight = number_in(text, settings.weight);
      break;
    case 1:
      settings.paused = text == "1";
      break;
    case 2:
      settings.draining = text == "1";
      break;
    case 3:
      settings.by = text;
      break;
    case 4:
      settings.why = text;
      break;
    case 5:
      settings.since = core::Wall(core::Millis(number_in<std::int64_t>(text, 0)));
      break;
    case 6:
      settings.until = core::Wall(core::Millis(number_in<std::int64_t>(text, 0)));
      break;
    default:
      break;
  }
}

}  // namespace jobwire::redis
