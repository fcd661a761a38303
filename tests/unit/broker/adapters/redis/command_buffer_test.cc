// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/command_buffer.h"

#include <gtest/gtest.h>

#include <limits>

namespace jobwire::redis {
namespace {

TEST(CommandBuffer, ACommandIsWrittenAsRedisReadsIt) {
  CommandBuffer out;
  out.next("SET", 3);
  out.arg("key");
  out.number(-42);
  out.next("EXEC", 1);
  EXPECT_EQ(out.commands(), 2U);
  EXPECT_EQ(out.take(), "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$3\r\n-42\r\n*1\r\n$4\r\nEXEC\r\n");
  EXPECT_TRUE(out.empty());
  EXPECT_EQ(out.commands(), 0U);
}

TEST(CommandBuffer, AWrongGuessAtTheNumberOfArgumentsDoesNoHarm) {
  for (const std::size_t guess : {1U, 10U, 1000U}) {
    for (const std::size_t count : {1U, 9U, 10U, 99U, 100U}) {
      CommandBuffer out;
      out.next("DEL", guess);
      for (std::size_t i = 1; i < count; ++i) out.arg("x");
      std::string expected = "*" + std::to_string(count) + "\r\n$3\r\nDEL\r\n";
      for (std::size_t i = 1; i < count; ++i) expected += "$1\r\nx\r\n";
      EXPECT_EQ(out.take(), expected) << guess << " guessed, " << count << " given";
    }
  }
}

TEST(CommandBuffer, IdsAreWrittenAsTheirUsualText) {
  core::JobId id;
  for (std::size_t i = 0; i < 16; ++i) id.bytes[i] = static_cast<std::uint8_t>(0xf0 + i);
  CommandBuffer out;
  out.next("X", 3);
  out.id("job:", id);
  out.hex(id.bytes);
  out.joined("a", "", "bc");
  EXPECT_EQ(out.take(), "*4\r\n$1\r\nX\r\n$40\r\njob:" + core::to_string(id) + "\r\n$32\r\n" +
                            core::to_hex(id.bytes) + "\r\n$3\r\nabc\r\n");
}

TEST(CommandBuffer, AnyBytesMayBeAnArgument) {
  CommandBuffer out;
  out.next("X", 3);
  out.arg(std::string_view("\0\r\n", 3));
  out.arg("");
  out.number(std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(out.take(), std::string("*4\r\n$1\r\nX\r\n$3\r\n\0\r\n\r\n$0\r\n\r\n", 26) +
                            "$20\r\n18446744073709551615\r\n");
}

TEST(Bulk, TheCompilerEncodesIt) {
  constexpr Bulk kShort = "state";
  static_assert(kShort.encoded() == "$5\r\nstate\r\n");
  static_assert(kShort.name() == "state");
  constexpr Bulk kLong = "ZREMRANGEBYSCORE";
  static_assert(kLong.encoded() == "$16\r\nZREMRANGEBYSCORE\r\n");
}

}  // namespace
}  // namespace jobwire::redis
