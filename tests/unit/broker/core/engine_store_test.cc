// SPDX-License-Identifier: Apache-2.0
// What is written, in which batches, and what happens when the store does not take it.
#include "core/engine.h"
#include "engine_driver.h"

namespace jobwire::core {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class EngineStoreTest : public EngineTest {
 protected:
  void advance_past_retry() { advance(Millis(200)); }
};

// ---- batches

TEST_F(EngineStoreTest, OneBatchAtATimeAndSequencesCountUp) {
  const SessionId p = producer();
  EXPECT_FALSE(engine().has_batch(now));
  submit(p, job(1));
  EXPECT_EQ(stage().sequence, 1U);
  submit(p, job(2));
  EXPECT_FALSE(engine().has_batch(now)) << "one is under way";
  committed();
  EXPECT_EQ(stage().sequence, 2U);
  EXPECT_NE(written(2), nullptr);
  EXPECT_EQ(written(1), nullptr);
}

TEST_F(EngineStoreTest, SequenceGoesOnFromTheStoresLast) {
  last_batch.sequence = 41;
  restart();
  submit(producer(), job(1));
  EXPECT_EQ(stage().sequence, 42U);
}

TEST_F(EngineStoreTest, BatchCarriesItsTime) {
  const SessionId p = producer();
  advance(Millis(5));
  submit(p, job(1));
  EXPECT_EQ(stage().now, kStart + Millis(5));
}

TEST_F(EngineStoreTest, BatchIsBoundedInJobs) {
  config.max_batch_jobs = 10;
  const SessionId p = producer();
  std::vector<Submission> jobs;
  for (std::uint64_t n = 1; n <= 25; ++n) jobs.push_back(job(n));
  submit(p, jobs);
  for (const std::size_t size : {10U, 10U, 5U}) {
    stage();
    EXPECT_EQ(last_batch.jobs.size(), size);
    EXPECT_EQ(committed().receipts.size(), size);
  }
  EXPECT_FALSE(engine().has_batch(now));
}

TEST_F(EngineStoreTest, BatchIsBoundedInBytesAndTakesAtLeastOneJob) {
  config.max_batch_bytes = 1'000;
  const std::string large(1'500, 'x');
  const SessionId p = producer();
  std::vector<Submission> jobs;
  for (std::uint64_t n = 1; n <= 2; ++n) {
    jobs.push_back(job(n));
    jobs.back().payload = bytes_of(large);
  }
  submit(p, jobs);
  EXPECT_THAT(stage().jobs, SizeIs(1));
  committed();
  EXPECT_THAT(stage().jobs, SizeIs(1));
}

TEST_F(EngineStoreTest, CountersOfAQueueAreWrittenOnce) {
  const SessionId p = producer();
  stored_jobs(p, 1, 3);
  cancel(p, {job_id(1), job_id(2)});
  stage();
  ASSERT_THAT(last_batch.queues, SizeIs(1));
  EXPECT_EQ(last_batch.queues[0].cancelled, 2U);
  EXPECT_EQ(last_batch.queues[0].submitted, 0U);
  committed();
  EXPECT_FALSE(engine().has_batch(now));
}

// ---- rejected

TEST_F(EngineStoreTest, RejectedBatchRefusesItsNewJobsWhole) {
  const SessionId p = producer();
  submit(p, {job(1), job(2)});
  stage();
  const Effects out = rejected(Code::kStoreFull);
  EXPECT_EQ(count_all(out), 2U);
  ASSERT_THAT(out.receipts, SizeIs(2));
  for (const ReceiptOut& refusal : out.receipts) {
    EXPECT_EQ(refusal.session, p);
    EXPECT_EQ(refusal.code, Code::kStoreFull);
    EXPECT_GT(refusal.retry_after, Millis(0));
    EXPECT_FALSE(refusal.duplicate);
  }
  EXPECT_EQ(out.receipts[0].id, job_id(1));
  const Engine::Counts counts = engine().counts();
  EXPECT_EQ(counts.jobs, 0U);
  EXPECT_EQ(counts.unstored_jobs, 0U);
  EXPECT_EQ(counts.unstored_bytes, 0U);
  EXPECT_EQ(counts.resident_bytes, 0U);
  EXPECT_EQ(state(1), std::nullopt);
  lone_worker(2, 2);
  advance(Millis(60'000));
  EXPECT_THAT(dispatched, IsEmpty());
  EXPECT_EQ(engine().counts().leases, 0U);
}

TEST_F(EngineStoreTest, EverySessionThatSubmittedARejectedJobIsTold) {
  const SessionId a = producer();
  const SessionId b = producer();
  submit(a, job(1));
  submit(b, job(1));
  stage();
  const Effects out = rejected(Code::kStoreUnavailable);
  ASSERT_THAT(out.receipts, SizeIs(2));
  EXPECT_EQ(out.receipts[0].session, a);
  EXPECT_EQ(out.receipts[1].session, b);
  EXPECT_EQ(out.receipts[1].code, Code::kStoreUnavailable);
}

TEST_F(EngineStoreTest, RejectedJobMayBeSubmittedAgain) {
  config.window_jobs = 1;
  const SessionId p = producer();
  submit(p, job(1));
  stage();
  rejected(Code::kStoreUnavailable);
  EXPECT_EQ(count_all(submit(p, job(1))), 0U) << "its place in the window is free again";
  advance_past_retry();
  EXPECT_EQ(commit().receipts.at(0).code, Code::kNone);
  EXPECT_EQ(written(1)->stored, State::kNone);
  EXPECT_EQ(written(1)->job.payload.view(), "payload");
}

TEST_F(EngineStoreTest, RejectedBatchKeepsItsEndsForTheNext) {
  const SessionId p = producer();
  Submission watched = job(1);
  watched.watch = true;
  submit(p, watched);
  settle();
  const SessionId w = lone_worker();
  report(w, 1, {success(dispatched.at(0), "kept")});
  submit(p, job(2));
  stage();
  Effects out = rejected(Code::kStoreUnavailable);
  EXPECT_THAT(out.receipts, SizeIs(1));
  EXPECT_THAT(out.acks, IsEmpty());
  EXPECT_THAT(out.results, IsEmpty());
  EXPECT_EQ(state(1), State::kSucceeded);
  EXPECT_EQ(engine().counts().jobs, 1U);
  EXPECT_FALSE(engine().has_batch(now)) << "not at once";
  ASSERT_TRUE(engine().next_deadline());
  EXPECT_LE(*engine().next_deadline(), now.steady + Millis(500));
  advance_past_retry();
  out = commit();
  EXPECT_EQ(last_batch.sequence, 2U) << "the rejected one had no effect, nor had its number";
  EXPECT_EQ(written(1)->stored, State::kQueued);
  EXPECT_EQ(written(1)->job.result.view(), "kept");
  EXPECT_EQ(written(2), nullptr);
  EXPECT_THAT(out.acks, SizeIs(1));
  EXPECT_THAT(out.results, SizeIs(1));
}

TEST_F(EngineStoreTest, CountersOfARejectedBatchAreWrittenLaterWithoutItsNewJobs) {
  config.max_batch_jobs = 2;
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  cancel(p, {job_id(1)});
  submit(p, {job(2), job(3), job(4)});
  stage();
  ASSERT_THAT(last_batch.jobs, SizeIs(2));
  rejected(Code::kStoreUnavailable);
  std::uint32_t submitted = 0;
  std::uint32_t cancelled = 0;
  advance_past_retry();
  while (engine().has_batch(now)) {
    commit();
    for (const QueueDelta& delta : last_batch.queues) {
      submitted += delta.submitted;
      cancelled += delta.cancelled;
    }
  }
  EXPECT_EQ(submitted, 2U) << "job 2 was refused";
  EXPECT_EQ(cancelled, 1U);
}

TEST_F(EngineStoreTest, CancelOfARejectedJobIsNotCounted) {
  const SessionId p = producer();
  submit(p, job(1));
  stage();
  cancel(p, {job_id(1)});
  rejected(Code::kStoreUnavailable);
  advance_past_retry();
  while (engine().has_batch(now)) {
    commit();
    for (const QueueDelta& delta : last_batch.queues) {
      EXPECT_EQ(delta.submitted, 0U);
      EXPECT_EQ(delta.cancelled, 0U);
    }
  }
}

TEST_F(EngineStoreTest, RemovalsOfARejectedBatchComeAgainBeforeYoungerOnes) {
  config.keep_finished_jobs = 1;
  const SessionId p = producer();
  stored_jobs(p, 1, 2);
  cancel(p, {job_id(1)});
  commit();
  cancel(p, {job_id(2)});
  commit();
  stage();
  ASSERT_THAT(last_batch.removals, SizeIs(1));
  ASSERT_EQ(last_batch.removals[0].id, job_id(1));
  rejected(Code::kStoreUnavailable);
  advance_past_retry();
  stage();
  ASSERT_THAT(last_batch.removals, SizeIs(1));
  EXPECT_EQ(last_batch.removals[0].id, job_id(1));
  EXPECT_EQ(last_batch.removals[0].state, State::kCancelled);
  committed();
  EXPECT_EQ(state(2), State::kCancelled);
  EXPECT_FALSE(engine().has_batch(now));
}

TEST_F(EngineStoreTest, IdWhoseRemovalIsUnderWayIsStillKnown) {
  config.keep_finished = Millis(1'000);
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  cancel(p, {job_id(1)});
  settle();
  advance(Millis(1'000));
  stage();
  ASSERT_THAT(last_batch.removals, SizeIs(1));
  EXPECT_EQ(submit(p, job(1)).receipts.at(0).state, State::kCancelled);
  rejected(Code::kStoreUnavailable);
  EXPECT_EQ(submit(p, job(1)).receipts.at(0).state, State::kCancelled);
  advance_past_retry();
  commit();
  EXPECT_EQ(state(1), std::nullopt);
  EXPECT_EQ(count_all(submit(p, job(1))), 0U) << "a new life";
}

TEST_F(EngineStoreTest, HostNotesAndStaleNotesOfARejectedBatchComeAgain) {
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  const SessionId w = lone_worker();
  report(w, 1, {success(dispatched.at(0))});
  settle();
  report(w, 2, {success(dispatched.at(0))});
  agent(host_id(1));
  stage();
  ASSERT_THAT(last_batch.hosts, SizeIs(1));
  ASSERT_THAT(last_batch.stale_notes, SizeIs(1));
  rejected(Code::kStoreUnavailable);
  advance_past_retry();
  stage();
  EXPECT_THAT(last_batch.hosts, SizeIs(1));
  EXPECT_THAT(last_batch.stale_notes, SizeIs(1));
  EXPECT_EQ(last_batch.queues.at(0).stale_results, 1U);
}

TEST_F(EngineStoreTest, OlderHostNoteOfARejectedBatchGivesWayToANewerOne) {
  const HostId host = host_id(1);
  const SessionId a = agent(host);
  stage();
  turn(SessionClosed{a, true});
  rejected(Code::kStoreUnavailable);
  advance_past_retry();
  stage();
  ASSERT_THAT(last_batch.hosts, SizeIs(1));
  EXPECT_TRUE(last_batch.hosts[0].left);
}

TEST_F(EngineStoreTest, RunningMarkOfARejectedBatchIsWrittenLaterOnlyIfItStillHolds) {
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  const SessionId w = lone_worker();
  advance(config.running_mark_delay);
  stage();
  ASSERT_EQ(last_batch.jobs.at(0).job.state, State::kRunning);
  report(w, 1, {success(dispatched.at(0))});
  rejected(Code::kStoreUnavailable);
  advance_past_retry();
  commit();
  EXPECT_EQ(written(1)->stored, State::kQueued);
  EXPECT_EQ(written(1)->job.state, State::kSucceeded);
  EXPECT_FALSE(engine().has_batch(now));
}

// ---- the store is full

TEST_F(EngineStoreTest, FullStoreRefusesNewJobsByNameForAWhile) {
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  submit(p, job(2));
  stage();
  rejected(Code::kStoreFull);
  const Effects out = refused([&] { return submit(p, job(3)); });
  EXPECT_EQ(out.receipts.at(0).code, Code::kStoreFull);
  EXPECT_GT(out.receipts.at(0).retry_after, Millis(0));
  EXPECT_EQ(submit(p, job(1)).receipts.at(0).code, Code::kNone) << "known ids are";
  advance(out.receipts.at(0).retry_after);
  EXPECT_EQ(count_all(submit(p, job(3))), 0U);
}

TEST_F(EngineStoreTest, FullStoreGetsWhatMakesRoomWithoutNewJobs) {
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  const SessionId w = lone_worker();
  report(w, 1, {success(dispatched.at(0))});
  submit(p, {job(2), job(3)});
  stage();
  rejected(Code::kStoreFull);
  submit(p, job(4));
  advance_past_retry();
  stage();
  ASSERT_THAT(last_batch.jobs, SizeIs(1));
  EXPECT_NE(written(1), nullptr);
}

TEST_F(EngineStoreTest, FullStoreRefusesTheNewJobsThatWaitedForTheNextBatchToo) {
  config.max_batch_jobs = 2;
  config.window_jobs = 4;
  const SessionId p = producer();
  submit(p, {job(1), job(2), job(3), job(4)});
  stage();
  const Effects out = rejected(Code::kStoreFull);
  EXPECT_THAT(out.receipts, SizeIs(4));
  EXPECT_EQ(count_all(out), 4U);
  EXPECT_EQ(engine().counts().jobs, 0U);
  EXPECT_EQ(engine().counts().unstored_jobs, 0U);
  EXPECT_EQ(engine().counts().resident_bytes, 0U);
  advance(Millis(1'000));
  EXPECT_FALSE(engine().has_batch(now));
  EXPECT_EQ(count_all(submit(p, {job(1), job(2), job(3), job(4)})), 0U)
      << "the window is open again";
}

TEST_F(EngineStoreTest, ScarceRoomRefusesNewJobsAndNothingElse) {
  const SessionId p = producer();
  stored_jobs(p, 1, 2);
  const SessionId w = lone_worker();
  turn(StoreRoomChanged{true});
  const Effects refused = submit(p, job(3));
  ASSERT_THAT(refused.receipts, SizeIs(1));
  EXPECT_EQ(refused.receipts[0].code, Code::kStoreFull);
  EXPECT_GT(refused.receipts[0].retry_after, Millis(0));
  EXPECT_TRUE(submit(p, job(1)).receipts.at(0).duplicate) << "what is known needs no room";
  advance(Millis(20'000));
  EXPECT_EQ(submit(p, job(3)).receipts.at(0).code, Code::kStoreFull)
      << "until it is told otherwise";
  EXPECT_FALSE(engine().state_of(job_id(3)));

  report(w, 1, {success(dispatched.at(0))});
  stage();
  EXPECT_NE(written(1), nullptr);
  committed();
  turn(StoreRoomChanged{false});
  EXPECT_THAT(submit(p, job(3)).receipts, SizeIs(0));
  stage();
  EXPECT_EQ(committed().receipts.at(0).code, Code::kNone);
}

TEST_F(EngineStoreTest, ScarceRoomTurnsAwayWhatIsInNoBatchYet) {
  config.max_batch_jobs = 1;
  const SessionId p = producer();
  submit(p, {job(1), job(2), job(3)});
  stage();
  const Effects out = turn(StoreRoomChanged{true});
  ASSERT_THAT(out.receipts, SizeIs(2));
  for (const ReceiptOut& refusal : out.receipts) EXPECT_EQ(refusal.code, Code::kStoreFull);
  EXPECT_EQ(engine().counts().unstored_jobs, 1U);
  EXPECT_EQ(committed().receipts.at(0).id, job_id(1)) << "the batch under way goes on";
  EXPECT_FALSE(engine().has_batch(now));
  EXPECT_EQ(engine().counts().unstored_bytes, 0U);
}

// ---- the store is away

TEST_F(EngineStoreTest, IntakeGoesOnWhileTheStoreIsAwayUntilTheBufferIsFull) {
  config.max_unstored_jobs = 3;
  const SessionId p = producer();
  turn(StoreWentAway{});
  submit(p, {job(1), job(2), job(3)});
  EXPECT_FALSE(engine().has_batch(now));
  const Effects out = refused([&] { return submit(p, job(4)); });
  EXPECT_EQ(out.receipts.at(0).code, Code::kStoreUnavailable);
  EXPECT_GT(out.receipts.at(0).retry_after, Millis(0));
  turn(StoreCameBack{});
  EXPECT_THAT(commit().receipts, SizeIs(3));
  EXPECT_EQ(count_all(submit(p, job(4))), 0U);
}

TEST_F(EngineStoreTest, BufferIsBoundedInBytes) {
  config.max_unstored_bytes = 20;
  const SessionId p = producer();
  turn(StoreWentAway{});
  submit(p, {job(1), job(2)});
  const Effects out = refused([&] { return submit(p, job(3)); });
  EXPECT_EQ(out.receipts.at(0).code, Code::kStoreUnavailable);
}

TEST_F(EngineStoreTest, FullBufferOfAStoreThatAnswersIsAFullWindow) {
  config.max_unstored_jobs = 1;
  const SessionId p = producer();
  const SessionId other = producer();
  submit(p, job(1));
  const Effects out = refused([&] { return submit(other, job(2)); });
  EXPECT_EQ(out.receipts.at(0).code, Code::kWindowFull);
}

TEST_F(EngineStoreTest, ABatchThatIsNotAnsweredForASecondMakesAFullBufferAStoreThatIsAway) {
  config.max_unstored_jobs = 1;
  const SessionId p = producer();
  submit(p, job(1));
  stage();
  advance(Millis(999));
  EXPECT_EQ(submit(p, job(2)).receipts.at(0).code, Code::kWindowFull);
  advance(Millis(1));
  EXPECT_EQ(submit(p, job(2)).receipts.at(0).code, Code::kStoreUnavailable);
  committed();
  EXPECT_EQ(count_all(submit(p, job(2))), 0U);
}

TEST_F(EngineStoreTest, AFullWindowOfAStoreThatIsAwaySaysSo) {
  config.window_jobs = 1;
  const SessionId p = producer();
  turn(StoreWentAway{});
  submit(p, job(1));
  EXPECT_EQ(submit(p, job(2)).receipts.at(0).code, Code::kStoreUnavailable);
  turn(StoreCameBack{});
  EXPECT_EQ(submit(p, job(2)).receipts.at(0).code, Code::kWindowFull);
}

TEST_F(EngineStoreTest, RunningWorkGoesOnWhileTheStoreIsAwayAndResultsWait) {
  const SessionId p = producer();
  stored_jobs(p, 1, 3);
  const SessionId w = lone_worker();
  turn(StoreWentAway{});
  const Effects next = report(w, 1, {success(dispatched.at(0))});
  EXPECT_THAT(next.acks, IsEmpty());
  ASSERT_THAT(next.dispatches, SizeIs(1)) << "stored jobs may run";
  report(w, 2, {success(next.dispatches[0])});
  advance(Millis(10'000));
  EXPECT_FALSE(engine().has_batch(now));
  turn(StoreCameBack{});
  const Effects out = commit();
  ASSERT_THAT(out.acks, SizeIs(1));
  EXPECT_EQ(out.acks[0].through, 2U);
  EXPECT_EQ(written(1)->job.state, State::kSucceeded);
  EXPECT_EQ(written(2)->job.state, State::kSucceeded);
}

TEST_F(EngineStoreTest, BatchUnderWayWhenTheStoreGoesAwayStaysUnderWay) {
  const SessionId p = producer();
  submit(p, job(1));
  stage();
  turn(StoreWentAway{});
  submit(p, job(2));
  turn(StoreCameBack{});
  EXPECT_FALSE(engine().has_batch(now));
  EXPECT_THAT(committed().receipts, SizeIs(1));
  EXPECT_EQ(stage().sequence, 2U);
}

TEST_F(EngineStoreTest, ResultsThatWaitForTheStoreAreBounded) {
  config.max_unstored_bytes = 10'000;
  const SessionId p = producer();
  stored_jobs(p, 1, 60);
  const SessionId w = lone_worker();
  turn(StoreWentAway{});
  const std::string large(1'000, 'x');
  std::vector<DispatchOut> leases = dispatched;
  std::uint64_t sequence = 0;
  while (!leases.empty() && sequence < 60)
    leases = report(w, ++sequence, {success(leases[0], large)}).dispatches;
  EXPECT_EQ(sequence, 10U) << "then no more work is given out";
  EXPECT_EQ(engine().counts().leases, 0U);
  turn(StoreCameBack{});
  EXPECT_THAT(commit().dispatches, SizeIs(1)) << "and it goes on by itself";
}

// ---- stopping

TEST_F(EngineStoreTest, StoppingBrokerIsDrainedWhenEverythingIsStored) {
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  EXPECT_FALSE(engine().drained());
  submit(p, job(2));
  turn(ShutdownBegun{});
  EXPECT_FALSE(engine().drained());
  stage();
  EXPECT_FALSE(engine().drained());
  EXPECT_THAT(committed().receipts, SizeIs(1));
  EXPECT_TRUE(engine().drained());
}

TEST_F(EngineStoreTest, StoppingBrokerGivesOutNoMoreWorkAndTakesResults) {
  const SessionId p = producer();
  stored_jobs(p, 1, 2);
  const SessionId w = lone_worker();
  turn(ShutdownBegun{});
  const Effects out = report(w, 1, {success(dispatched.at(0))});
  EXPECT_THAT(out.dispatches, IsEmpty());
  EXPECT_FALSE(engine().drained());
  EXPECT_EQ(commit().acks.at(0).through, 1U);
  EXPECT_TRUE(engine().drained());
  EXPECT_EQ(state(2), State::kQueued);
}

// ---- retention

class EngineRetentionTest : public EngineStoreTest {
 protected:
  /// Stored, and ended by cancel.
  void ended(SessionId p, std::uint64_t n) {
    submit(p, job(n));
    commit();
    cancel(p, {job_id(n)});
    commit();
  }
  std::size_t removed() {
    std::size_t count = 0;
    while (engine().has_batch(now)) {
      commit();
      count += last_batch.removals.size();
    }
    return count;
  }
};

TEST_F(EngineRetentionTest, FinishedJobGoesAfterItsAge) {
  const SessionId p = producer();
  ended(p, 1);
  advance(config.keep_finished - Millis(1));
  EXPECT_FALSE(engine().has_batch(now));
  advance(Millis(1));
  stage();
  ASSERT_THAT(last_batch.removals, SizeIs(1));
  EXPECT_EQ(last_batch.removals[0].id, job_id(1));
  EXPECT_EQ(last_batch.removals[0].queue, "q");
  EXPECT_EQ(last_batch.removals[0].state, State::kCancelled);
  committed();
  EXPECT_EQ(state(1), std::nullopt);
  EXPECT_EQ(engine().counts().finished, 0U);
  const SessionId q = producer();
  EXPECT_EQ(ask(q, {job_id(1)}).results.at(0).known, Known::kGone);
}

TEST_F(EngineRetentionTest, FinishedJobsAreBoundedInCountPerQueue) {
  config.keep_finished_jobs = 2;
  const SessionId p = producer();
  for (std::uint64_t n = 1; n <= 3; ++n) ended(p, n);
  EXPECT_EQ(removed(), 1U);
  EXPECT_EQ(state(1), std::nullopt);
  EXPECT_EQ(state(2), State::kCancelled);
  EXPECT_EQ(state(3), State::kCancelled);
}

TEST_F(EngineRetentionTest, FinishedJobsAreBoundedInBytesPerQueue) {
  config.keep_finished_bytes = 2'500;
  const SessionId p = producer();
  const std::string large(1'000, 'x');
  for (std::uint64_t n = 1; n <= 2; ++n) {
    submit(p, job(n));
    commit();
    const SessionId w = lone_worker();
    report(w, 1, {success(dispatched.at(0), large)});
    commit();
    turn(SessionClosed{w, true});
  }
  removed();
  EXPECT_EQ(state(1), std::nullopt);
  EXPECT_EQ(state(2), State::kSucceeded);
}

TEST_F(EngineRetentionTest, JobsOwnTtlCounts) {
  const SessionId p = producer();
  for (std::uint64_t n = 1; n <= 2; ++n) {
    Submission submission = job(n);
    options_of(submission).result_ttl = n == 1 ? Millis(1'000) : 2 * config.keep_finished;
    submit(p, submission);
  }
  submit(p, job(3));
  settle();
  cancel(p, {job_id(1), job_id(2), job_id(3)});
  settle();
  advance(Millis(1'000));
  EXPECT_EQ(removed(), 1U);
  EXPECT_EQ(state(1), std::nullopt);
  advance(config.keep_finished);
  EXPECT_EQ(removed(), 1U);
  EXPECT_EQ(state(3), std::nullopt);
  EXPECT_EQ(state(2), State::kCancelled);
}

TEST_F(EngineRetentionTest, DeadJobsAreKeptApart) {
  config.keep_finished_jobs = 1;
  const SessionId p = producer();
  Submission submission = job(1);
  options_of(submission).has_retry = true;
  options_of(submission).retry = retries(1);
  submit(p, submission);
  commit();
  const SessionId w = lone_worker();
  report(w, 1, {failure(dispatched.at(0))});
  commit();
  turn(SessionClosed{w, true});
  for (std::uint64_t n = 2; n <= 4; ++n) ended(p, n);
  removed();
  EXPECT_EQ(state(2), std::nullopt);
  EXPECT_EQ(state(4), State::kCancelled);
  EXPECT_EQ(state(1), State::kDead);
  advance(config.keep_finished);
  removed();
  EXPECT_EQ(state(1), State::kDead);
  advance(config.keep_dead);
  removed();
  EXPECT_EQ(state(1), std::nullopt);
}

TEST_F(EngineRetentionTest, RemovalsComeInSlices) {
  config.max_batch_removals = 4;
  const SessionId p = producer();
  stored_jobs(p, 1, 10);
  std::vector<JobId> all;
  for (std::uint64_t n = 1; n <= 10; ++n) all.push_back(job_id(n));
  cancel(p, all);
  settle();
  advance(config.keep_finished);
  for (const std::size_t size : {4U, 4U, 2U}) {
    stage();
    EXPECT_EQ(last_batch.removals.size(), size);
    committed();
  }
  EXPECT_FALSE(engine().has_batch(now));
}

}  // namespace
}  // namespace jobwire::core
