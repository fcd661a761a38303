// SPDX-License-Identifier: Apache-2.0
#include "core/admission.h"

#include <limits>

#include "engine_driver.h"

namespace jobwire::core {
namespace {

constexpr std::int64_t kDayMs = 24LL * 3'600'000;
constexpr std::int64_t kYearMs = 366 * kDayMs;
constexpr std::int64_t kToday = kStart.time_since_epoch().count();

/// The field that is objected to; empty when the job is fine.
std::string objection(const Submission& submission) {
  const auto found = examine(submission, kStart);
  if (!found) return "";
  EXPECT_NE(found->code, Code::kNone);
  EXPECT_NE(std::string_view(found->message), "");
  return found->field;
}

template <typename Change>
std::string objection_to(Change&& change) {
  Submission submission = job(1);
  change(submission);
  return objection(submission);
}

template <typename Change>
std::string objection_to_options(Change&& change) {
  Submission submission = job(1);
  change(options_of(submission));
  return objection(submission);
}

template <typename Change>
std::string objection_to_retry(Change&& change) {
  Submission submission = job(1);
  options_of(submission).has_retry = true;
  change(options_of(submission).retry);
  return objection(submission);
}

TEST(AdmissionTest, PlainJobIsFine) { EXPECT_EQ(objection(job(1)), ""); }

TEST(AdmissionTest, NamesAreOfTheAlphabetAndBounded) {
  for (const char* name : {"a", "9", "images", "a/b.c_d-e", "A0"})
    EXPECT_TRUE(is_name(name)) << name;
  EXPECT_TRUE(is_name(std::string(128, 'a')));
  EXPECT_FALSE(is_name(std::string(129, 'a')));
  for (const char* name : {"", "_a", ".a", "/a", "-a", "a b", "a{b}", "a:b", "ä", "a\n", "a*"}) {
    EXPECT_FALSE(is_name(name)) << name;
  }
  EXPECT_FALSE(is_name(std::string_view("a\0b", 3)));
}

TEST(AdmissionTest, BadNamesAreInvalidNames) {
  Submission submission = job(1);
  submission.queue = "no queue";
  EXPECT_EQ(examine(submission, kStart)->code, Code::kInvalidName);
  EXPECT_EQ(objection(submission), "queue");
  submission = job(1);
  submission.type = "no type";
  EXPECT_EQ(examine(submission, kStart)->code, Code::kInvalidName);
  EXPECT_EQ(objection(submission), "type");
}

TEST(AdmissionTest, RequiredFieldsAreRequired) {
  EXPECT_EQ(objection_to([](Submission& s) { s.id = JobId{}; }), "id");
  EXPECT_EQ(objection_to([](Submission& s) { s.encoding = Encoding::kNone; }), "encoding");
}

TEST(AdmissionTest, PriorityIsZeroToNine) {
  EXPECT_EQ(objection_to([](Submission& s) { s.priority = 0; }), "");
  EXPECT_EQ(objection_to([](Submission& s) { s.priority = 9; }), "");
  EXPECT_EQ(objection_to([](Submission& s) { s.priority = 10; }), "priority");
}

TEST(AdmissionTest, TimeoutIsAtMostSevenDays) {
  EXPECT_EQ(objection_to([](Submission& s) { s.timeout_ms = 7 * kDayMs; }), "");
  EXPECT_EQ(objection_to([](Submission& s) { s.timeout_ms = 7 * kDayMs + 1; }), "timeout_ms");
  EXPECT_EQ(objection_to([](Submission& s) { s.timeout_ms = ~0ULL; }), "timeout_ms");
}

TEST(AdmissionTest, TimesAreWithinAYear) {
  EXPECT_EQ(objection_to([](Submission& s) { s.delay_ms = kYearMs; }), "");
  EXPECT_EQ(objection_to([](Submission& s) { s.delay_ms = kYearMs + 1; }), "delay_ms");
  EXPECT_EQ(objection_to([](Submission& s) { s.delay_ms = ~0ULL; }), "delay_ms");
  EXPECT_EQ(objection_to([](Submission& s) { s.not_before_ms = kToday + kYearMs; }), "");
  EXPECT_EQ(objection_to([](Submission& s) { s.not_before_ms = kToday + kYearMs + 1; }),
            "not_before_ms");
  EXPECT_EQ(objection_to([](Submission& s) { s.not_before_ms = 1; }), "") << "the past is now";
  EXPECT_EQ(objection_to([](Submission& s) { s.not_before_ms = -1; }), "not_before_ms");
  EXPECT_EQ(objection_to([](Submission& s) { s.expires_at_ms = kToday + kYearMs; }), "");
  EXPECT_EQ(objection_to([](Submission& s) { s.expires_at_ms = kToday + kYearMs + 1; }),
            "expires_at_ms");
  EXPECT_EQ(objection_to([](Submission& s) { s.expires_at_ms = -1; }), "expires_at_ms");
  EXPECT_EQ(objection_to([](Submission& s) { s.expires_at_ms = kToday; }), "expires_at_ms");
  EXPECT_EQ(objection_to([](Submission& s) { s.expires_at_ms = kToday + 1; }), "");
  constexpr std::int64_t kLast = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(objection_to([](Submission& s) { s.not_before_ms = kLast; }), "not_before_ms");
  EXPECT_EQ(objection_to([](Submission& s) { s.expires_at_ms = kLast; }), "expires_at_ms");
}

TEST(AdmissionTest, HeadersAreBounded) {
  const auto with = [](std::size_t count, std::size_t key, std::size_t value) {
    return objection_to_options([&](JobOptions& o) {
      o.headers.assign(count, {std::string(key, 'k'), std::string(value, 'v')});
    });
  };
  EXPECT_EQ(with(32, 10, 10), "");
  EXPECT_EQ(with(33, 1, 1), "headers");
  EXPECT_EQ(with(1, 0, 1), "headers");
  EXPECT_EQ(with(1, 128, 1), "");
  EXPECT_EQ(with(1, 129, 1), "headers");
  EXPECT_EQ(with(1, 2, 8 * 1024 - 2), "");
  EXPECT_EQ(with(1, 2, 8 * 1024 - 1), "headers");
}

TEST(AdmissionTest, DedupKeyNeedsAWindowAndBothAreBounded) {
  const auto with = [](std::size_t key, std::int64_t window) {
    return objection_to_options([&](JobOptions& o) {
      o.dedup_key = std::string(key, 'k');
      o.dedup_window = Millis(window);
    });
  };
  EXPECT_EQ(with(128, 1), "");
  EXPECT_EQ(with(129, 1), "dedup_key");
  EXPECT_EQ(with(1, 0), "dedup_window_ms");
  EXPECT_EQ(with(1, -1), "dedup_window_ms");
  EXPECT_EQ(with(1, kYearMs), "");
  EXPECT_EQ(with(1, kYearMs + 1), "dedup_window_ms");
}

TEST(AdmissionTest, ResultTtlIsBounded) {
  const auto with = [](std::int64_t ttl) {
    return objection_to_options([&](JobOptions& o) { o.result_ttl = Millis(ttl); });
  };
  EXPECT_EQ(with(0), "");
  EXPECT_EQ(with(kYearMs), "");
  EXPECT_EQ(with(kYearMs + 1), "result_ttl_ms");
  EXPECT_EQ(with(-1), "result_ttl_ms");
}

TEST(AdmissionTest, RetryPolicyIsBounded) {
  EXPECT_EQ(objection_to_retry([](RetryPolicy&) {}), "");
  EXPECT_EQ(objection_to_retry([](RetryPolicy& r) { r.attempts = 100; }), "");
  EXPECT_EQ(objection_to_retry([](RetryPolicy& r) { r.attempts = 101; }), "retry.attempts");
  EXPECT_EQ(objection_to_retry([](RetryPolicy& r) { r.timeouts = 101; }), "retry.timeouts");
  EXPECT_EQ(objection_to_retry([](RetryPolicy& r) { r.crashes = 101; }), "retry.crashes");
  EXPECT_EQ(objection_to_retry([](RetryPolicy& r) { r.base = Millis(-1); }), "retry.base_ms");
  EXPECT_EQ(objection_to_retry([](RetryPolicy& r) { r.base = Millis(kYearMs + 1); }),
            "retry.base_ms");
  EXPECT_EQ(objection_to_retry([](RetryPolicy& r) { r.cap = Millis(-1); }), "retry.cap_ms");
  EXPECT_EQ(objection_to_retry([](RetryPolicy& r) { r.cap = Millis(kYearMs + 1); }),
            "retry.cap_ms");
  for (const float factor : {0.0F, 0.99F, 100.1F, -1.0F, std::numeric_limits<float>::quiet_NaN(),
                             std::numeric_limits<float>::infinity()}) {
    EXPECT_EQ(objection_to_retry([&](RetryPolicy& r) { r.factor = factor; }), "retry.factor")
        << factor;
  }
  EXPECT_EQ(objection_to_retry([](RetryPolicy& r) { r.backoff = BackoffKind::kListed; }),
            "retry.listed_ms");
  EXPECT_EQ(objection_to_retry([](RetryPolicy& r) { r.listed.assign(101, Millis(1)); }),
            "retry.listed_ms");
  EXPECT_EQ(objection_to_retry([](RetryPolicy& r) { r.listed = {Millis(-1)}; }), "retry.listed_ms");
  EXPECT_EQ(objection_to_retry([](RetryPolicy& r) { r.listed = {Millis(kYearMs + 1)}; }),
            "retry.listed_ms");
  EXPECT_EQ(objection_to_retry([](RetryPolicy& r) { r.fatal.assign(33, "E"); }), "retry.fatal");
  EXPECT_EQ(objection_to_retry([](RetryPolicy& r) { r.fatal = {""}; }), "retry.fatal");
  EXPECT_EQ(objection_to_retry([](RetryPolicy& r) { r.fatal = {std::string(129, 'E')}; }),
            "retry.fatal");
}

TEST(AdmissionTest, PolicyThatIsNotThereIsNotJudged) {
  EXPECT_EQ(objection_to_options([](JobOptions& o) { o.retry.attempts = 999; }), "");
}

TEST(AdmissionTest, ZerosInAPolicyStandForTheBrokersDefaults) {
  RetryPolicy zeros;
  zeros.attempts = zeros.timeouts = zeros.crashes = 0;
  zeros.base = zeros.cap = Millis(0);
  RetryPolicy defaults;
  defaults.attempts = 7;
  defaults.timeouts = 6;
  defaults.crashes = 5;
  defaults.base = Millis(11);
  defaults.cap = Millis(22);
  const RetryPolicy policy = with_defaults(zeros, defaults);
  EXPECT_EQ(policy.attempts, 7U);
  EXPECT_EQ(policy.timeouts, 6U);
  EXPECT_EQ(policy.crashes, 5U);
  EXPECT_EQ(policy.base, Millis(11));
  EXPECT_EQ(policy.cap, Millis(22));
}

TEST(AdmissionTest, TimeoutsThatAreNotNamedTakeTheAttempts) {
  RetryPolicy asked;
  asked.attempts = 9;
  asked.timeouts = 0;
  EXPECT_EQ(with_defaults(asked, RetryPolicy{}).timeouts, 9U);
}

TEST(AdmissionTest, WhatAPolicyNamesStays) {
  RetryPolicy asked = retries(1, Millis(3));
  asked.timeouts = 2;
  asked.crashes = 8;
  asked.cap = Millis(4);
  EXPECT_EQ(with_defaults(asked, RetryPolicy{}), asked);
}

}  // namespace
}  // namespace jobwire::core
