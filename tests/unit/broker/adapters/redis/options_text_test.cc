// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/options_text.h"

#include <gtest/gtest.h>

namespace jobwire::redis {
namespace {

TEST(OptionsText, WhatIsWrittenIsReadBack) {
  core::JobOptions options;
  options.headers = {{"a=b\\", "=\n\\n"}, {"\n", ""}, {"", ""}};
  options.dedup_key = "line\nbreak\\";
  options.dedup_window = core::Millis(5);
  options.contract = ~0ULL;
  options.result_ttl = core::Millis(7);
  options.has_retry = true;
  options.retry = {1,
                   2,
                   3,
                   core::BackoffKind::kFixed,
                   core::Millis(4),
                   core::Millis(5),
                   0.1F,
                   false,
                   {core::Millis(6)},
                   {"x y", ""}};
  core::JobOptions read;
  ASSERT_TRUE(read_options(options_text(options), read)) << options_text(options);
  EXPECT_EQ(read, options);
}

TEST(OptionsText, WhatIsNotSetIsNotThere) {
  EXPECT_EQ(options_text({}), "");
  core::JobOptions options;
  options.headers = {{"trace", "1"}};
  EXPECT_EQ(options_text(options), "header trace=1\n");
}

TEST(OptionsText, LinesOfANewerBrokerAreSkippedAndBadOnesAreNot) {
  core::JobOptions options;
  EXPECT_TRUE(read_options("shiny new\ncontract 3\n", options));
  EXPECT_EQ(options.contract, 3U);
  for (const char* text : {"contract x", "dedup_window_ms ", "retry attempts=many",
                           "retry backoff=sideways", "header nothing", "header a\\="})
    EXPECT_FALSE(read_options(text, options)) << text;
}

}  // namespace
}  // namespace jobwire::redis
