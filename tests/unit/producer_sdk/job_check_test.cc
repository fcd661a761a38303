// SPDX-License-Identifier: Apache-2.0
#include "job_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace jobwire::client_detail {
namespace {

using namespace std::chrono_literals;
using testing::StartsWith;

constexpr std::size_t kMaxPayload = 1000;

struct Case {
  const char* field;
  std::function<void(Job&)> change;
};

TEST(JobCheckTest, APlainJobIsFine) {
  EXPECT_FALSE(find_fault(Job("a/b.c_d-1"), kMaxPayload));
  EXPECT_FALSE(find_fault(Job(std::string(128, 'x')), kMaxPayload));
}

TEST(JobCheckTest, EachLimitIsFineAtItsEdge) {
  Job job("resize", std::string(kMaxPayload, 'x'));
  job.queue("0").priority(0).timeout(168h).delay(366 * 24h).result_ttl(366 * 24h);
  job.dedup_key(std::string(128, 'k'), 1ms).id(JobId::make());
  for (int i = 0; i < 32; ++i) job.header("key", std::string(253, 'v'));
  job.retry(
      RetryPolicy::listed({0ms, 1ms}).attempts(100).timeouts(1).crashes(100).fatal("KeyError"));
  EXPECT_FALSE(find_fault(job, kMaxPayload));
}

TEST(JobCheckTest, EachFieldOutOfItsRangeIsNamed) {
  const std::vector<Case> cases = {
      {"queue", [](Job& job) { job.queue(""); }},
      {"queue", [](Job& job) { job.queue("-images"); }},
      {"queue", [](Job& job) { job.queue("im ages"); }},
      {"queue",
       [](Job& job) {
         job.queue(
             "b\xC3\xBC"
             "cher");
       }},
      {"queue", [](Job& job) { job.queue(std::string(129, 'x')); }},
      {"id", [](Job& job) { job.id(JobId()); }},
      {"priority", [](Job& job) { job.priority(10); }},
      {"priority", [](Job& job) { job.priority(-1); }},
      {"timeout", [](Job& job) { job.timeout(0ms); }},
      {"timeout", [](Job& job) { job.timeout(168h + 1ms); }},
      {"delay", [](Job& job) { job.delay(-1ms); }},
      {"delay", [](Job& job) { job.delay(366 * 24h + 1ms); }},
      {"not_before", [](Job& job) { job.not_before(Job::Time()); }},
      {"expires_at", [](Job& job) { job.expires_at(Job::Time() - 1h); }},
      {"result_ttl", [](Job& job) { job.result_ttl(0ms); }},
      {"dedup_key", [](Job& job) { job.dedup_key(std::string(129, 'k'), 1h); }},
      {"dedup_window", [](Job& job) { job.dedup_key("key", 0ms); }},
      {"headers",
       [](Job& job) {
         for (int i = 0; i < 33; ++i) job.header("k", "v");
       }},
      {"headers", [](Job& job) { job.header("k", std::string(8192, 'v')); }},
      {"headers", [](Job& job) { job.header("", "v"); }},
      {"retry.attempts", [](Job& job) { job.retry(RetryPolicy().attempts(0)); }},
      {"retry.attempts", [](Job& job) { job.retry(RetryPolicy().attempts(101)); }},
      {"retry.timeouts", [](Job& job) { job.retry(RetryPolicy().timeouts(101)); }},
      {"retry.crashes", [](Job& job) { job.retry(RetryPolicy().crashes(0)); }},
      {"retry.base", [](Job& job) { job.retry(RetryPolicy::fixed(0ms)); }},
      {"retry.cap", [](Job& job) { job.retry(RetryPolicy::exponential(2s, 1s)); }},
      {"retry.factor", [](Job& job) { job.retry(RetryPolicy::exponential(1s, 2s, 0.5F)); }},
      {"retry.rests", [](Job& job) { job.retry(RetryPolicy::listed({})); }},
      {"retry.rests", [](Job& job) { job.retry(RetryPolicy::listed({-1ms})); }},
      {"retry.fatal", [](Job& job) { job.retry(RetryPolicy().fatal("")); }},
  };
  for (const Case& fault : cases) {
    Job job("resize");
    fault.change(job);
    const auto found = find_fault(job, kMaxPayload);
    ASSERT_TRUE(found) << fault.field;
    EXPECT_EQ(found->code(), ErrorCode::InvalidArgument);
    EXPECT_THAT(found->message(), StartsWith(std::string(fault.field) + ": "));
  }
  EXPECT_THAT(find_fault(Job(""), kMaxPayload)->message(), StartsWith("type: "));
}

TEST(JobCheckTest, APayloadOverTheBrokersLimitIsTooLarge) {
  const auto found = find_fault(Job("resize", std::string(kMaxPayload + 1, 'x')), kMaxPayload);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->code(), ErrorCode::TooLarge);
}

}  // namespace
}  // namespace jobwire::client_detail
