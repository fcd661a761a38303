// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace jobwire::wire {

/// Whether `text` is well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates). O(n).
bool is_utf8(std::string_view text);

/// The longest start of `text` of at most `most` bytes that does not cut a character in two.
std::string_view utf8_prefix(std::string_view text, std::size_t most);

}  // namespace jobwire::wire
