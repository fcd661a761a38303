// SPDX-License-Identifier: Apache-2.0
#include "app/text_value.h"

#include <gtest/gtest.h>

#include <array>

namespace jobwire::app {
namespace {

TEST(TextValue, SpansNeedTheirUnit) {
  EXPECT_EQ(parse_span("500ms"), core::Millis{500});
  EXPECT_EQ(parse_span("2m"), core::Millis{120'000});
  EXPECT_EQ(parse_span("14d"), core::Millis{14LL * 86'400'000});
  EXPECT_EQ(parse_span("0"), core::Millis{0});
  for (const char* wrong :
       {"", "5", "s", "-5s", "5 s", "1.5s", "5sec", "99999999999999999999s", "999999999d"}) {
    EXPECT_FALSE(parse_span(wrong)) << wrong;
  }
}

TEST(TextValue, SpansArePrintedInTheLargestUnitThatDividesThem) {
  EXPECT_EQ(print_span(core::Millis{0}), "0");
  EXPECT_EQ(print_span(core::Millis{1500}), "1500ms");
  EXPECT_EQ(print_span(core::Millis{90'000}), "90s");
  EXPECT_EQ(print_span(core::Millis{3'600'000}), "1h");
}

TEST(TextValue, BytesWithAndWithoutUnit) {
  EXPECT_EQ(parse_bytes("4096"), 4096U);
  EXPECT_EQ(parse_bytes("64KiB"), 65'536U);
  EXPECT_EQ(parse_bytes("16GiB"), 16ULL << 30);
  EXPECT_FALSE(parse_bytes("1kb"));
  EXPECT_FALSE(parse_bytes("99999999999GiB"));
  EXPECT_EQ(print_bytes(0), "0");
  EXPECT_EQ(print_bytes(34'603'008), "33MiB");
  EXPECT_EQ(print_bytes(1000), "1000");
}

TEST(TextValue, DistanceCountsEditsAndSwaps) {
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("listen", "listen"), 0U);
  EXPECT_EQ(edit_distance("lisetn", "listen"), 1U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
}

TEST(TextValue, NearestIsNearOrNothing) {
  constexpr std::array<std::string_view, 3> kWords = {"listen", "listen-workers", "redis"};
  EXPECT_EQ(nearest("listne", kWords), "listen");
  EXPECT_EQ(nearest("listen_workers", kWords), "listen-workers");
  EXPECT_EQ(nearest("banana", kWords), "");
}

}  // namespace
}  // namespace jobwire::app
