// SPDX-License-Identifier: Apache-2.0
// What producers submit, and what they are refused.
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

TEST_F(EngineIntakeTest, JobThatSaysNothingHasNoTimeoutAndNoPolicyOfItsOwn) {
  submit(producer(), job(1));
  stage();
  EXPECT_EQ(last_batch.jobs.at(0).job.timeout, Millis(0)) << "it is its type's when it is leased";
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
