// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct redisReader;

namespace jobwire::redis {

/// One reply, flat: a value, then, when it is an array, its elements (and theirs) in order. Valid
/// until the reader's next call.
class Reply {
 public:
  enum class Kind : std::uint8_t { kStatus, kError, kInteger, kNil, kString, kArray };

  std::size_t size() const { return values_.size(); }
  Kind kind(std::size_t at = 0) const { return values_[at].kind; }
  /// The text of a status, error or string; of an integer, nothing.
  std::string_view text(std::size_t at = 0) const {
    const Value& value = values_[at];
    if (value.kind == Kind::kInteger || value.kind == Kind::kArray) return {};
    return std::string_view(text_).substr(static_cast<std::size_t>(value.number), value.size);
  }
  /// Of all its texts.
  std::size_t bytes() const { return text_.size(); }
  /// An integer's value, an array's number of elements.
  std::int64_t number(std::size_t at = 0) const { return values_[at].number; }
  bool is_error(std::size_t at = 0) const { return values_[at].kind == Kind::kError; }
  bool is_nil(std::size_t at = 0) const { return values_[at].kind == Kind::kNil; }
  bool is_array(std::size_t at = 0) const { return values_[at].kind == Kind::kArray; }

 private:
  friend class ReplyReader;
  struct Value {
    Kind kind;
    std::size_t size;     // of a text
    std::int64_t number;  // integer, elements, or where the text starts
  };
  std::vector<Value> values_;
  std::string text_;
};

/// Reads replies from a stream of bytes, with hiredis's reader and no object per value.
class ReplyReader {
 public:
  ReplyReader();
  ~ReplyReader();
  ReplyReader(const ReplyReader&) = delete;
  ReplyReader& operator=(const ReplyReader&) = delete;

  /// Forgets everything: a new connection.
  void reset();
  void feed(std::string_view bytes);
  enum class Next : std::uint8_t { kReply, kNeedsMore, kBroken };
  /// The next whole reply is in reply() when kReply. kBroken: not a Redis on the other side.
  Next next();
  const Reply& reply() const { return reply_; }

 private:
  struct Functions;
  redisReader* reader_ = nullptr;
  Reply reply_;
};

}  // namespace jobwire::redis
