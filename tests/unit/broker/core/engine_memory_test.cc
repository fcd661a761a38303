// SPDX-License-Identifier: Apache-2.0
// What the broker remembers of jobs that are gone, across restarts, and what it does not keep.
#include "engine_driver.h"

namespace jobwire::core {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class EngineMemoryTest : public EngineTest {
 protected:
  /// Job `n` succeeds; `worker` has one slot.
  void succeed(SessionId who, SessionId worker, const Submission& submission) {
    submit(who, submission);
    const Effects out = commit_rest();
    ASSERT_THAT(out.dispatches, SizeIs(1));
    report(worker, ++sequence_, {success(out.dispatches[0])});
    settle();
  }

 private:
  std::uint64_t sequence_ = 0;
};

TEST_F(EngineMemoryTest, ARemovalTellsTheStoreWhatIsGoneByIt) {
  config.keep_finished = Millis(1'000);
  const SessionId who = producer();
  const SessionId worker = lone_worker();
  succeed(who, worker, job(1));
  advance(Millis(1'000));
  stage();
  ASSERT_THAT(last_batch.removals, SizeIs(1));
  EXPECT_FALSE(last_batch.removals[0].own_ttl);
  EXPECT_EQ(last_batch.gone_before, kStart + Millis(1));
  committed();
}

TEST_F(EngineMemoryTest, AfterARestartAJobThatWasRemovedIsGoneAndNotUnknown) {
  engine().restore_gone_before(kStart + Millis(1));
  engine().finish_recovery(now);
  const Effects out = ask(producer(), {job_id(1), job_id(2, kStart + Millis(1))});
  ASSERT_THAT(out.results, SizeIs(2));
  EXPECT_EQ(out.results[0].known, Known::kGone);
  EXPECT_EQ(out.results[1].known, Known::kUnknown);
}

TEST_F(EngineMemoryTest, AnIdThatComesAgainAfterItsJobHasGoneIsANewJob) {
  // To refuse old ids would refuse what a producer made while it was cut off.
  config.keep_finished = Millis(1'000);
  const SessionId who = producer();
  const SessionId worker = lone_worker();
  succeed(who, worker, job(1));
  advance(Millis(1'001));
  settle();
  EXPECT_EQ(state(1), std::nullopt);
  EXPECT_EQ(ask(who, {job_id(1)}).results.at(0).known, Known::kGone);
  submit(who, job(1));
  const ReceiptOut receipt = commit().receipts.at(0);
  EXPECT_EQ(receipt.code, Code::kNone);
  EXPECT_FALSE(receipt.duplicate);
}

TEST_F(EngineMemoryTest, ARestoredJobGoesAtATimeOfItsOwn) {
  engine().restore_final(job_id(1), "q", State::kSucceeded, now.wall, now.wall + Millis(500));
  engine().restore_final(job_id(2), "q", State::kSucceeded, now.wall);
  engine().finish_recovery(now);
  advance(Millis(499));
  EXPECT_FALSE(engine().has_batch(now));
  advance(Millis(1));
  stage();
  ASSERT_THAT(last_batch.removals, SizeIs(1));
  EXPECT_EQ(last_batch.removals[0].id, job_id(1));
  EXPECT_TRUE(last_batch.removals[0].own_ttl);
}

TEST_F(EngineMemoryTest, OfAFailureThatIsStoredMemoryKeepsTheWordsAlone) {
  const SessionId who = producer();
  const SessionId worker = lone_worker();
  submit(who, job(1));
  const Effects out = commit_rest();
  ResultReport failed = failure(out.dispatches.at(0));
  const std::string buffer(60'000, 'e');
  const std::string message = std::string(1'023, 'm') + "ü" + std::string(5'000, 'm');
  failed.payload = bytes_of(buffer);
  failed.error_message = message;
  report(worker, 1, {failed});
  EXPECT_EQ(ask(who, {job_id(1)}).results.at(0).error.size(), buffer.size())
      << "until it is stored";
  settle();
  const ResultOut waiting = ask(who, {job_id(1)}).results.at(0);
  EXPECT_EQ(waiting.state, State::kScheduled);
  EXPECT_FALSE(waiting.error);
  ASSERT_TRUE(waiting.error_text);
  EXPECT_EQ(waiting.error_text->type, "builtins.ValueError");
  EXPECT_EQ(waiting.error_text->message, std::string(1'023, 'm')) << "whole characters";
}

TEST_F(EngineMemoryTest, ADeadJobsErrorIsPushedWhole) {
  Submission once = job(1);
  once.watch = true;
  options_of(once).has_retry = true;
  options_of(once).retry = retries(1);
  const SessionId who = producer();
  const SessionId worker = lone_worker();
  submit(who, once);
  const Effects out = commit_rest();
  report(worker, 1, {failure(out.dispatches.at(0))});
  const Effects end = commit_rest();
  ASSERT_THAT(end.results, SizeIs(1));
  EXPECT_EQ(end.results[0].error.view(), "error buffer");
}

TEST_F(EngineMemoryTest, TheOneWatcherTooManyIsRefusedByName) {
  stored_jobs(producer(), 1, 1);
  for (int i = 0; i < 65; ++i) EXPECT_THAT(ask(producer(), {job_id(1)}, true).refusals, IsEmpty());
  const SessionId late = producer();
  const Effects asked = refused([&] { return ask(late, {job_id(1)}, true, 9); });
  ASSERT_THAT(asked.refusals, SizeIs(1));
  EXPECT_EQ(asked.refusals[0].code, Code::kQuotaExceeded);
  EXPECT_EQ(asked.refusals[0].request, 9U);
  EXPECT_GT(asked.refusals[0].retry_after, Millis(0));
  Submission again = job(1);
  again.watch = true;
  const Effects submitted = refused([&] { return submit(late, again); });
  ASSERT_THAT(submitted.receipts, SizeIs(1));
  EXPECT_EQ(submitted.receipts[0].code, Code::kQuotaExceeded);
  EXPECT_STREQ(submitted.receipts[0].field, "watch");
  EXPECT_THAT(ask(late, {job_id(1)}).results, SizeIs(1))
      << "a question without waiting is answered";
}

TEST_F(EngineMemoryTest, WhileTheStoreIsAwayTheBufferFillsAndThenSubmitsAreRefusedByName) {
  config.max_unstored_jobs = 1;
  const SessionId who = producer();
  apply(StoreWentAway{});
  EXPECT_THAT(submit(who, job(1)).receipts, IsEmpty());
  const Effects out = refused([&] { return submit(who, job(2)); });
  ASSERT_THAT(out.receipts, SizeIs(1));
  EXPECT_EQ(out.receipts[0].code, Code::kStoreUnavailable);
  EXPECT_GT(out.receipts[0].retry_after, Millis(0));
}

TEST_F(EngineMemoryTest, AWatcherThatHasLeftMakesRoom) {
  stored_jobs(producer(), 1, 1);
  std::vector<SessionId> watchers;
  for (int i = 0; i < 65; ++i) {
    watchers.push_back(producer());
    ask(watchers.back(), {job_id(1)}, true);
  }
  turn(SessionClosed{watchers[40], true});
  EXPECT_THAT(ask(producer(), {job_id(1)}, true).results, SizeIs(1));
}

TEST_F(EngineMemoryTest, TheReasonOfTheFirstCancelIsKeptOnTheJob) {
  const SessionId who = producer();
  stored_jobs(who, 1, 1);
  const std::vector<JobId> ids{job_id(1)};
  turn(CancelAsked{who, 1, ids, "no longer"});
  turn(CancelAsked{who, 2, ids, "another"});
  stage();
  ASSERT_NE(written(1), nullptr);
  EXPECT_EQ(written(1)->job.state, State::kCancelled);
  EXPECT_EQ(written(1)->job.cancel_reason.view(), "no longer");
  committed();
}

TEST_F(EngineMemoryTest, AJobThatEndsOtherwiseKeepsNoReason) {
  const SessionId who = producer();
  const SessionId worker = lone_worker();
  submit(who, job(1));
  const Effects out = commit_rest();
  const std::vector<JobId> ids{job_id(1)};
  turn(CancelAsked{who, 1, ids, "too late"});
  report(worker, 1, {success(out.dispatches.at(0))});
  stage();
  ASSERT_NE(written(1), nullptr);
  EXPECT_EQ(written(1)->job.state, State::kSucceeded);
  EXPECT_FALSE(written(1)->job.cancel_reason);
}

TEST_F(EngineMemoryTest, AJobForATimeOfDayFollowsTheClockWhenItJumpsAhead) {
  const SessionId who = producer();
  Submission at = job(1);
  at.not_before_ms = (kStart + Millis(3'600'000)).time_since_epoch().count();
  Submission after = job(2);
  after.delay_ms = 3'600'000;
  submit(who, {at, after});
  settle();
  end_turn();
  now.wall += Millis(3'600'000);
  end_turn();
  EXPECT_EQ(state(1), State::kQueued);
  EXPECT_EQ(state(2), State::kScheduled) << "a delay is a span";
}

TEST_F(EngineMemoryTest, AJobForATimeOfDayWaitsForItWhenTheClockIsSetBack) {
  const SessionId who = producer();
  Submission at = job(1);
  at.not_before_ms = (kStart + Millis(10'000)).time_since_epoch().count();
  submit(who, at);
  settle();
  now.wall -= Millis(60'000);
  advance(Millis(10'000));
  EXPECT_EQ(state(1), State::kScheduled);
  advance(Millis(60'000));
  EXPECT_EQ(state(1), State::kQueued);
}

TEST_F(EngineMemoryTest, AJobExpiresByTheClockThatJumpedAhead) {
  const SessionId who = producer();
  Submission short_lived = job(1);
  short_lived.expires_at_ms = (kStart + Millis(3'600'000)).time_since_epoch().count();
  submit(who, short_lived);
  settle();
  end_turn();
  now.wall += Millis(3'600'001);
  end_turn();
  EXPECT_EQ(state(1), State::kExpired);
}

TEST_F(EngineMemoryTest, ASecondReadyOfASessionGivesNothingBackThatItCouldNotKnowOf) {
  const SessionId who = producer();
  const SessionId worker = lone_worker(1, 1);
  submit(who, job(1));
  ASSERT_THAT(commit_rest().dispatches, SizeIs(1));
  // It has not read that yet.
  const Effects out = ready(worker, room(1, 1));
  EXPECT_THAT(out.dispatches, IsEmpty());
  EXPECT_EQ(state(1), State::kRunning);
  EXPECT_EQ(engine().counts().leases, 1U);
}

TEST_F(EngineMemoryTest, GroupsWithoutWorkersAreFewHoweverManyCameAndWent) {
  // Each serves something of its own, and leaves: at the end there is room for as many again.
  stored_jobs(producer(), 1, 1);
  std::vector<std::string> names;
  for (int i = 0; i < 300; ++i) names.push_back("type" + std::to_string(i));
  for (int i = 0; i + 1 < 300; ++i) {
    Serves serves;
    serves.types = {names[static_cast<std::size_t>(i)], names[static_cast<std::size_t>(i) + 1]};
    const SessionId worker = lone_worker(serves);
    turn(SessionClosed{worker, true});
  }
  EXPECT_EQ(engine().counts().groups, Lanes::kEmptyGroups);
  lone_worker();
  EXPECT_THAT(dispatched, SizeIs(1));
  EXPECT_EQ(engine().counts().groups, Lanes::kEmptyGroups + 1);
}

}  // namespace
}  // namespace jobwire::core
