// SPDX-License-Identifier: Apache-2.0
// Delays, latest starts, and the timers behind them.
#include "core/engine.h"
#include "engine_driver.h"

namespace jobwire::core {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class EngineDelaysTest : public EngineTest {};

TEST_F(EngineDelaysTest, DelayedJobIsScheduledAndRunsWhenItIsDue) {
  const SessionId p = producer();
  lone_worker();
  Submission later = job(1);
  later.delay_ms = 1'500;
  submit(p, later);
  stage();
  EXPECT_EQ(last_batch.jobs.at(0).job.state, State::kScheduled);
  EXPECT_EQ(last_batch.jobs.at(0).job.due, kStart + Millis(1'500));
  EXPECT_EQ(committed().receipts.at(0).state, State::kScheduled);
  EXPECT_THAT(advance(Millis(1'499)).dispatches, IsEmpty());
  EXPECT_THAT(advance(Millis(1)).dispatches, SizeIs(1));
}

TEST_F(EngineDelaysTest, DelayCountsFromTheSubmitNotFromTheCommit) {
  const SessionId p = producer();
  lone_worker();
  Submission later = job(1);
  later.delay_ms = 1'000;
  submit(p, later);
  stage();
  advance(Millis(400));
  committed();
  EXPECT_THAT(advance(Millis(599)).dispatches, IsEmpty());
  EXPECT_THAT(advance(Millis(1)).dispatches, SizeIs(1));
}

TEST_F(EngineDelaysTest, LaterOfDelayAndNotBeforeCounts) {
  const SessionId p = producer();
  Submission later = job(1);
  later.delay_ms = 1'000;
  later.not_before_ms = (kStart + Millis(3'000)).time_since_epoch().count();
  Submission past = job(2);
  past.not_before_ms = (kStart - Millis(3'000)).time_since_epoch().count();
  submit(p, {later, past});
  stage();
  EXPECT_EQ(written(1)->job.due, kStart + Millis(3'000));
  EXPECT_EQ(written(2)->job.state, State::kQueued);
}

TEST_F(EngineDelaysTest, NextDeadlineIsTheDueTime) {
  const SessionId p = producer();
  Submission later = job(1);
  later.delay_ms = 100;
  submit(p, later);
  commit();
  ASSERT_TRUE(engine().next_deadline());
  EXPECT_EQ(*engine().next_deadline(), now.steady + Millis(100));
}

TEST_F(EngineDelaysTest, ThousandDueInOneSecondAreEachDispatchedAtTheirMillisecond) {
  const SessionId p = producer();
  lone_worker(1'024, 1'024);
  std::vector<Submission> jobs;
  for (std::uint64_t n = 1; n <= 1'000; ++n) {
    jobs.push_back(job(n));
    jobs.back().delay_ms = 5'000 + n;
  }
  submit(p, jobs);
  settle();
  advance(Millis(5'000));
  for (std::uint64_t n = 1; n <= 1'000; ++n) {
    const Effects out = advance(Millis(1));
    ASSERT_THAT(out.dispatches, SizeIs(1)) << n;
    ASSERT_EQ(out.dispatches[0].job, job_id(n));
  }
}

TEST_F(EngineDelaysTest, QueuedJobExpiresAtItsLatestStartAndNeverRuns) {
  const SessionId p = producer();
  Submission submission = job(1);
  submission.expires_at_ms = (kStart + Millis(1'000)).time_since_epoch().count();
  submission.watch = true;
  submit(p, submission);
  settle();
  advance(Millis(999));
  EXPECT_EQ(state(1), State::kQueued);
  advance(Millis(1));
  EXPECT_EQ(state(1), State::kExpired);
  lone_worker();
  EXPECT_THAT(dispatched, IsEmpty());
  const Effects out = commit();
  EXPECT_EQ(written(1)->stored, State::kQueued);
  EXPECT_EQ(written(1)->job.state, State::kExpired);
  EXPECT_TRUE(written(1)->drop_payload);
  ASSERT_THAT(out.results, SizeIs(1));
  EXPECT_TRUE(out.results[0].pushed);
  EXPECT_EQ(out.results[0].state, State::kExpired);
  EXPECT_EQ(engine().counts().jobs, 0U);
  EXPECT_EQ(engine().counts().resident_bytes, 0U);
}

TEST_F(EngineDelaysTest, RunningJobDoesNotExpire) {
  const SessionId p = producer();
  const SessionId w = lone_worker();
  Submission submission = job(1);
  submission.expires_at_ms = (kStart + Millis(1'000)).time_since_epoch().count();
  submit(p, submission);
  const Effects out = commit();
  advance(Millis(5'000));
  EXPECT_EQ(state(1), State::kRunning);
  report(w, 1, {success(out.dispatches.at(0))});
  settle();
  EXPECT_EQ(state(1), State::kSucceeded);
}

TEST_F(EngineDelaysTest, HandedBackJobStillExpires) {
  const SessionId p = producer();
  const SessionId w = lone_worker();
  Submission submission = job(1);
  submission.expires_at_ms = (kStart + Millis(1'000)).time_since_epoch().count();
  submit(p, submission);
  const Effects out = commit();
  advance(Millis(2'000));
  turn(SessionClosed{w, true});
  advance(Millis(1));
  EXPECT_EQ(state(1), State::kExpired);
  EXPECT_THAT(out.dispatches, SizeIs(1));
}

TEST_F(EngineDelaysTest, FailedAttemptAfterTheLatestStartExpiresInsteadOfRetrying) {
  const SessionId p = producer();
  const SessionId w = lone_worker();
  Submission submission = job(1);
  submission.expires_at_ms = (kStart + Millis(1'000)).time_since_epoch().count();
  submit(p, submission);
  const Effects out = commit();
  advance(Millis(2'000));
  report(w, 1, {failure(out.dispatches.at(0))});
  settle();
  EXPECT_EQ(state(1), State::kExpired);
}

TEST_F(EngineDelaysTest, TimerOfAnEarlierLifeDoesNotTouchTheSameIdsNextLife) {
  config.keep_finished = Millis(1'000);
  const SessionId p = producer();
  Submission submission = job(1);
  submission.expires_at_ms = (kStart + Millis(60'000)).time_since_epoch().count();
  submit(p, submission);
  settle();
  cancel(p, {job_id(1)});
  settle();
  advance(Millis(2'000));
  settle();
  ASSERT_EQ(state(1), std::nullopt);
  stored_jobs(p, 1, 1);
  for (int i = 0; i < 4; ++i) {
    turn(SessionClosed{p, true});
    advance(Millis(29'000));
  }
  EXPECT_EQ(state(1), State::kQueued);
}

TEST_F(EngineDelaysTest, DueTimerOfAnEarlierLifeDoesNotQueueTheNextOneEarly) {
  config.keep_finished = Millis(1'000);
  const SessionId p = producer();
  Submission submission = job(1);
  submission.delay_ms = 10'000;
  submit(p, submission);
  settle();
  cancel(p, {job_id(1)});
  settle();
  advance(Millis(2'000));
  settle();
  ASSERT_EQ(state(1), std::nullopt);
  submission.delay_ms = 60'000;
  submit(p, submission);
  settle();
  advance(Millis(9'000));
  EXPECT_EQ(state(1), State::kScheduled);
}

}  // namespace
}  // namespace jobwire::core
