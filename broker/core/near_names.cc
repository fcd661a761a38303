// SPDX-License-Identifier: Apache-2.0
#include "core/near_names.h"

#include <algorithm>
#include <array>
#include <cassert>

namespace jobwire::core {

std::size_t edits_between(std::string_view one, std::string_view other, std::size_t most) {
  assert(one.size() <= kMaxNearBytes && other.size() <= kMaxNearBytes);
  if (one.size() > other.size()) std::swap(one, other);
  if (other.size() - one.size() > most) return most + 1;
  // Three rows of the table of all prefixes; only the band where at most `most` edits can lie.
  using Row = std::array<std::size_t, kMaxNearBytes + 1>;
  std::array<Row, 3> rows;
  for (Row& row : rows) row.fill(most + 1);
  for (std::size_t i = 0; i <= std::min(one.size(), most); ++i) rows[0][i] = i;
  for (std::size_t j = 1; j <= other.size(); ++j) {
    Row& now = rows[j % 3];
    const Row& before = rows[(j + 2) % 3];
    const Row& earlier = rows[(j + 1) % 3];
    const std::size_t first = j > most ? j - most : 0;
    const std::size_t last = std::min(one.size(), j + most);
    now.fill(most + 1);
    for (std::size_t i = first; i <= last; ++i) {
      if (i == 0) {
        now[0] = j;
        continue;
      }
      const bool same = one[i - 1] == other[j - 1];
      std::size_t edits = std::min({before[i] + 1, now[i - 1] + 1, before[i - 1] + !same});
      const bool swapped =
          i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1];
      if (swapped) edits = std::min(edits, earlier[i - 2] + 1);
      now[i] = std::min(edits, most + 1);
    }
  }
  return rows[other.size() % 3][one.size()];
}

}  // namespace jobwire::core
