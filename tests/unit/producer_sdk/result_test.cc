// SPDX-License-Identifier: Apache-2.0
#include "jobwire/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace jobwire {
namespace {

Error full() { return {ErrorCode::Full, "no room", std::chrono::milliseconds(250)}; }

TEST(ResultTest, HoldsAValueOrAnError) {
  const Result<int> value = 7;
  ASSERT_TRUE(value);
  EXPECT_EQ(*value, 7);
  EXPECT_EQ(value.value_or(3), 7);
  const Result<int> error = full();
  ASSERT_FALSE(error);
  EXPECT_EQ(error.error().code(), ErrorCode::Full);
  EXPECT_EQ(error.value_or(3), 3);
}

TEST(ResultTest, MovesWhatCannotBeCopied) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(7);
  const std::unique_ptr<int> taken = std::move(result).value();
  EXPECT_EQ(*taken, 7);
}

TEST(ResultTest, AStatusIsDoneOrAnError) {
  const Status done;
  EXPECT_TRUE(done.has_value());
  EXPECT_EQ(Status(full()).error().message(), "no room");
}

TEST(ResultDeathTest, ValueOfAnErrorAbortsAndSaysWhich) {
  const Result<int> error = full();
  EXPECT_DEATH(static_cast<void>(error.value()), "Full: no room \\(retry after 250 ms\\)");
  EXPECT_DEATH(Status(full()).value(), "Full: no room");
}

TEST(ResultDeathTest, ErrorOfAValueAborts) {
  const Result<int> value = 7;
  EXPECT_DEATH(static_cast<void>(value.error()), "holds a value");
}

TEST(ErrorTest, SaysWhetherTryingAgainMayHelp) {
  EXPECT_TRUE(full().retryable());
  EXPECT_EQ(full().retry_after(), std::chrono::milliseconds(250));
  EXPECT_FALSE(Error(ErrorCode::InvalidArgument, "").retryable());
  EXPECT_EQ(Error(ErrorCode::Closed, "").to_string(), "Closed");
}

}  // namespace
}  // namespace jobwire
