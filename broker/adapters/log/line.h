// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace jobwire::log {

/// `text` as one line that cannot be taken for two, or for a terminal's command: control characters
/// become \n, \t or \x1b and the like. What peers say about themselves ends in logs.
std::string one_line(std::string_view text);

/// `text` as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD.
std::string json_string(std::string_view text);

}  // namespace jobwire::log
