// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/transaction_script.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace jobwire::redis {
namespace {

Transaction transaction(const Keys& keys, std::size_t words) {
  CommandBuffer out;
  begin_transaction(out);
  out.next("SET", 3);
  out.arg("binary");
  out.arg(std::string_view("\r\n\0*3", 5));
  out.next("DEL", words);
  for (std::size_t i = 1; i < words; ++i) out.arg("k");
  return end_transaction(keys, out);
}

TEST(TransactionScript, PassesEachCommandWithItsNumberOfWords) {
  const Keys keys("0");
  const std::string script = as_script(keys, transaction(keys, 3), {"7", "me", ""});
  EXPECT_THAT(script, ::testing::StartsWith("*1\r\n$7\r\nUNWATCH\r\n*17\r\n$4\r\nEVAL\r\n"));
  EXPECT_THAT(script, ::testing::EndsWith(
                          std::string("$1\r\n3\r\n$12\r\njw:{0}:epoch\r\n$12\r\njw:{0}:owner\r\n"
                                      "$10\r\njw:{0}:seq\r\n$1\r\n7\r\n$2\r\nme\r\n$0\r\n\r\n"
                                      "$1\r\n3\r\n$3\r\nSET\r\n$6\r\nbinary\r\n$5\r\n\r\n") +
                          std::string("\0*3\r\n", 5) +
                          "$1\r\n3\r\n$3\r\nDEL\r\n$1\r\nk\r\n$1\r\nk\r\n"
                          "*2\r\n$5\r\nWATCH\r\n$12\r\njw:{0}:epoch\r\n"
                          "*2\r\n$3\r\nGET\r\n$12\r\njw:{0}:epoch\r\n"));
}

TEST(TransactionScript, ACommandWithMoreWordsThanLuaPassesOnGivesNone) {
  const Keys keys("0");
  EXPECT_FALSE(as_script(keys, transaction(keys, 7'900), {}).empty());
  EXPECT_TRUE(as_script(keys, transaction(keys, 7'901), {}).empty());
}

}  // namespace
}  // namespace jobwire::redis
