// SPDX-License-Identifier: Apache-2.0
#include "core/near_names.h"

#include <gtest/gtest.h>

#include <string>

namespace jobwire::core {
namespace {

TEST(NearNames, EditsAreLettersPutInTakenOutChangedAndSwapped) {
  EXPECT_EQ(edits_between("resize", "resize", 3), 0U);
  EXPECT_EQ(edits_between("resize", "resise", 3), 1U);
  EXPECT_EQ(edits_between("resize", "rezise", 3), 2U);
  EXPECT_EQ(edits_between("resize", "erszie", 3), 2U) << "two pairs of neighbours";
  EXPECT_EQ(edits_between("resize", "resizes", 3), 1U);
  EXPECT_EQ(edits_between("esize", "resize", 3), 1U);
  EXPECT_EQ(edits_between("", "abc", 3), 3U);
  EXPECT_EQ(edits_between("kitten", "sitting", 3), 3U);
}

TEST(NearNames, MoreEditsThanAskedForAreNotCounted) {
  EXPECT_EQ(edits_between("kitten", "sitting", 2), 3U);
  EXPECT_EQ(edits_between("abc", "xyz", 0), 1U);
  EXPECT_EQ(edits_between("a", "abcdefgh", 3), 4U);
  EXPECT_EQ(edits_between("resize", "thumbnail", 2), 3U);
}

TEST(NearNames, TheOrderOfTheTwoDoesNotMatter) {
  const std::string names[] = {"resize", "rezise", "resize_all", "size", "send", "", "sned"};
  for (const std::string& one : names) {
    for (const std::string& other : names) {
      for (std::size_t most = 0; most < 6; ++most)
        EXPECT_EQ(edits_between(one, other, most), edits_between(other, one, most));
    }
  }
}

TEST(NearNames, TheLongestNamesAreCompared) {
  const std::string one(kMaxNearBytes, 'a');
  std::string other = one;
  other[0] = other[kMaxNearBytes - 1] = 'b';
  EXPECT_EQ(edits_between(one, other, near_edits(one.size())), 2U);
}

}  // namespace
}  // namespace jobwire::core
