// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "jobwire/export.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// CRC-32C (Castagnoli), eight bytes a step; `crc` is that of the bytes before. Little endian.
inline std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t crc = 0) {
  using Table = std::array<std::array<std::uint32_t, 256>, 8>;
  static constexpr Table kTable = [] {
    Table table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = (value >> 1U) ^ ((value & 1U) ? 0x82F63B78U : 0U);
      table[0][i] = value;
    }
    for (std::size_t i = 0; i < 256; ++i) {
      for (std::size_t step = 1; step < 8; ++step) {
        const std::uint32_t last = table[step - 1][i];
        table[step][i] = (last >> 8U) ^ table[0][last & 0xFFU];
      }
    }
    return table;
  }();
  crc = ~crc;
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    std::uint64_t word;
    std::memcpy(&word, bytes.data() + at, sizeof word);
    word ^= crc;
    crc = 0;
    for (std::size_t i = 0; i < 8; ++i) crc ^= kTable[7 - i][(word >> (8 * i)) & 0xFFU];
  }
  for (; at < bytes.size(); ++at) {
    crc = (crc >> 8U) ^ kTable[0][(crc ^ std::to_integer<std::uint32_t>(bytes[at])) & 0xFFU];
  }
  return ~crc;
}

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
