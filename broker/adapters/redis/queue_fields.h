// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "core/queue_settings.h"

namespace jobwire::redis {

/// The fields of a queue's hash that operators set, beside its counters.
inline constexpr std::array<std::string_view, 7> kSettingNames = {
    "weight", "paused", "draining", "by", "why", "since_ms", "until_ms"};

/// Puts the text of one of them, by its place in kSettingNames, into the settings. What cannot be
/// read keeps its default.
void read_setting(std::size_t field, std::string_view text, core::QueueSettings& settings);

}  // namespace jobwire::redis
