// SPDX-License-Identifier: Apache-2.0
#include "base64.h"

#include <array>
#include <cstdint>

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kNone = 0xFF;

constexpr std::array<std::uint8_t, 256> kValues = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(kNone);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    values[static_cast<std::uint8_t>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}();

}  // namespace

std::string to_base64(std::span<const std::byte> bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - at);
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      group = (group << 8U) | (i < count ? std::to_integer<std::uint32_t>(bytes[at + i]) : 0U);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      text.push_back(i <= count ? kAlphabet[(group >> (18U - 6U * i)) & 63U] : '=');
    }
  }
  return text;
}

bool from_base64(std::string_view text, std::vector<std::byte>& out) {
  if (text.size() % 4 != 0) return false;
  const std::size_t before = out.size();
  const std::size_t padding = text.empty() ? 0 : text.size() - 1 - text.find_last_not_of('=');
  if (padding > 2) return false;
  out.reserve(before + text.size() / 4 * 3);
  for (std::size_t at = 0; at < text.size(); at += 4) {
    const std::size_t letters = at + 4 == text.size() ? 4 - padding : 4;
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      const std::uint8_t value = i < letters ? kValues[static_cast<std::uint8_t>(text[at + i])] : 0;
      if (value == kNone) {
        out.resize(before);
        return false;
      }
      group = (group << 6U) | value;
    }
    // One text for the same bytes: the bits that are not used must be 0.
    if ((group & ((1U << (8 * (4 - letters))) - 1U)) != 0) {
      out.resize(before);
      return false;
    }
    for (std::size_t i = 0; i + 1 < letters; ++i) {
      out.push_back(static_cast<std::byte>((group >> (16U - 8U * i)) & 0xFFU));
    }
  }
  return true;
}

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
