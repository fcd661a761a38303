// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/reply_reader.h"

#include <gtest/gtest.h>

#include <functional>

namespace jobwire::redis {
namespace {

using Kind = Reply::Kind;
using Next = ReplyReader::Next;

constexpr std::string_view kReplies =
    "+OK\r\n:7\r\n$-1\r\n-ERR "
    "no\r\n*4\r\n$3\r\na\r\n\r\n:1\r\n*2\r\n$1\r\nb\r\n$-1\r\n+x\r\n*-1\r\n";

void expect_replies(ReplyReader& reader, const std::function<void()>& more) {
  const auto next = [&] {
    for (;;) {
      const Next found = reader.next();
      if (found != Next::kNeedsMore) return found;
      more();
    }
  };
  ASSERT_EQ(next(), Next::kReply);
  EXPECT_EQ(reader.reply().kind(), Kind::kStatus);
  EXPECT_EQ(reader.reply().text(), "OK");
  ASSERT_EQ(next(), Next::kReply);
  EXPECT_EQ(reader.reply().number(), 7);
  ASSERT_EQ(next(), Next::kReply);
  EXPECT_TRUE(reader.reply().is_nil());
  ASSERT_EQ(next(), Next::kReply);
  EXPECT_TRUE(reader.reply().is_error());
  EXPECT_EQ(reader.reply().text(), "ERR no");
  ASSERT_EQ(next(), Next::kReply);
  const Reply& array = reader.reply();
  ASSERT_EQ(array.size(), 7U);
  EXPECT_EQ(array.number(), 4);
  EXPECT_EQ(array.text(1), "a\r\n");
  EXPECT_EQ(array.number(2), 1);
  EXPECT_TRUE(array.is_array(3));
  EXPECT_EQ(array.text(4), "b");
  EXPECT_TRUE(array.is_nil(5));
  EXPECT_EQ(array.text(6), "x");
  ASSERT_EQ(next(), Next::kReply);
  EXPECT_TRUE(reader.reply().is_nil());
}

TEST(ReplyReader, RepliesAreReadOneAfterAnother) {
  ReplyReader reader;
  reader.feed(kReplies);
  expect_replies(reader, [] { FAIL(); });
  EXPECT_EQ(reader.next(), Next::kNeedsMore);
}

TEST(ReplyReader, RepliesMayArriveByteByByte) {
  ReplyReader reader;
  std::size_t at = 0;
  expect_replies(reader, [&] { reader.feed(kReplies.substr(at++, 1)); });
  EXPECT_EQ(at, kReplies.size());
}

TEST(ReplyReader, WhatIsNotAReplyBreaksIt) {
  ReplyReader reader;
  reader.feed("HTTP/1.1 400 Bad Request\r\n");
  EXPECT_EQ(reader.next(), Next::kBroken);
  reader.reset();
  reader.feed("+OK\r\n");
  EXPECT_EQ(reader.next(), Next::kReply);
}

}  // namespace
}  // namespace jobwire::redis
