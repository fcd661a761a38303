// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/command_buffer.h"

#include <cassert>
#include <cstring>
#include <utility>

namespace jobwire::redis {
namespace {

constexpr auto kHexPairs = [] {
  struct {
    char pair[256][2];
  } table{};
  constexpr char digits[] = "0123456789abcdef";
  for (int i = 0; i < 256; ++i) {
    table.pair[i][0] = digits[i >> 4];
    table.pair[i][1] = digits[i & 15];
  }
  return table;
}();

std::size_t digits_of(std::size_t value) {
  std::size_t digits = 1;
  while (value >= 10) {
    value /= 10;
    ++digits;
  }
  return digits;
}

void append_hex(std::string& out, const std::uint8_t* bytes, std::size_t count) {
  char text[32];
  for (std::size_t i = 0; i < count; ++i) std::memcpy(text + 2 * i, kHexPairs.pair[bytes[i]], 2);
  out.append(text, 2 * count);
}

}  // namespace

void CommandBuffer::length(std::size_t value) {
  char header[24];
  header[0] = '$';
  char* end = std::to_chars(header + 1, header + sizeof header, value).ptr;
  *end++ = '\r';
  *end++ = '\n';
  bytes_.append(header, static_cast<std::size_t>(end - header));
}

void CommandBuffer::open(std::size_t expected_args) {
  close();
  bytes_.push_back('*');
  header_ = bytes_.size();
  header_digits_ = digits_of(expected_args);
  bytes_.append(header_digits_, '0');
  bytes_.append("\r\n", 2);
  args_ = 0;
  ++commands_;
}

void CommandBuffer::close() {
  if (header_digits_ == 0) return;
  char digits[24];
  const char* end = std::to_chars(digits, digits + sizeof digits, args_).ptr;
  bytes_.replace(header_, header_digits_, digits, static_cast<std::size_t>(end - digits));
  header_digits_ = 0;
}

void CommandBuffer::arg(std::string_view bytes) {
  assert(header_digits_ != 0);
  length(bytes.size());
  bytes_.append(bytes);
  bytes_.append("\r\n", 2);
  ++args_;
}

void CommandBuffer::joined(std::string_view first, std::string_view second,
                           std::string_view third) {
  assert(header_digits_ != 0);
  length(first.size() + second.size() + third.size());
  bytes_.append(first);
  bytes_.append(second);
  bytes_.append(third);
  bytes_.append("\r\n", 2);
  ++args_;
}

void CommandBuffer::id(std::string_view prefix, const core::JobId& id) {
  assert(header_digits_ != 0);
  length(prefix.size() + 36);
  bytes_.append(prefix);
  const std::uint8_t* at = id.bytes.data();
  append_hex(bytes_, at, 4);
  for (const std::size_t from : {4U, 6U, 8U}) {
    bytes_.push_back('-');
    append_hex(bytes_, at + from, 2);
  }
  bytes_.push_back('-');
  append_hex(bytes_, at + 10, 6);
  bytes_.append("\r\n", 2);
  ++args_;
}

void CommandBuffer::hex(std::string_view prefix, const std::array<std::uint8_t, 16>& bytes) {
  assert(header_digits_ != 0);
  length(prefix.size() + 32);
  bytes_.append(prefix);
  append_hex(bytes_, bytes.data(), bytes.size());
  bytes_.append("\r\n", 2);
  ++args_;
}

std::string CommandBuffer::take() {
  close();
  commands_ = 0;
  return std::exchange(bytes_, {});
}

void CommandBuffer::reuse(std::string&& storage) {
  assert(bytes_.empty());
  bytes_ = std::move(storage);
  bytes_.clear();
}

}  // namespace jobwire::redis
