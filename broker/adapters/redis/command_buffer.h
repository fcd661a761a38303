// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/ids.h"

namespace jobwire::redis {

/// The bytes of "$5\r\nstate\r\n", made by the compiler: a field's name costs one copy.
class Bulk {
 public:
  template <std::size_t N>
  consteval Bulk(const char (&source)[N]) {  // NOLINT: a literal is a bulk
    static_assert(N > 1 && N - 1 <= kLongest);
    const std::size_t length = N - 1;
    text_[size_++] = '$';
    if (length >= 10) text_[size_++] = static_cast<char>('0' + length / 10);
    text_[size_++] = static_cast<char>('0' + length % 10);
    text_[size_++] = '\r';
    text_[size_++] = '\n';
    for (std::size_t i = 0; i < length; ++i) text_[size_++] = source[i];
    text_[size_++] = '\r';
    text_[size_++] = '\n';
    length_ = length;
  }
  constexpr std::string_view encoded() const { return {text_, size_}; }
  constexpr std::string_view name() const { return {text_ + size_ - 2 - length_, length_}; }

 private:
  static constexpr std::size_t kLongest = 24;
  char text_[kLongest + 7] = {};
  std::size_t size_ = 0;
  std::size_t length_ = 0;
};

/// Redis commands, encoded one after another into one string. No allocation per argument; the
/// number of arguments is filled in when the next command starts.
class CommandBuffer {
 public:
  /// Starts a command. `expected_args` is a guess at the number of arguments, the name included: a
  /// wrong number of digits costs one move of the command's bytes.
  void next(const Bulk& name, std::size_t expected_args = 10) {
    open(expected_args);
    literal(name);
  }

  void arg(std::string_view bytes);
  /// Decimal digits; of a float as few as read back as the same.
  template <typename Number>
  requires std::integral<Number> || std::same_as<Number, float>
  void number(Number value) {
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    arg(std::string_view(digits, static_cast<std::size_t>(end - digits)));
  }
  void literal(const Bulk& bulk) {
    bytes_.append(bulk.encoded());
    ++args_;
  }
  /// One argument from two parts: a prefix and the 36 characters of an id.
  void id(std::string_view prefix, const core::JobId& id);
  void id(const core::JobId& job) { id({}, job); }
  /// 32 hexadecimal digits.
  void hex(const std::array<std::uint8_t, 16>& bytes) { hex({}, bytes); }
  void hex(std::string_view prefix, const std::array<std::uint8_t, 16>& bytes);
  /// One argument from three parts.
  void joined(std::string_view first, std::string_view second, std::string_view third = {});

  /// Commands so far.
  std::size_t commands() const { return commands_; }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }

  /// Ends the last command and hands the bytes over; the buffer is empty then.
  std::string take();
  /// Takes the memory of a string that is no longer needed. Requires: empty.
  void reuse(std::string&& storage);
  /// Makes room at once instead of by doubling.
  void reserve(std::size_t bytes) { bytes_.reserve(bytes); }

 private:
  void open(std::size_t expected_args);
  void close();
  void length(std::size_t value);

  std::string bytes_;
  std::size_t header_ = 0;         // where the open command's argument count is
  std::size_t header_digits_ = 0;  // how much room it has; 0: no command is open
  std::size_t args_ = 0;
  std::size_t commands_ = 0;
};

}  // namespace jobwire::redis
