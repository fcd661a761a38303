// SPDX-License-Identifier: Apache-2.0
#include "wire/dead_place.h"

#include <charconv>

namespace jobwire::wire {

std::string text_of(const DeadPlace& place) {
  return place.queue + ":" + std::to_string(place.place.time.time_since_epoch().count()) + ":" +
         core::to_string(place.place.id);
}

bool read_dead_place(std::string_view text, DeadPlace& place) {
  if (text.empty()) {
    place = {};
    return true;
  }
  const std::size_t first = text.find(':');
  const std::size_t second = text.find(':', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos) return false;
  std::int64_t time = 0;
  const char* end = text.data() + second;
  const auto read = std::from_chars(text.data() + first + 1, end, time);
  DeadPlace found;
  if (read.ec != std::errc{} || read.ptr != end || time < 0 ||
      !core::parse_job_id(text.substr(second + 1), found.place.id)) {
    return false;
  }
  found.queue = text.substr(0, first);
  found.place.time = core::Wall(core::Millis(time));
  place = std::move(found);
  return true;
}

}  // namespace jobwire::wire
