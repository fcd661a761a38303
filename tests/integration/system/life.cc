// SPDX-License-Identifier: Apache-2.0
// The life of a job as a C++ producer sees it, against a live system: life_test.py starts broker,
// Redis and workers (life_app.py) and names the broker in JOBWIRE_ENDPOINT. What Redis must hold at
// the end of a test is printed, one job a line, for life_test.py to compare.
#include <gtest/gtest.h>
#include <jobwire/client.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using jobwire::Client;
using jobwire::DeadReason;
using jobwire::ErrorCode;
using jobwire::Job;
using jobwire::JobId;
using jobwire::JobState;
using jobwire::RetryPolicy;
using Clock = std::chrono::steady_clock;

constexpr auto kLong = 30s;

class Life : public testing::Test {
 protected:
  static Client connect() {
    const char* const endpoint = std::getenv("JOBWIRE_ENDPOINT");
    auto client = Client::connect(endpoint ? endpoint : "");
    if (!client) {
      std::fprintf(stderr, "%s\n", client.error().message().c_str());
      std::abort();
    }
    return std::move(client).value();
  }

  static Job job(std::string_view type, std::string_view json) {
    Job made(type);
    made.json(json).queue("life").timeout(10s);
    return made;
  }

  jobwire::JobResult end_of(const Job& job) {
    auto result = client_.call(job, kLong);
    if (!result) {
      ADD_FAILURE() << result.error().message();
      return {};
    }
    return std::move(result).value();
  }

  JobId submitted(const Job& job) {
    auto receipt = client_.submit(job);
    if (!receipt) {
      ADD_FAILURE() << receipt.error().message();
      return {};
    }
    return receipt->id;
  }

  /// Waits until the job has reached the state; the state it was last seen in.
  JobState reached(const JobId& id, JobState state) {
    const auto deadline = Clock::now() + kLong;
    for (;;) {
      const auto status = client_.status(id);
      const JobState seen = status ? status->state : JobState::Unspecified;
      if (seen == state || Clock::now() > deadline) return seen;
      std::this_thread::sleep_for(5ms);
    }
  }

  static void expect_in_redis(const JobId& id,
                              std::initializer_list<std::pair<const char*, std::string>> fields) {
    std::string line = "redis " + id.to_string();
    for (const auto& [name, value] : fields) line += std::string(" ") + name + "=" + value;
    std::printf("%s\n", line.c_str());
  }

  Client client_ = connect();
};

// ---- retries

TEST_F(Life, FailedAttemptsAreRetriedAfterTheirBackoffUntilOneSucceeds) {
  const auto begun = Clock::now();
  const auto result =
      end_of(job("flaky", "2").retry(RetryPolicy::fixed(300ms).attempts(4).no_jitter()));
  EXPECT_EQ(result.state(), JobState::Succeeded);
  EXPECT_EQ(result.text(), "3");
  EXPECT_EQ(result.status().attempts, 3U);
  EXPECT_GE(Clock::now() - begun, 600ms) << "two rests of 300 ms";
  expect_in_redis(result.id(), {{"state", "succeeded"}, {"attempts", "3"}, {"raised", "2"}});
}

TEST_F(Life, ListedBackoffRestsAsListedAndRepeatsTheLast) {
  const auto begun = Clock::now();
  const auto result =
      end_of(job("flaky", "3").retry(RetryPolicy::listed({50ms, 400ms}).attempts(5).no_jitter()));
  EXPECT_EQ(result.text(), "4");
  EXPECT_GE(Clock::now() - begun, 850ms) << "50 + 400 + 400 ms";
}

TEST_F(Life, ExponentialBackoffDoublesUpToItsCap) {
  const auto begun = Clock::now();
  const auto result = end_of(
      job("flaky", "3").retry(RetryPolicy::exponential(100ms, 200ms).attempts(5).no_jitter()));
  EXPECT_EQ(result.text(), "4");
  EXPECT_GE(Clock::now() - begun, 500ms) << "100 + 200 + 200 ms";
}

TEST_F(Life, UsedUpAttemptsEndInDeadWithTheLastErrorAndEachAttemptKept) {
  const auto result =
      end_of(job("flaky", "9").retry(RetryPolicy::fixed(10ms).attempts(3).no_jitter()));
  EXPECT_EQ(result.state(), JobState::Dead);
  EXPECT_EQ(result.status().reason, DeadReason::Raised);
  ASSERT_NE(result.error(), nullptr);
  EXPECT_EQ(result.error()->type, "builtins.ValueError");
  EXPECT_EQ(result.error()->message, "attempt 3 of 9 that fail");
  ASSERT_FALSE(result.error()->frames.empty());
  EXPECT_EQ(result.error()->frames.back().function, "flaky");
  expect_in_redis(result.id(), {{"state", "dead"},
                                {"reason", "raised"},
                                {"attempts", "3"},
                                {"raised", "3"},
                                {"attempt:1", "*"},
                                {"attempt:2", "*"},
                                {"attempt:3", "*"}});
}

TEST_F(Life, FatalExceptionEndsTheJobAtItsFirstAttempt) {
  for (const char* name : {"ValueError", "builtins.ValueError"}) {
    const auto result =
        end_of(job("flaky", "9").retry(RetryPolicy::fixed(10ms).attempts(5).fatal(name)));
    EXPECT_EQ(result.state(), JobState::Dead) << name;
    EXPECT_EQ(result.status().attempts, 1U) << name;
  }
}

TEST_F(Life, HandlerChoosesItsOwnDelay) {
  const auto begun = Clock::now();
  const auto result =
      end_of(job("asks", "400").retry(RetryPolicy::fixed(20s).attempts(3).no_jitter()));
  EXPECT_EQ(result.text(), "2");
  EXPECT_GE(Clock::now() - begun, 400ms);
  EXPECT_LT(Clock::now() - begun, 20s) << "the policy's rest would have been longer";
}

TEST_F(Life, RejectEndsTheJobWhateverItsPolicy) {
  const auto result = end_of(job("refuses", "\"a bad image\"").retry(RetryPolicy::fixed(10ms)));
  EXPECT_EQ(result.state(), JobState::Dead);
  EXPECT_EQ(result.status().reason, DeadReason::Rejected);
  EXPECT_EQ(result.status().attempts, 1U);
  ASSERT_NE(result.error(), nullptr);
  EXPECT_EQ(result.error()->message, "a bad image");
  expect_in_redis(result.id(), {{"state", "dead"}, {"reason", "rejected"}});
}

TEST_F(Life, BudgetsOfErrorsTimeoutsAndCrashesAreCountedApart) {
  const auto timed_out =
      end_of(job("sleeps", "60000")
                 .timeout(200ms)
                 .retry(RetryPolicy::fixed(10ms).attempts(7).timeouts(2).crashes(7)));
  EXPECT_EQ(timed_out.status().reason, DeadReason::TimedOut);
  expect_in_redis(timed_out.id(), {{"reason", "timed_out"}, {"attempts", "2"}, {"timed_out", "2"}});

  const auto crashed =
      end_of(job("dies", "9").retry(RetryPolicy::fixed(10ms).attempts(7).timeouts(7).crashes(2)));
  EXPECT_EQ(crashed.status().reason, DeadReason::Crashed);
  ASSERT_NE(crashed.error(), nullptr);
  EXPECT_NE(crashed.error()->message.find("signal 9"), std::string::npos)
      << crashed.error()->message;
  expect_in_redis(crashed.id(), {{"reason", "crashed"}, {"attempts", "2"}, {"crashed", "2"}});
}

// ---- times

TEST_F(Life, DelayedJobWaitsAndThenRuns) {
  const auto begun = Clock::now();
  const JobId id = submitted(job("echo", "1").delay(500ms));
  const auto status = client_.status(id);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->state, JobState::Scheduled);
  EXPECT_EQ(client_.result(id).error().code(), ErrorCode::NotFinished);
  EXPECT_TRUE(client_.wait(id, kLong));
  EXPECT_GE(Clock::now() - begun, 500ms);
}

TEST_F(Life, NotBeforeCountsByTheTimeOfDay) {
  const auto when = std::chrono::system_clock::now() + 400ms;
  const auto result = end_of(job("echo", "1").not_before(when));
  EXPECT_EQ(result.state(), JobState::Succeeded);
  EXPECT_GE(result.status().started, std::chrono::floor<std::chrono::milliseconds>(when));
}

TEST_F(Life, JobThatDidNotStartInTimeExpires) {
  const auto result = end_of(
      Job("nobody-serves-this").queue("life").expires_at(std::chrono::system_clock::now() + 300ms));
  EXPECT_EQ(result.state(), JobState::Expired);
  EXPECT_EQ(result.status().attempts, 0U);
  expect_in_redis(result.id(), {{"state", "expired"}});
}

TEST_F(Life, ResultIsGoneAfterItsOwnTimeToLive) {
  const auto result = end_of(job("echo", "1").result_ttl(200ms));
  EXPECT_EQ(result.state(), JobState::Succeeded);
  const auto deadline = Clock::now() + kLong;
  ErrorCode code{};
  do {
    const auto again = client_.result(result.id());
    if (!again) code = again.error().code();
    std::this_thread::sleep_for(20ms);
  } while (code != ErrorCode::GoneJob && Clock::now() < deadline);
  EXPECT_EQ(code, ErrorCode::GoneJob) << "and not UnknownJob: it was here";
}

TEST_F(Life, HigherPriorityGoesFirst) {
  // Both workers are held, so that what is submitted meanwhile is ordered before any of it starts.
  const JobId first = submitted(job("sleeps", "700"));
  const JobId second = submitted(job("sleeps", "700"));
  ASSERT_EQ(reached(first, JobState::Running), JobState::Running);
  ASSERT_EQ(reached(second, JobState::Running), JobState::Running);
  std::vector<std::pair<int, JobId>> jobs;
  for (const int priority : {0, 4, 9, 1, 8})
    jobs.emplace_back(priority, submitted(job("sleeps", "30").priority(priority)));
  std::vector<std::pair<std::chrono::system_clock::time_point, int>> starts;
  for (const auto& [priority, id] : jobs) {
    const auto result = client_.wait(id, kLong);
    ASSERT_TRUE(result);
    starts.emplace_back(result->status().started, priority);
  }
  std::sort(starts.begin(), starts.end());
  std::vector<int> order;
  for (const auto& [start, priority] : starts) order.push_back(priority);
  // Two run at a time: the first two may start in the same moment, and so the next two.
  std::sort(order.begin(), order.begin() + 2, std::greater<>());
  std::sort(order.begin() + 2, order.begin() + 4, std::greater<>());
  EXPECT_EQ(order, (std::vector<int>{9, 8, 4, 1, 0}));
}

// ---- cancel

TEST_F(Life, ScheduledAndQueuedJobsAreCancelledAtOnce) {
  const JobId scheduled = submitted(job("echo", "1").delay(1h));
  const JobId queued = submitted(Job("nobody-serves-this").queue("life"));
  for (const JobId& id : {scheduled, queued}) {
    const auto state = client_.cancel(id, "not needed");
    ASSERT_TRUE(state) << state.error().message();
    EXPECT_EQ(*state, JobState::Cancelled);
    EXPECT_EQ(client_.wait(id, kLong)->state(), JobState::Cancelled);
    EXPECT_EQ(client_.cancel(id).error().code(), ErrorCode::AlreadyFinal);
    expect_in_redis(id, {{"state", "cancelled"}});
  }
}

TEST_F(Life, RunningJobThatLooksIsCancelledByItsFlag) {
  const JobId id = submitted(job("obeys", "60000").timeout(2min));
  ASSERT_EQ(reached(id, JobState::Running), JobState::Running);
  const auto state = client_.cancel(id, "not needed");
  ASSERT_TRUE(state) << state.error().message();
  EXPECT_EQ(client_.wait(id, kLong)->state(), JobState::Cancelled);
  expect_in_redis(id, {{"state", "cancelled"}});
}

TEST_F(Life, RunningJobThatDoesNotLookIsCancelledByForce) {
  const JobId id = submitted(job("sleeps", "60000").timeout(2min));
  ASSERT_EQ(reached(id, JobState::Running), JobState::Running);
  const auto state = client_.cancel(id);
  ASSERT_TRUE(state) << state.error().message();
  EXPECT_EQ(client_.wait(id, kLong)->state(), JobState::Cancelled);
  expect_in_redis(id, {{"state", "cancelled"}});
}

TEST_F(Life, CancelThatRacesWithTheEndHasOneWinnerAndNamesIt) {
  int cancelled = 0;
  for (int i = 0; i < 40; ++i) {
    const JobId id = submitted(job("sleeps", std::to_string(i % 4)));
    std::this_thread::sleep_for(std::chrono::microseconds(500 * (i % 8)));
    const auto answer = client_.cancel(id);
    const auto end = client_.wait(id, kLong);
    ASSERT_TRUE(end);
    if (answer) {
      EXPECT_EQ(*answer, JobState::Cancelled);
      EXPECT_EQ(end->state(), JobState::Cancelled);
      ++cancelled;
    } else {
      EXPECT_EQ(answer.error().code(), ErrorCode::AlreadyFinal);
      EXPECT_EQ(end->state(), JobState::Succeeded);
    }
  }
  std::printf("%d of 40 races were won by the cancel\n", cancelled);
}

// ---- progress

TEST_F(Life, ProgressOfARunningJobReachesWhoeverWaitsAndWhoeverAsks) {
  const JobId id = submitted(job("steps", "0.5"));
  std::mutex mutex;
  std::vector<std::string> told;
  const auto pending = client_.watch(id, [&](const jobwire::JobProgress& progress) {
    const std::lock_guard lock(mutex);
    told.push_back(progress.message);
  });
  const auto deadline = Clock::now() + kLong;
  std::optional<jobwire::JobProgress> asked;
  while (!asked && Clock::now() < deadline) {
    const auto status = client_.status(id);
    ASSERT_TRUE(status) << status.error().message();
    asked = status->progress;
    std::this_thread::sleep_for(5ms);
  }
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->message, "half");
  EXPECT_EQ(asked->value, 0.5F);
  ASSERT_TRUE(client_.cancel(id));
  const auto end = pending.get_for(kLong);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->state(), JobState::Cancelled);
  const std::lock_guard lock(mutex);
  EXPECT_NE(std::find(told.begin(), told.end(), "half"), told.end());
  expect_in_redis(id, {{"state", "cancelled"}, {"progress", "0.5"}, {"progress_message", "half"}});
}

// ---- idempotence and many at once

TEST_F(Life, TheSameIdTwiceIsOneJobAndOneReceipt) {
  Job twice = job("echo", "1");
  twice.id(JobId::make());
  const auto first = client_.submit(twice);
  const auto second = client_.submit(twice);
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(first->duplicate);
  EXPECT_TRUE(second->duplicate);
  EXPECT_EQ(first->id, second->id);
  EXPECT_TRUE(client_.wait(first->id, kLong));
  const auto third = client_.submit(twice);
  ASSERT_TRUE(third);
  EXPECT_TRUE(third->duplicate);
  EXPECT_EQ(third->state, JobState::Succeeded);
  twice.queue("another");
  EXPECT_EQ(client_.submit(twice).error().code(), ErrorCode::Conflict);
}

TEST_F(Life, OneDedupKeyIsOneJobForItsWindow) {
  const std::string key = JobId::make().to_string();
  const auto first = client_.submit(job("echo", "1").dedup_key(key, 1h));
  const auto second = client_.submit(job("echo", "2").dedup_key(key, 1h));
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(first->duplicate);
  EXPECT_TRUE(second->duplicate);
  EXPECT_EQ(second->id, first->id);
  EXPECT_EQ(client_.wait(second->id, kLong)->text(), "1");

  const std::string brief = JobId::make().to_string();
  const auto before = client_.submit(job("echo", "1").dedup_key(brief, 50ms));
  std::this_thread::sleep_for(100ms);
  const auto after = client_.submit(job("echo", "2").dedup_key(brief, 50ms));
  ASSERT_TRUE(before && after);
  EXPECT_NE(before->id, after->id) << "the window had passed";
}

TEST_F(Life, BatchAnswersEachJobInItsPlace) {
  std::vector<Job> jobs;
  for (int i = 0; i < 3000; ++i) jobs.push_back(job("echo", std::to_string(i)));
  jobs[7].priority(12);
  jobs[2999].queue("no such name");
  const auto receipts = client_.submit_batch(jobs);
  ASSERT_EQ(receipts.size(), jobs.size());
  std::vector<JobId> ids;
  for (std::size_t i = 0; i < receipts.size(); ++i) {
    if (i == 7 || i == 2999) {
      ASSERT_FALSE(receipts[i]) << i;
      EXPECT_EQ(receipts[i].error().code(), ErrorCode::InvalidArgument) << i;
    } else {
      ASSERT_TRUE(receipts[i]) << i << receipts[i].error().message();
      ids.push_back(receipts[i]->id);
    }
  }
  const auto results = client_.wait_all(ids, kLong);
  for (std::size_t i = 0; i < results.size(); ++i) {
    ASSERT_TRUE(results[i]) << i;
    EXPECT_EQ(results[i]->text(), std::to_string(i < 7 ? i : i + 1));
  }
}

TEST_F(Life, ATypeThatNobodyServesIsToldWithTheNamesThatAreNear) {
  ASSERT_EQ(end_of(job("echo", "1")).text(), "1") << "the workers are here";
  const JobId waiting = submitted(job("ecco", "1"));
  const auto status = client_.status(waiting);
  ASSERT_TRUE(status) << status.error().message();
  EXPECT_EQ(status->obstacle, "no worker of queue life has type ecco; there is echo");
  ASSERT_TRUE(client_.cancel(waiting));
}

TEST_F(Life, UnknownAndGoneAndWaitingAreDifferentAnswers) {
  EXPECT_EQ(client_.status(JobId::make()).error().code(), ErrorCode::UnknownJob);
  const JobId waiting = submitted(Job("nobody-serves-this").queue("life"));
  EXPECT_EQ(client_.status(waiting)->state, JobState::Queued);
  ASSERT_TRUE(client_.cancel(waiting));
}

}  // namespace
