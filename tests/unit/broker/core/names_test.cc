// SPDX-License-Identifier: Apache-2.0
#include "core/names.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace jobwire::core {
namespace {

TEST(NameTableTest, NumbersCountUpAndAreFoundAgain) {
  NameTable names;
  EXPECT_EQ(names.find("a"), std::nullopt);
  EXPECT_EQ(names.add("a"), 0U);
  EXPECT_EQ(names.add("b"), 1U);
  EXPECT_EQ(names.find("b"), 1U);
  EXPECT_EQ(names.find("a"), 0U);
  EXPECT_EQ(names.find("a"), 0U);
  EXPECT_EQ(names.find("c"), std::nullopt);
  EXPECT_EQ(names.find("a"), 0U);
  EXPECT_EQ(names[1], "b");
  EXPECT_EQ(names.size(), 2U);
}

TEST(NameTableTest, ViewsStayValidWhileItGrowsAndTheCallersTextMayGo) {
  NameTable names;
  std::vector<std::string_view> views;
  for (int i = 0; i < 10'000; ++i) {
    const std::string text = "queue-" + std::to_string(i);
    views.push_back(names[names.add(text)]);
  }
  for (std::size_t i = 0; i < views.size(); ++i) {
    ASSERT_EQ(views[i], "queue-" + std::to_string(i));
    ASSERT_EQ(names.find(views[i]), i);
  }
}

}  // namespace
}  // namespace jobwire::core
