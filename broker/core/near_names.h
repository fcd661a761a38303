// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string_view>

namespace jobwire::core {

/// How many letters must be put in, taken out or changed, or neighbours swapped, to make one name
/// of the other; `most` + 1 when it takes more than `most`. O(length * most). Requires: neither
/// name has more than kMaxNearBytes.
std::size_t edits_between(std::string_view one, std::string_view other, std::size_t most);
inline constexpr std::size_t kMaxNearBytes = 128;

/// How many edits leave a name of that length near.
constexpr std::size_t near_edits(std::size_t length) { return length < 6 ? 1 : length / 3; }

}  // namespace jobwire::core
