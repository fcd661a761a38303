// SPDX-License-Identifier: Apache-2.0
#include "adapters/log/rate_limit.h"

#include <algorithm>

namespace jobwire::log {

bool RateLimit::allow(std::string_view key, core::Steady now) {
  if (key.empty()) return true;
  auto window =
      std::find_if(windows_.begin(), windows_.end(), [&](const Window& w) { return w.key == key; });
  if (window == windows_.end()) window = windows_.insert(windows_.end(), {key, now, 0});
  if (now - window->begun >= kWindow && window->lines <= kLinesPerWindow) *window = {key, now, 0};
  return ++window->lines <= kLinesPerWindow;
}

std::vector<RateLimit::LeftOut> RateLimit::ended(core::Steady now) {
  std::vector<LeftOut> left_out;
  for (Window& window : windows_) {
    if (now - window.begun < kWindow || window.lines <= kLinesPerWindow) continue;
    left_out.push_back({window.key, window.lines - kLinesPerWindow});
    window = {window.key, now, 0};
  }
  return left_out;
}

}  // namespace jobwire::log
