// SPDX-License-Identifier: Apache-2.0
// What producers ask for: submit, results, cancel; and what they are refused.
#include "core/engine.h"
#include "engine_driver.h"

namespace jobwire::core {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class EngineIntakeTest : public EngineTest {
 protected:
  void expect_refused(SessionId session, const Submission& submission, Code code,
                      std::string_view field = "") {
    const Effects out = refused([&] { return submit(session, submission); });
    ASSERT_THAT(out.receipts, SizeIs(1));
    EXPECT_EQ(out.receipts[0].session, session);
    EXPECT_EQ(out.receipts[0].id, submission.id);
    EXPECT_EQ(out.receipts[0].code, code);
    EXPECT_EQ(out.receipts[0].field, field);
    EXPECT_EQ(engine().state_of(submission.id), std::nullopt);
  }
};

// ---- receipts

TEST_F(EngineIntakeTest, ReceiptLeavesOnlyAfterItsCommit) {
  const SessionId p = producer();
  EXPECT_EQ(count_all(submit(p, job(1))), 0U);
  EXPECT_EQ(count_all(end_turn()), 0U);
  stage();
  EXPECT_EQ(count_all(end_turn()), 0U);
  EXPECT_EQ(count_all(advance(Millis(100))), 0U);
  const Effects out = committed();
  ASSERT_THAT(out.receipts, SizeIs(1));
  EXPECT_EQ(out.receipts[0].session, p);
  EXPECT_EQ(out.receipts[0].id, job_id(1));
  EXPECT_EQ(out.receipts[0].job, job_id(1));
  EXPECT_EQ(out.receipts[0].code, Code::kNone);
  EXPECT_FALSE(out.receipts[0].duplicate);
  EXPECT_EQ(out.receipts[0].state, State::kQueued);
}

TEST_F(EngineIntakeTest, SubmittedJobIsWrittenWhole) {
  const SessionId p = producer();
  Submission submission = job(1);
  submission.priority = 7;
  submission.timeout_ms = 1'234;
  submission.expires_at_ms = (kStart + Millis(60'000)).time_since_epoch().count();
  submission.keep_payload = true;
  options_of(submission).headers = {{"k", "v"}};
  submit(p, submission);
  const Batch& batch = stage();
  EXPECT_EQ(batch.sequence, 1U);
  ASSERT_THAT(batch.jobs, SizeIs(1));
  EXPECT_EQ(batch.jobs[0].stored, State::kNone);
  const JobRecord& record = batch.jobs[0].job;
  EXPECT_EQ(record.id, job_id(1));
  EXPECT_EQ(record.queue, "q");
  EXPECT_EQ(record.type, "t");
  EXPECT_EQ(record.state, State::kQueued);
  EXPECT_EQ(record.encoding, Encoding::kBytes);
  EXPECT_EQ(record.priority, 7);
  EXPECT_TRUE(record.keep_payload);
  EXPECT_EQ(record.payload.view(), "payload");
  EXPECT_EQ(record.payload_size, 7U);
  EXPECT_EQ(record.timeout, Millis(1'234));
  EXPECT_EQ(record.created, kStart);
  EXPECT_EQ(record.due, Wall{});
  EXPECT_EQ(record.expires, kStart + Millis(60'000));
  ASSERT_TRUE(record.options);
  EXPECT_THAT(record.options->headers, SizeIs(1));
  EXPECT_FALSE(batch.jobs[0].drop_payload);
  ASSERT_THAT(batch.queues, SizeIs(1));
  EXPECT_EQ(batch.queues[0].queue, "q");
  EXPECT_EQ(batch.queues[0].submitted, 1U);
}

TEST_F(EngineIntakeTest, JobThatSaysNothingGetsTheDefaultTimeoutAndNoPolicyOfItsOwn) {
  submit(producer(), job(1));
  stage();
  EXPECT_EQ(last_batch.jobs.at(0).job.timeout, config.default_timeout);
  EXPECT_EQ(last_batch.jobs.at(0).job.options, nullptr);
}

TEST_F(EngineIntakeTest, SameIdWhileItIsBeingStoredGivesOneReceipt) {
  const SessionId p = producer();
  submit(p, job(1));
  EXPECT_EQ(count_all(refused([&] {
              Effects out = submit(p, job(1));
              EXPECT_EQ(count_all(out), 0U);
              out.logs.emplace_back();
              return out;
            })),
            1U);
  EXPECT_THAT(commit().receipts, SizeIs(1));
  EXPECT_FALSE(engine().has_batch(now));
}

TEST_F(EngineIntakeTest, SameIdFromAnotherSessionGetsItsReceiptWithTheCommit) {
  const SessionId a = producer();
  const SessionId b = producer();
  submit(a, job(1));
  EXPECT_EQ(count_all(submit(b, job(1))), 0U);
  EXPECT_EQ(count_all(submit(b, job(1))), 0U);
  const Effects out = commit();
  ASSERT_THAT(out.receipts, SizeIs(2));
  EXPECT_EQ(out.receipts[0].session, a);
  EXPECT_FALSE(out.receipts[0].duplicate);
  EXPECT_EQ(out.receipts[1].session, b);
  EXPECT_TRUE(out.receipts[1].duplicate);
  EXPECT_EQ(engine().counts().jobs, 1U);
}

TEST_F(EngineIntakeTest, SameIdAfterItsCommitGetsTheReceiptAtOnceAndChangesNothing) {
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  const Effects out = refused([&] { return submit(p, job(1)); });
  ASSERT_THAT(out.receipts, SizeIs(1));
  EXPECT_EQ(out.receipts[0].code, Code::kNone);
  EXPECT_TRUE(out.receipts[0].duplicate);
  EXPECT_EQ(out.receipts[0].state, State::kQueued);
}

TEST_F(EngineIntakeTest, SameIdAfterItsEndGetsTheReceiptWithTheFinalState) {
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  const SessionId w = lone_worker();
  report(w, 1, {success(dispatched.at(0))});
  settle();
  const Effects out = refused([&] { return submit(p, job(1)); });
  ASSERT_THAT(out.receipts, SizeIs(1));
  EXPECT_TRUE(out.receipts[0].duplicate);
  EXPECT_EQ(out.receipts[0].state, State::kSucceeded);
}

TEST_F(EngineIntakeTest, ReceiptNeverNamesAnEndThatIsNotStored) {
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  const SessionId w = lone_worker();
  report(w, 1, {success(dispatched.at(0))});
  EXPECT_EQ(submit(p, job(1)).receipts.at(0).state, State::kRunning);
}

TEST_F(EngineIntakeTest, SessionThatEndedBeforeTheCommitGetsNothingAndTheJobStays) {
  const SessionId p = producer();
  submit(p, job(1));
  turn(SessionClosed{p, false});
  EXPECT_EQ(count_all(commit()), 0U);
  EXPECT_EQ(state(1), State::kQueued);
  EXPECT_EQ(engine().counts().unstored_jobs, 0U);
}

TEST_F(EngineIntakeTest, ResentAfterReconnectGetsTheReceiptInTheNewSession) {
  const SessionId before = producer();
  submit(before, job(1));
  turn(SessionClosed{before, false});
  const SessionId after = producer();
  submit(after, job(1));
  const Effects out = commit();
  ASSERT_THAT(out.receipts, SizeIs(1));
  EXPECT_EQ(out.receipts[0].session, after);
}

TEST_F(EngineIntakeTest, OneRefusedJobLeavesTheOthersOfItsMessageAlone) {
  const SessionId p = producer();
  Submission bad = job(2);
  bad.queue = "not a name";
  const Effects out = submit(p, {job(1), bad, job(3)});
  ASSERT_THAT(out.receipts, SizeIs(1));
  EXPECT_EQ(out.receipts[0].id, job_id(2));
  EXPECT_EQ(out.receipts[0].code, Code::kInvalidName);
  EXPECT_THAT(commit().receipts, SizeIs(2));
}

// ---- refusals

TEST_F(EngineIntakeTest, SubmitWithoutASessionIsRefusedWhole) {
  const Effects out = refused([&] { return submit(SessionId{99}, {job(1), job(2)}); });
  ASSERT_THAT(out.refusals, SizeIs(1));
  EXPECT_EQ(out.refusals[0].code, Code::kHelloFirst);
  EXPECT_EQ(out.refusals[0].session, SessionId{99});
  EXPECT_EQ(state(1), std::nullopt);
}

TEST_F(EngineIntakeTest, BadNamesAreRefusedAndChangeNothing) {
  const SessionId p = producer();
  Submission submission = job(1);
  submission.queue = "-q";
  expect_refused(p, submission, Code::kInvalidName, "queue");
  submission = job(1);
  submission.type = "";
  expect_refused(p, submission, Code::kInvalidName, "type");
}

TEST_F(EngineIntakeTest, ValuesOutOfRangeAreRefusedAndChangeNothing) {
  const SessionId p = producer();
  Submission submission = job(1);
  submission.priority = 10;
  expect_refused(p, submission, Code::kInvalidArgument, "priority");
  submission = job(1);
  submission.expires_at_ms = kStart.time_since_epoch().count();
  expect_refused(p, submission, Code::kInvalidArgument, "expires_at_ms");
}

TEST_F(EngineIntakeTest, ExpiryBeforeTheDelayEndsIsRefusedAndChangesNothing) {
  const SessionId p = producer();
  Submission submission = job(1);
  submission.delay_ms = 2'000;
  submission.expires_at_ms = (kStart + Millis(2'000)).time_since_epoch().count();
  expect_refused(p, submission, Code::kInvalidArgument, "expires_at_ms");
  submission.expires_at_ms += 1;
  EXPECT_EQ(count_all(submit(p, submission)), 0U);
}

TEST_F(EngineIntakeTest, KnownIdForAnotherQueueOrTypeIsRefusedAndChangesNothing) {
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  for (const bool queue : {true, false}) {
    Submission other = job(1);
    (queue ? other.queue : other.type) = "other";
    const Effects out = refused([&] { return submit(p, other); });
    ASSERT_THAT(out.receipts, SizeIs(1));
    EXPECT_EQ(out.receipts[0].code, Code::kDuplicateMismatch);
    EXPECT_EQ(out.receipts[0].field, std::string_view("id"));
  }
}

TEST_F(EngineIntakeTest, KnownIdOfAFinishedJobForAnotherQueueIsRefused) {
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  cancel(p, {job_id(1)});
  settle();
  Submission other = job(1);
  other.queue = "other";
  const Effects out = refused([&] { return submit(p, other); });
  EXPECT_EQ(out.receipts.at(0).code, Code::kDuplicateMismatch);
}

TEST_F(EngineIntakeTest, WindowOfJobsIsBoundedPerSessionAndOpensWithReceipts) {
  config.window_jobs = 2;
  const SessionId p = producer();
  const SessionId other = producer();
  submit(p, {job(1), job(2)});
  expect_refused(p, job(3), Code::kWindowFull);
  EXPECT_EQ(count_all(submit(other, job(4))), 0U);
  commit();
  EXPECT_EQ(count_all(submit(p, job(3))), 0U);
}

TEST_F(EngineIntakeTest, WindowOfBytesIsBounded) {
  config.window_bytes = 13;
  const SessionId p = producer();
  submit(p, job(1));
  expect_refused(p, job(2), Code::kWindowFull);
  Submission small = job(3);
  small.payload = bytes_of("sixsix");
  EXPECT_EQ(count_all(submit(p, small)), 0U);
}

TEST_F(EngineIntakeTest, WindowRefusalSaysWhenToTryAgain) {
  config.window_jobs = 1;
  const SessionId p = producer();
  submit(p, job(1));
  EXPECT_GT(submit(p, job(2)).receipts.at(0).retry_after, Millis(0));
}

TEST_F(EngineIntakeTest, QueueBoundOnJobsHoldsAndEndsMakeRoom) {
  config.max_queue_jobs = 2;
  const SessionId p = producer();
  stored_jobs(p, 1, 2);
  expect_refused(p, job(3), Code::kQueueFull);
  Submission elsewhere = job(4);
  elsewhere.queue = "other";
  EXPECT_EQ(count_all(submit(p, elsewhere)), 0U);
  cancel(p, {job_id(1)});
  settle();
  EXPECT_EQ(count_all(submit(p, job(3))), 0U);
}

TEST_F(EngineIntakeTest, QueueBoundOnBytesHolds) {
  config.max_queue_bytes = 13;
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  expect_refused(p, job(2), Code::kQueueFull);
  EXPECT_GT(submit(p, job(2)).receipts.at(0).retry_after, Millis(0));
}

TEST_F(EngineIntakeTest, TooManyQueuesOrTypesIsRefusedAndChangesNothing) {
  config.max_queues = 1;
  config.max_types = 1;
  const SessionId p = producer();
  submit(p, job(1));
  Submission other = job(2);
  other.queue = "other";
  expect_refused(p, other, Code::kQuotaExceeded, "queue");
  other = job(2);
  other.type = "other";
  expect_refused(p, other, Code::kQuotaExceeded, "type");
}

TEST_F(EngineIntakeTest, RefusedJobLeavesNoQueueAndNoTypeBehind) {
  config.max_queues = 2;
  config.max_types = 2;
  config.window_jobs = 1;
  const SessionId p = producer();
  submit(p, job(1));
  Submission other = job(2);
  other.queue = "never-made";
  other.type = "never-made";
  expect_refused(p, other, Code::kWindowFull);
  commit();
  other.queue = "made";
  other.type = "made";
  EXPECT_EQ(count_all(submit(p, other)), 0U);
}

TEST_F(EngineIntakeTest, SubmitWhileStoppingIsRefusedAndKnownIdsStillGetReceipts) {
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  turn(ShutdownBegun{});
  expect_refused(p, job(2), Code::kShuttingDown);
  EXPECT_EQ(submit(p, job(1)).receipts.at(0).code, Code::kNone);
}

// ---- dedup

class EngineDedupTest : public EngineIntakeTest {
 protected:
  static Submission keyed(std::uint64_t n, const char* key = "order-7",
                          Millis window = Millis(1'000)) {
    Submission submission = job(n);
    options_of(submission).dedup_key = key;
    options_of(submission).dedup_window = window;
    return submission;
  }
};

TEST_F(EngineDedupTest, SecondIdWithinTheWindowIsTheFirstJob) {
  const SessionId p = producer();
  submit(p, keyed(1));
  settle();
  const Effects out = refused([&] { return submit(p, keyed(2)); });
  ASSERT_THAT(out.receipts, SizeIs(1));
  EXPECT_EQ(out.receipts[0].code, Code::kNone);
  EXPECT_TRUE(out.receipts[0].duplicate);
  EXPECT_EQ(out.receipts[0].id, job_id(2));
  EXPECT_EQ(out.receipts[0].job, job_id(1));
  EXPECT_EQ(out.receipts[0].state, State::kQueued);
  EXPECT_EQ(state(2), std::nullopt);
}

TEST_F(EngineDedupTest, AnotherKeyIsAnotherJob) {
  const SessionId p = producer();
  submit(p, {keyed(1), keyed(2, "order-8")});
  EXPECT_THAT(commit().receipts, SizeIs(2));
  EXPECT_EQ(engine().counts().jobs, 2U);
}

TEST_F(EngineDedupTest, SecondIdBeforeTheFirstIsStoredIsToldToTryAgain) {
  const SessionId p = producer();
  submit(p, keyed(1));
  const Effects out = refused([&] { return submit(p, keyed(2)); });
  EXPECT_EQ(out.receipts.at(0).code, Code::kWindowFull);
  EXPECT_GT(out.receipts.at(0).retry_after, Millis(0));
}

TEST_F(EngineDedupTest, TheWindowOutlivesTheJob) {
  const SessionId p = producer();
  submit(p, keyed(1));
  settle();
  cancel(p, {job_id(1)});
  settle();
  const Effects out = submit(p, keyed(2));
  EXPECT_EQ(out.receipts.at(0).job, job_id(1));
  EXPECT_EQ(out.receipts.at(0).state, State::kCancelled);
}

TEST_F(EngineDedupTest, AfterTheWindowTheKeyIsFree) {
  const SessionId p = producer();
  submit(p, keyed(1));
  settle();
  advance(Millis(999));
  EXPECT_THAT(submit(p, keyed(2)).receipts, SizeIs(1));
  advance(Millis(1));
  EXPECT_EQ(count_all(submit(p, keyed(2))), 0U);
  EXPECT_THAT(commit().receipts, SizeIs(1));
  EXPECT_EQ(submit(p, keyed(3)).receipts.at(0).job, job_id(2));
}

TEST_F(EngineDedupTest, KeyTakenAnewIsNotFreedByTheOldWindowsEnd) {
  const SessionId p = producer();
  submit(p, keyed(1));
  settle();
  advance(Millis(1'000));
  submit(p, keyed(2, "order-7", Millis(60'000)));
  settle();
  advance(Millis(30'000));
  turn(SessionClosed{p, true});
  const SessionId q = producer();
  EXPECT_EQ(submit(q, keyed(3)).receipts.at(0).job, job_id(2));
}

TEST_F(EngineDedupTest, StoreRefusalFreesTheKey) {
  const SessionId p = producer();
  submit(p, keyed(1));
  stage();
  rejected(Code::kStoreUnavailable);
  EXPECT_EQ(count_all(submit(p, keyed(2))), 0U);
}

TEST_F(EngineDedupTest, StoreRefusalOfAnOldHolderDoesNotFreeTheKeyOfANewOne) {
  const SessionId p = producer();
  submit(p, keyed(1, "order-7", Millis(1)));
  stage();
  advance(Millis(1));
  submit(p, keyed(2, "order-7", Millis(60'000)));
  rejected(Code::kStoreUnavailable);
  advance(Millis(1'000));
  commit();
  EXPECT_EQ(submit(p, keyed(3)).receipts.at(0).job, job_id(2));
}

TEST_F(EngineDedupTest, RestoredKeyHoldsForWhatIsLeftOfItsWindow) {
  engine().restore_dedup("order-7", job_id(1), Millis(500), now);
  engine().finish_recovery(now);
  const SessionId p = producer();
  EXPECT_EQ(submit(p, keyed(2)).receipts.at(0).job, job_id(1));
  advance(Millis(500));
  EXPECT_EQ(count_all(submit(p, keyed(2))), 0U);
}

// ---- delays and expiry

TEST_F(EngineIntakeTest, DelayedJobIsScheduledAndRunsWhenItIsDue) {
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

TEST_F(EngineIntakeTest, DelayCountsFromTheSubmitNotFromTheCommit) {
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

TEST_F(EngineIntakeTest, LaterOfDelayAndNotBeforeCounts) {
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

TEST_F(EngineIntakeTest, NextDeadlineIsTheDueTime) {
  const SessionId p = producer();
  Submission later = job(1);
  later.delay_ms = 100;
  submit(p, later);
  commit();
  ASSERT_TRUE(engine().next_deadline());
  EXPECT_EQ(*engine().next_deadline(), now.steady + Millis(100));
}

TEST_F(EngineIntakeTest, ThousandDueInOneSecondAreEachDispatchedAtTheirMillisecond) {
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

TEST_F(EngineIntakeTest, QueuedJobExpiresAtItsLatestStartAndNeverRuns) {
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

TEST_F(EngineIntakeTest, RunningJobDoesNotExpire) {
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

TEST_F(EngineIntakeTest, HandedBackJobStillExpires) {
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

TEST_F(EngineIntakeTest, FailedAttemptAfterTheLatestStartExpiresInsteadOfRetrying) {
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

TEST_F(EngineIntakeTest, TimerOfAnEarlierLifeDoesNotTouchTheSameIdsNextLife) {
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

TEST_F(EngineIntakeTest, DueTimerOfAnEarlierLifeDoesNotQueueTheNextOneEarly) {
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

// ---- questions

TEST_F(EngineIntakeTest, QuestionWithoutASessionIsRefusedWithItsRequest) {
  const Effects out = refused([&] { return ask(SessionId{99}, {job_id(1)}, true, 42); });
  EXPECT_EQ(out.refusals.at(0).code, Code::kHelloFirst);
  EXPECT_EQ(out.refusals.at(0).request, 42U);
}

TEST_F(EngineIntakeTest, WaitingRunningFinalUnknownAndGoneAreToldApart) {
  const SessionId p = producer();
  stored_jobs(p, 1, 3);
  const SessionId w = lone_worker();
  const Effects next = report(w, 1, {success(dispatched.at(0))});
  settle();
  ASSERT_EQ(state(2), State::kRunning);
  const JobId unknown = job_id(50, now.wall);
  const JobId gone = job_id(51, now.wall - config.keep_finished - Millis(1));
  const Effects out = ask(p, {job_id(3), job_id(2), job_id(1), unknown, gone});
  ASSERT_THAT(out.results, SizeIs(4));
  EXPECT_EQ(out.results[0].known, Known::kWaiting);
  EXPECT_EQ(out.results[0].state, State::kQueued);
  EXPECT_EQ(out.results[0].session, p);
  EXPECT_EQ(out.results[0].request, 7U);
  EXPECT_FALSE(out.results[0].pushed);
  EXPECT_EQ(out.results[1].known, Known::kRunning);
  EXPECT_EQ(out.results[1].state, State::kRunning);
  EXPECT_EQ(out.results[2].id, unknown);
  EXPECT_EQ(out.results[2].known, Known::kUnknown);
  EXPECT_EQ(out.results[2].state, State::kNone);
  EXPECT_EQ(out.results[3].id, gone);
  EXPECT_EQ(out.results[3].known, Known::kGone);
  // What has ended is read from the store.
  ASSERT_THAT(out.result_reads, SizeIs(1));
  EXPECT_EQ(out.result_reads[0].id, job_id(1));
  EXPECT_EQ(out.result_reads[0].session, p);
  EXPECT_EQ(out.result_reads[0].request, 7U);
}

TEST_F(EngineIntakeTest, QuestionsChangeNothing) {
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  refused([&] { return ask(p, {job_id(1)}, true); });
  refused([&] { return ask(p, {job_id(9)}, true); });
}

TEST_F(EngineIntakeTest, EndThatIsNotStoredIsNotShown) {
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  const SessionId w = lone_worker();
  report(w, 1, {success(dispatched.at(0))});
  const Effects out = ask(p, {job_id(1)});
  EXPECT_EQ(out.results.at(0).known, Known::kRunning);
  EXPECT_FALSE(out.results.at(0).result);
}

TEST_F(EngineIntakeTest, WatchedJobsResultIsPushedOnceAfterItsCommit) {
  const SessionId p = producer();
  Submission watched = job(1);
  watched.watch = true;
  submit(p, watched);
  settle();
  const SessionId w = lone_worker();
  advance(Millis(20));
  EXPECT_THAT(report(w, 1, {success(dispatched.at(0), "answer", Micros(1'500))}).results,
              IsEmpty());
  const Effects out = commit();
  ASSERT_THAT(out.results, SizeIs(1));
  const ResultOut& result = out.results[0];
  EXPECT_EQ(result.session, p);
  EXPECT_EQ(result.request, 0U);
  EXPECT_TRUE(result.pushed);
  EXPECT_EQ(result.id, job_id(1));
  EXPECT_EQ(result.known, Known::kFinal);
  EXPECT_EQ(result.state, State::kSucceeded);
  EXPECT_EQ(result.encoding, Encoding::kUtf8);
  EXPECT_EQ(result.result.view(), "answer");
  EXPECT_EQ(result.attempts, 1U);
  EXPECT_EQ(result.created, kStart);
  EXPECT_EQ(result.started, kStart);
  EXPECT_EQ(result.finished, kStart + Millis(20));
  EXPECT_EQ(result.run, Micros(1'500));
  EXPECT_THAT(commit_rest().results, IsEmpty());
}

TEST_F(EngineIntakeTest, EverySessionThatWaitsGetsTheResult) {
  const SessionId a = producer();
  const SessionId b = producer();
  const SessionId c = producer();
  Submission watched = job(1);
  watched.watch = true;
  submit(a, watched);
  settle();
  ask(b, {job_id(1)}, true);
  ask(b, {job_id(1)}, true);
  ask(c, {job_id(1)}, false);
  const SessionId w = lone_worker();
  report(w, 1, {success(dispatched.at(0))});
  const Effects out = commit();
  ASSERT_THAT(out.results, SizeIs(2));
  EXPECT_EQ(out.results[0].session, a);
  EXPECT_EQ(out.results[1].session, b);
}

TEST_F(EngineIntakeTest, SessionThatEndedGetsNoPush) {
  const SessionId a = producer();
  Submission watched = job(1);
  watched.watch = true;
  submit(a, watched);
  settle();
  turn(SessionClosed{a, false});
  const SessionId b = producer();
  ask(b, {job_id(1)}, true);
  const SessionId w = lone_worker();
  report(w, 1, {success(dispatched.at(0))});
  const Effects out = commit();
  ASSERT_THAT(out.results, SizeIs(1));
  EXPECT_EQ(out.results[0].session, b);
}

TEST_F(EngineIntakeTest, WaiterForAJobThatTheStoreRefusesIsToldThatItIsUnknown) {
  const SessionId a = producer();
  const SessionId b = producer();
  submit(a, job(1));
  ask(b, {job_id(1)}, true);
  stage();
  const Effects out = rejected(Code::kStoreFull);
  EXPECT_THAT(out.receipts, SizeIs(1));
  ASSERT_THAT(out.results, SizeIs(1));
  EXPECT_EQ(out.results[0].session, b);
  EXPECT_EQ(out.results[0].id, job_id(1));
  EXPECT_EQ(out.results[0].known, Known::kUnknown);
  EXPECT_TRUE(out.results[0].pushed);
}

TEST_F(EngineIntakeTest, ResubmitWithWatchOfAFinishedJobReadsItsResult) {
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  const SessionId w = lone_worker();
  report(w, 1, {success(dispatched.at(0))});
  settle();
  Submission again = job(1);
  again.watch = true;
  const Effects out = submit(p, again);
  EXPECT_THAT(out.receipts, SizeIs(1));
  ASSERT_THAT(out.result_reads, SizeIs(1));
  EXPECT_EQ(out.result_reads[0].request, 0U);
}

TEST_F(EngineIntakeTest, FailedAttemptsErrorIsShownWhileTheJobWaits) {
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  const SessionId w = lone_worker();
  report(w, 1, {failure(dispatched.at(0))});
  settle();
  const Effects out = ask(p, {job_id(1)});
  EXPECT_EQ(out.results.at(0).known, Known::kWaiting);
  EXPECT_EQ(out.results.at(0).state, State::kScheduled);
  EXPECT_EQ(out.results.at(0).error.view(), "error buffer");
  ASSERT_TRUE(out.results.at(0).error_text);
  EXPECT_EQ(out.results.at(0).error_text->type, "builtins.ValueError");
  EXPECT_EQ(out.results.at(0).error_text->message, "it broke");
}

// ---- cancel

TEST_F(EngineIntakeTest, CancelWithoutASessionIsRefused) {
  const Effects out = refused([&] { return cancel(SessionId{99}, {job_id(1)}, 5); });
  EXPECT_EQ(out.refusals.at(0).code, Code::kHelloFirst);
  EXPECT_EQ(out.refusals.at(0).request, 5U);
}

TEST_F(EngineIntakeTest, CancelOfAnUnknownGoneOrFinishedJobIsRefusedAndChangesNothing) {
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  const SessionId w = lone_worker();
  report(w, 1, {success(dispatched.at(0))});
  settle();
  const auto reply = [&](const JobId& id) {
    return refused([&] { return cancel(p, {id}); }).cancel_replies.at(0);
  };
  EXPECT_EQ(reply(job_id(9)).code, Code::kUnknownJob);
  EXPECT_EQ(reply(job_id(9, kStart - config.keep_finished - Millis(1))).code, Code::kGoneJob);
  const CancelReplyOut ended = reply(job_id(1));
  EXPECT_EQ(ended.code, Code::kAlreadyFinal);
  EXPECT_EQ(ended.state, State::kSucceeded);
  EXPECT_EQ(ended.session, p);
  EXPECT_EQ(ended.request, 8U);
}

TEST_F(EngineIntakeTest, CancelledQueuedJobIsConfirmedAfterItsCommitAndNeverRuns) {
  const SessionId p = producer();
  stored_jobs(p, 1, 2);
  EXPECT_EQ(count_all(cancel(p, {job_id(1)})), 0U);
  EXPECT_EQ(state(1), State::kCancelled);
  const Effects out = commit();
  ASSERT_THAT(out.cancel_replies, SizeIs(1));
  EXPECT_EQ(out.cancel_replies[0].code, Code::kNone);
  EXPECT_EQ(out.cancel_replies[0].state, State::kCancelled);
  lone_worker(2, 2);
  ASSERT_THAT(dispatched, SizeIs(1));
  EXPECT_EQ(dispatched[0].job, job_id(2));
}

TEST_F(EngineIntakeTest, CancelledScheduledJobNeverBecomesDue) {
  const SessionId p = producer();
  lone_worker();
  Submission later = job(1);
  later.delay_ms = 1'000;
  submit(p, later);
  settle();
  cancel(p, {job_id(1)});
  EXPECT_EQ(commit().cancel_replies.at(0).state, State::kCancelled);
  EXPECT_THAT(advance(Millis(2'000)).dispatches, IsEmpty());
  EXPECT_EQ(state(1), State::kCancelled);
}

TEST_F(EngineIntakeTest, CancelBeforeTheJobIsStoredGetsItsReceiptThenItsEnd) {
  const SessionId p = producer();
  lone_worker();
  submit(p, job(1));
  cancel(p, {job_id(1)});
  const Effects out = commit();
  ASSERT_THAT(out.receipts, SizeIs(1));
  EXPECT_EQ(out.receipts[0].code, Code::kNone);
  EXPECT_THAT(out.dispatches, IsEmpty());
  ASSERT_THAT(out.cancel_replies, SizeIs(1));
  EXPECT_EQ(out.cancel_replies[0].state, State::kCancelled);
  EXPECT_EQ(written(1)->stored, State::kNone);
  EXPECT_EQ(written(1)->job.state, State::kCancelled);
}

TEST_F(EngineIntakeTest, CancelWhileTheJobIsBeingStoredIsTheNextWrite) {
  const SessionId p = producer();
  lone_worker();
  submit(p, job(1));
  stage();
  cancel(p, {job_id(1)});
  Effects out = committed();
  ASSERT_THAT(out.receipts, SizeIs(1));
  EXPECT_NE(out.receipts[0].state, State::kCancelled) << "that end is not stored yet";
  EXPECT_THAT(out.dispatches, IsEmpty());
  EXPECT_THAT(out.cancel_replies, IsEmpty());
  out = commit();
  EXPECT_EQ(written(1)->stored, State::kQueued);
  EXPECT_EQ(out.cancel_replies.at(0).state, State::kCancelled);
}

TEST_F(EngineIntakeTest, CancelOfAJobThatTheStoreThenRefusesIsUnknown) {
  const SessionId p = producer();
  submit(p, job(1));
  stage();
  cancel(p, {job_id(1)});
  const Effects out = rejected(Code::kStoreFull);
  EXPECT_EQ(out.receipts.at(0).code, Code::kStoreFull);
  ASSERT_THAT(out.cancel_replies, SizeIs(1));
  EXPECT_EQ(out.cancel_replies[0].code, Code::kUnknownJob);
  EXPECT_EQ(state(1), std::nullopt);
}

TEST_F(EngineIntakeTest, CancelOfARunningJobAsksItsWorkerAndItsAgent) {
  const HostId host = host_id(1);
  const SessionId p = producer();
  const SessionId a = agent(host);
  const SessionId w = hosted_worker(host, 5);
  submit(p, job(1));
  const Effects run = commit();
  const Effects out = cancel(p, {job_id(1)});
  ASSERT_THAT(out.recalls, SizeIs(1));
  EXPECT_EQ(out.recalls[0].session, w);
  EXPECT_EQ(out.recalls[0].token, run.dispatches.at(0).token);
  ASSERT_THAT(out.cancel_leases, SizeIs(1));
  EXPECT_EQ(out.cancel_leases[0].session, a);
  EXPECT_EQ(out.cancel_leases[0].token, run.dispatches.at(0).token);
  EXPECT_EQ(out.cancel_leases[0].worker, WorkerNumber{5});
  EXPECT_EQ(out.cancel_leases[0].grace, config.cancel_grace);
  EXPECT_THAT(out.cancel_replies, IsEmpty());
  EXPECT_EQ(state(1), State::kRunning);
  EXPECT_EQ(count_all(cancel(p, {job_id(1)}, 9)), 0U) << "asked once is enough";
}

class EngineCancelRaceTest : public EngineIntakeTest {
 protected:
  void SetUp() override {
    p = producer();
    a = agent(host);
    w = hosted_worker(host, 5);
    Submission watched = job(1);
    watched.watch = true;
    submit(p, watched);
    run = commit().dispatches.at(0);
    cancel(p, {job_id(1)});
  }
  /// The end that the caller of cancel is told.
  CancelReplyOut verdict() {
    const Effects out = commit();
    EXPECT_THAT(out.cancel_replies, SizeIs(1));
    EXPECT_THAT(out.results, SizeIs(1));
    EXPECT_EQ(out.results.at(0).state, out.cancel_replies.at(0).state);
    EXPECT_EQ(engine().counts().leases, 0U);
    return out.cancel_replies.at(0);
  }
  HostId host = host_id(1);
  SessionId p{}, a{}, w{};
  DispatchOut run;
};

TEST_F(EngineCancelRaceTest, ResultThatCameFirstWins) {
  report(w, 1, {success(run)});
  const CancelReplyOut reply = verdict();
  EXPECT_EQ(reply.code, Code::kAlreadyFinal);
  EXPECT_EQ(reply.state, State::kSucceeded);
}

TEST_F(EngineCancelRaceTest, WorkerThatConfirmsCancels) {
  report(w, 1, {failure(run, Outcome::kCancelled)});
  const CancelReplyOut reply = verdict();
  EXPECT_EQ(reply.code, Code::kNone);
  EXPECT_EQ(reply.state, State::kCancelled);
}

TEST_F(EngineCancelRaceTest, FailureIsNotRetriedButCancelled) {
  report(w, 1, {failure(run)});
  EXPECT_EQ(verdict().state, State::kCancelled);
  EXPECT_THAT(written(1)->attempts, SizeIs(1));
}

TEST_F(EngineCancelRaceTest, JobThatHadNotBegunIsHandedBackAndCancelled) {
  hand_back(w, {run.token});
  EXPECT_EQ(verdict().state, State::kCancelled);
  EXPECT_EQ(written(1)->job.attempts, 0U);
}

TEST_F(EngineCancelRaceTest, AgentThatStoppedItCancelsAndChargesNothing) {
  WorkerDown down;
  down.session = a;
  down.worker = WorkerNumber{5};
  down.end = WorkerEnd::kCancelled;
  const HeldLease lease = held(run, 5);
  down.running = std::span(&lease, 1);
  turn(down);
  EXPECT_EQ(verdict().state, State::kCancelled);
  EXPECT_EQ(written(1)->job.raised, 0U);
  EXPECT_EQ(written(1)->job.crashed, 0U);
  ASSERT_THAT(written(1)->attempts, SizeIs(1));
  EXPECT_EQ(written(1)->attempts[0].outcome, Outcome::kCancelled);
}

TEST_F(EngineCancelRaceTest, CrashMeanwhileCancels) {
  WorkerDown down;
  down.session = a;
  down.worker = WorkerNumber{5};
  down.end = WorkerEnd::kCrashed;
  const HeldLease lease = held(run, 5);
  down.running = std::span(&lease, 1);
  turn(down);
  EXPECT_EQ(verdict().state, State::kCancelled);
}

TEST_F(EngineCancelRaceTest, ResultAfterTheConfirmedCancelIsStale) {
  hand_back(w, {run.token});
  const Effects out = report(w, 1, {success(run)});
  EXPECT_EQ(out.lease_refusals.at(0).code, Code::kStaleLease);
  EXPECT_EQ(verdict().state, State::kCancelled);
}

TEST_F(EngineIntakeTest, CancelWhileAnEndIsBeingStoredSaysThatEnd) {
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  const SessionId w = lone_worker();
  report(w, 1, {success(dispatched.at(0))});
  EXPECT_EQ(count_all(cancel(p, {job_id(1)})), 0U);
  const Effects out = commit();
  EXPECT_EQ(out.cancel_replies.at(0).code, Code::kAlreadyFinal);
  EXPECT_EQ(out.cancel_replies.at(0).state, State::kSucceeded);
}

TEST_F(EngineIntakeTest, TooManyThatWaitForOneCancelAreRefusedAndChangeNothing) {
  const SessionId p = producer();
  lone_worker();
  submit(p, job(1));
  commit();
  for (std::uint64_t request = 0; request < 64; ++request) cancel(p, {job_id(1)}, request);
  const Effects out = refused([&] { return cancel(p, {job_id(1)}, 64); });
  EXPECT_EQ(out.cancel_replies.at(0).code, Code::kTooMany);
}

// ---- sessions of producers

TEST_F(EngineIntakeTest, SilentProducerSessionIsForgottenAndToldToGreet) {
  const SessionId p = producer();
  advance(config.session_timeout);
  EXPECT_EQ(engine().counts().sessions, 1U);
  const Effects out = advance(Millis(1'000));
  ASSERT_THAT(out.session_drops, SizeIs(1));
  EXPECT_EQ(out.session_drops[0].session, p);
  EXPECT_EQ(out.session_drops[0].code, Code::kHelloFirst);
  EXPECT_EQ(engine().counts().sessions, 0U);
}

TEST_F(EngineIntakeTest, HeartbeatKeepsAProducerSession) {
  const SessionId p = producer();
  for (int i = 0; i < 10; ++i) {
    EXPECT_THAT(advance(config.session_timeout / 2).session_drops, IsEmpty());
    beat(p, {});
  }
  EXPECT_EQ(engine().counts().sessions, 1U);
}

TEST_F(EngineIntakeTest, EndedSessionIsForgottenOnce) {
  const SessionId p = producer();
  turn(SessionClosed{p, true});
  EXPECT_EQ(engine().counts().sessions, 0U);
  EXPECT_EQ(count_all(turn(SessionClosed{p, true})), 0U);
}

}  // namespace
}  // namespace jobwire::core
