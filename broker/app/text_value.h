// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/time.h"

/// How values are written in flags, environment and configuration file, and how they are printed:
/// the same.
namespace jobwire::app {

std::optional<std::uint64_t> parse_number(std::string_view text);

/// "500ms", "30s", "15m", "12h", "14d". A number needs its unit; 0 does not.
std::optional<core::Millis> parse_span(std::string_view text);
/// In the largest unit that divides it.
std::string print_span(core::Millis span);

/// "4096", "64KiB", "512MiB", "16GiB".
std::optional<std::uint64_t> parse_bytes(std::string_view text);
std::string print_bytes(std::uint64_t bytes);

/// true, false, yes, no, on, off, 1, 0.
std::optional<bool> parse_bool(std::string_view text);

/// How many letters must be inserted, removed, changed or swapped with a neighbour to turn one word
/// into the other.
std::size_t edit_distance(std::string_view a, std::string_view b);
/// The nearest of `words`, or empty when none is near.
std::string_view nearest(std::string_view word, std::span<const std::string_view> words);

}  // namespace jobwire::app
