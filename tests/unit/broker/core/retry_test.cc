// SPDX-License-Identifier: Apache-2.0
#include "core/retry.h"

#include <gtest/gtest.h>

#include <limits>

namespace jobwire::core {
namespace {

RetryPolicy plain() {
  RetryPolicy policy;
  policy.jitter = false;
  return policy;
}

Millis delay_of(const RetryPolicy& policy, std::uint32_t failures, std::uint64_t seed = 1) {
  Random random(seed);
  return backoff(policy, failures, random);
}

Verdict verdict(const RetryPolicy& policy, const FailureCounts& counts, Outcome outcome,
                std::string_view type = "E", bool retryable = true, Millis asked = Millis(0)) {
  Random random(1);
  return judge(policy, counts, outcome, type, retryable, asked, random);
}

TEST(BackoffTest, ExponentialDoublesUpToItsCap) {
  EXPECT_EQ(delay_of(plain(), 1), Millis(1'000));
  EXPECT_EQ(delay_of(plain(), 2), Millis(2'000));
  EXPECT_EQ(delay_of(plain(), 3), Millis(4'000));
  EXPECT_EQ(delay_of(plain(), 10), Millis(512'000));
  EXPECT_EQ(delay_of(plain(), 11), Millis(600'000));
  EXPECT_EQ(delay_of(plain(), 255), Millis(600'000));
}

TEST(BackoffTest, OverflowEndsAtTheCap) {
  RetryPolicy policy = plain();
  policy.factor = 100.0F;
  EXPECT_EQ(delay_of(policy, std::numeric_limits<std::uint32_t>::max()), policy.cap);
}

TEST(BackoffTest, BaseOfZeroIsNoDelay) {
  RetryPolicy policy = plain();
  policy.base = Millis(0);
  policy.factor = 100.0F;
  EXPECT_EQ(delay_of(policy, std::numeric_limits<std::uint32_t>::max()), Millis(0));
}

TEST(BackoffTest, FixedStays) {
  RetryPolicy policy = plain();
  policy.backoff = BackoffKind::kFixed;
  for (const std::uint32_t failures : {1U, 2U, 50U})
    EXPECT_EQ(delay_of(policy, failures), Millis(1'000));
}

TEST(BackoffTest, ListedGoesThroughItsListAndStaysAtItsLast) {
  RetryPolicy policy = plain();
  policy.backoff = BackoffKind::kListed;
  policy.listed = {Millis(5), Millis(50), Millis(700'000)};
  EXPECT_EQ(delay_of(policy, 1), Millis(5));
  EXPECT_EQ(delay_of(policy, 2), Millis(50));
  EXPECT_EQ(delay_of(policy, 3), policy.cap) << "the cap holds for all";
  EXPECT_EQ(delay_of(policy, 9), policy.cap);
}

TEST(BackoffTest, JitterIsFullAndUniform) {
  RetryPolicy policy;
  Random random(42);
  double sum = 0;
  Millis low = policy.base;
  Millis high{0};
  constexpr int kDraws = 10'000;
  for (int i = 0; i < kDraws; ++i) {
    const Millis delay = backoff(policy, 1, random);
    ASSERT_GE(delay, Millis(0));
    ASSERT_LE(delay, policy.base);
    low = std::min(low, delay);
    high = std::max(high, delay);
    sum += static_cast<double>(delay.count());
  }
  EXPECT_LT(low, Millis(20));
  EXPECT_GT(high, Millis(980));
  EXPECT_NEAR(sum / kDraws, 500, 15);
}

TEST(BackoffTest, SameSeedGivesTheSameDelays) {
  const RetryPolicy policy;
  Random a(7);
  Random b(7);
  for (std::uint32_t i = 1; i < 50; ++i) ASSERT_EQ(backoff(policy, i, a), backoff(policy, i, b));
  EXPECT_NE(delay_of(policy, 5, 1), delay_of(policy, 5, 2));
}

TEST(JudgeTest, EachBudgetIsItsOwn) {
  RetryPolicy policy = plain();
  policy.attempts = 4;
  policy.timeouts = 3;
  policy.crashes = 2;
  EXPECT_TRUE(verdict(policy, {3, 3, 2}, Outcome::kRaised).retry);
  EXPECT_FALSE(verdict(policy, {4, 0, 0}, Outcome::kRaised).retry);
  EXPECT_TRUE(verdict(policy, {4, 2, 2}, Outcome::kTimedOut).retry);
  EXPECT_FALSE(verdict(policy, {0, 3, 0}, Outcome::kTimedOut).retry);
  EXPECT_TRUE(verdict(policy, {4, 3, 1}, Outcome::kCrashed).retry);
  EXPECT_FALSE(verdict(policy, {0, 0, 2}, Outcome::kCrashed).retry);
}

TEST(JudgeTest, ReasonSaysWhichBudgetIsUsedUp) {
  const RetryPolicy policy = plain();
  EXPECT_EQ(verdict(policy, {4, 0, 0}, Outcome::kRaised).reason, DeadReason::kRaised);
  EXPECT_EQ(verdict(policy, {0, 4, 0}, Outcome::kTimedOut).reason, DeadReason::kTimedOut);
  EXPECT_EQ(verdict(policy, {0, 0, 3}, Outcome::kCrashed).reason, DeadReason::kCrashed);
  EXPECT_EQ(verdict(policy, {1, 0, 0}, Outcome::kRejected).reason, DeadReason::kRejected);
  EXPECT_EQ(verdict(policy, {1, 0, 0}, Outcome::kRaised).reason, DeadReason::kNone);
}

TEST(JudgeTest, BackoffGrowsWithTheFailuresOfItsOwnKind) {
  EXPECT_EQ(verdict(plain(), {3, 1, 1}, Outcome::kCrashed).delay, Millis(1'000));
  EXPECT_EQ(verdict(plain(), {3, 1, 1}, Outcome::kRaised).delay, Millis(4'000));
}

TEST(JudgeTest, RejectIsNeverRetried) {
  RetryPolicy policy = plain();
  policy.attempts = 100;
  EXPECT_FALSE(verdict(policy, {1, 0, 0}, Outcome::kRejected).retry);
}

TEST(JudgeTest, FatalClassIsNamedBareOrQualified) {
  RetryPolicy policy = plain();
  policy.fatal = {"ValueError", "app.errors.Fatal"};
  const auto dies = [&](std::string_view type) {
    return !verdict(policy, {1, 0, 0}, Outcome::kRaised, type).retry;
  };
  EXPECT_TRUE(dies("ValueError"));
  EXPECT_TRUE(dies("builtins.ValueError"));
  EXPECT_TRUE(dies("app.errors.Fatal"));
  EXPECT_FALSE(dies("Fatal"));
  EXPECT_FALSE(dies("other.errors.Fatal"));
  EXPECT_FALSE(dies("MyValueError"));
  EXPECT_FALSE(dies("builtins.ValueErrors"));
  EXPECT_FALSE(dies(""));
}

TEST(JudgeTest, FatalClassesMeanNothingForTimeoutsAndCrashes) {
  RetryPolicy policy = plain();
  policy.fatal = {"E"};
  EXPECT_TRUE(verdict(policy, {0, 1, 0}, Outcome::kTimedOut).retry);
  EXPECT_TRUE(verdict(policy, {0, 0, 1}, Outcome::kCrashed).retry);
  EXPECT_TRUE(verdict(policy, {1, 0, 0}, Outcome::kRetryAsked).retry);
}

TEST(JudgeTest, ErrorThatSaysSoIsNotRetried) {
  EXPECT_FALSE(verdict(plain(), {1, 0, 0}, Outcome::kRaised, "E", false).retry);
  EXPECT_TRUE(verdict(plain(), {0, 1, 0}, Outcome::kTimedOut, "E", false).retry);
}

TEST(JudgeTest, AskedDelayReplacesTheBackoffAndIsBounded) {
  const auto delay = [](Millis asked) {
    return verdict(plain(), {1, 0, 0}, Outcome::kRetryAsked, "E", true, asked).delay;
  };
  EXPECT_EQ(delay(Millis(123)), Millis(123));
  EXPECT_EQ(delay(Millis(0)), Millis(0));
  EXPECT_EQ(delay(Millis(-5)), Millis(0));
  EXPECT_EQ(delay(Millis::max()), Millis(std::chrono::days(366)));
}

}  // namespace
}  // namespace jobwire::core
