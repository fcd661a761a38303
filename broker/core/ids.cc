// SPDX-License-Identifier: Apache-2.0
#include "core/ids.h"

#include <string_view>

namespace jobwire::core {
namespace {

constexpr char kDigits[] = "0123456789abcdef";

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string to_hex(const std::array<std::uint8_t, 16>& bytes) {
  std::string text(32, '0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    text[2 * i] = kDigits[bytes[i] >> 4];
    text[2 * i + 1] = kDigits[bytes[i] & 15];
  }
  return text;
}

std::string to_string(const JobId& id) {
  std::string text = to_hex(id.bytes);
  for (std::size_t at : {8u, 13u, 18u, 23u}) text.insert(at, 1, '-');
  return text;
}

bool parse_hex(std::string_view text, std::array<std::uint8_t, 16>& bytes) {
  if (text.size() != 32) return false;
  std::array<std::uint8_t, 16> parsed;
  for (std::size_t i = 0; i < parsed.size(); ++i) {
    const int high = digit_value(text[2 * i]);
    const int low = digit_value(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    parsed[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  bytes = parsed;
  return true;
}

bool parse_job_id(std::string_view text, JobId& id) {
  if (text.size() != 36) return false;
  std::string digits;
  digits.reserve(32);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash != (text[i] == '-')) return false;
    if (!dash) digits.push_back(text[i]);
  }
  return parse_hex(digits, id.bytes);
}

}  // namespace jobwire::core
