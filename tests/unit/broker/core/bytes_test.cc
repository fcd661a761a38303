// SPDX-License-Identifier: Apache-2.0
#include "core/bytes.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace jobwire::core {
namespace {

TEST(BytesTest, NothingIsNotEmpty) {
  const Bytes nothing;
  const Bytes empty = Bytes::copy_of(std::string_view());
  EXPECT_FALSE(nothing);
  EXPECT_TRUE(empty);
  EXPECT_EQ(nothing.size(), 0U);
  EXPECT_EQ(empty.size(), 0U);
  EXPECT_EQ(nothing.view(), "");
  EXPECT_EQ(nothing.data(), nullptr);
}

TEST(BytesTest, TheSourceMayChangeAfterwards) {
  std::string source = "abc";
  const Bytes bytes = Bytes::copy_of(source);
  source[0] = 'x';
  EXPECT_EQ(bytes.view(), "abc");
  EXPECT_EQ(bytes.span().size(), 3U);
}

TEST(BytesTest, CopiesShareAndOutliveTheFirst) {
  Bytes copy;
  {
    const Bytes first = Bytes::copy_of(std::string(10'000, 'x'));
    copy = first;
    EXPECT_EQ(copy.data(), first.data());
  }
  EXPECT_EQ(copy.size(), 10'000U);
  EXPECT_EQ(copy.view().back(), 'x');
}

TEST(BytesTest, MovedFromIsNothing) {
  Bytes first = Bytes::copy_of(std::string_view("abc"));
  const Bytes second = std::move(first);
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): the class says what is left
  EXPECT_EQ(second.view(), "abc");
}

TEST(BytesTest, AssignmentToItselfKeepsTheBytes) {
  Bytes bytes = Bytes::copy_of(std::string_view("abc"));
  const Bytes& same = bytes;
  bytes = same;
  EXPECT_EQ(bytes.view(), "abc");
}

TEST(BytesTest, AssignmentReleasesWhatWasHeld) {
  std::vector<Bytes> many(100, Bytes::copy_of(std::string_view("abc")));
  for (Bytes& bytes : many) bytes = Bytes::copy_of(std::string_view("defg"));
  many.resize(1);
  EXPECT_EQ(many[0].view(), "defg");
}

}  // namespace
}  // namespace jobwire::core
