// SPDX-License-Identifier: Apache-2.0
#include "wire/utf8.h"

#include <cstdint>

namespace jobwire::wire {
namespace {

bool is_tail(unsigned char c) { return (c & 0xC0U) == 0x80U; }

}  // namespace

bool is_utf8(std::string_view text) {
  std::size_t i = 0;
  const auto at = [&](std::size_t k) { return static_cast<unsigned char>(text[k]); };
  while (i < text.size()) {
    const unsigned char c = at(i);
    if (c < 0x80) {
      ++i;
      continue;
    }
    std::size_t tails;
    std::uint32_t value;
    std::uint32_t least;
    if (c >= 0xC2 && c <= 0xDF) {
      tails = 1, value = c & 0x1FU, least = 0x80;
    } else if (c >= 0xE0 && c <= 0xEF) {
      tails = 2, value = c & 0x0FU, least = 0x800;
    } else if (c >= 0xF0 && c <= 0xF4) {
      tails = 3, value = c & 0x07U, least = 0x10000;
    } else {
      return false;
    }
    if (text.size() - i <= tails) return false;
    for (std::size_t k = 1; k <= tails; ++k) {
      if (!is_tail(at(i + k))) return false;
      value = value << 6 | (at(i + k) & 0x3FU);
    }
    if (value < least || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return false;
    i += tails + 1;
  }
  return true;
}

std::string_view utf8_prefix(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t end = most;
  while (end > 0 && is_tail(static_cast<unsigned char>(text[end]))) --end;
  return text.substr(0, end);
}

}  // namespace jobwire::wire
