// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/transaction_script.h"

#include <cassert>
#include <charconv>
#include <string_view>

#include "adapters/redis/command_buffer.h"

namespace jobwire::redis {
namespace {

// EXPIRE and PERSIST together change nothing. They are the writes that need no memory, and they
// count as a change of the epoch for every connection that watches it: a transaction that an
// abandoned connection has sent is void from here on.
constexpr std::string_view kScript =
    "for i = 1, 3 do "
    "if (redis.call('GET', KEYS[i]) or '') ~= ARGV[i] then return false end "
    "end "
    "redis.call('EXPIRE', KEYS[1], 86400) "
    "redis.call('PERSIST', KEYS[1]) "
    "local last = false "
    "local at = 4 "
    "while at <= #ARGV do "
    "local words = tonumber(ARGV[at]) "
    "last = redis.pcall(unpack(ARGV, at + 1, at + words)) "
    "if type(last) == 'table' and last.err then break end "
    "at = at + words + 1 "
    "end "
    "return {last}";

/// Lua passes on at most so many arguments: what its stack holds, less its own.
constexpr std::size_t kMostWords = 7'900;

/// Reads the commands that CommandBuffer wrote. Requires: nothing else.
class Words {
 public:
  explicit Words(std::string_view bytes) : rest_(bytes) {}
  std::size_t command() { return number('*'); }
  std::string_view word() {
    const std::size_t length = number('$');
    const std::string_view text = rest_.substr(0, length);
    rest_.remove_prefix(length + 2);
    return text;
  }

 private:
  std::size_t number([[maybe_unused]] char mark) {
    assert(rest_.front() == mark);
    std::size_t value = 0;
    const char* end = std::from_chars(rest_.data() + 1, rest_.data() + rest_.size(), value).ptr;
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()) + 2);
    return value;
  }
  std::string_view rest_;
};

}  // namespace

std::string as_script(const Keys& keys, const Transaction& transaction, const ShardMark& expected) {
  CommandBuffer out;
  out.reserve(transaction.bytes.size() + transaction.bytes.size() / 8 + kScript.size());
  out.next("UNWATCH", 1);
  out.next("EVAL", 10'000);
  out.arg(kScript);
  out.arg("3");
  for (const std::string* key : {&keys.epoch, &keys.owner, &keys.sequence}) out.arg(*key);
  for (const std::string* value : {&expected.epoch, &expected.owner, &expected.sequence})
    out.arg(*value);
  Words words(transaction.bytes);
  words.command();
  words.word();  // MULTI
  for (std::size_t command = 0; command < transaction.commands; ++command) {
    const std::size_t count = words.command();
    if (count > kMostWords) return {};
    out.number(count);
    for (std::size_t i = 0; i < count; ++i) out.arg(words.word());
  }
  out.next("WATCH", 2);
  out.arg(keys.epoch);
  out.next("GET", 2);
  out.arg(keys.epoch);
  return out.take();
}

}  // namespace jobwire::redis
