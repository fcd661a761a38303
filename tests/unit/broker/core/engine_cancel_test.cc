// SPDX-License-Identifier: Apache-2.0
// Cancel in each state, and who wins.
#include "core/engine.h"
#include "engine_driver.h"

namespace jobwire::core {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class EngineCancelTest : public EngineTest {};

TEST_F(EngineCancelTest, CancelWithoutASessionIsRefused) {
  const Effects out = refused([&] { return cancel(SessionId{99}, {job_id(1)}, 5); });
  EXPECT_EQ(out.refusals.at(0).code, Code::kHelloFirst);
  EXPECT_EQ(out.refusals.at(0).request, 5U);
}

TEST_F(EngineCancelTest, CancelOfAnUnknownGoneOrFinishedJobIsRefusedAndChangesNothing) {
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

TEST_F(EngineCancelTest, CancelledQueuedJobIsConfirmedAfterItsCommitAndNeverRuns) {
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

TEST_F(EngineCancelTest, CancelledScheduledJobNeverBecomesDue) {
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

TEST_F(EngineCancelTest, CancelBeforeTheJobIsStoredGetsItsReceiptThenItsEnd) {
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

TEST_F(EngineCancelTest, CancelWhileTheJobIsBeingStoredIsTheNextWrite) {
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

TEST_F(EngineCancelTest, CancelOfAJobThatTheStoreThenRefusesIsUnknown) {
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

TEST_F(EngineCancelTest, CancelOfARunningJobAsksItsWorkerAndItsAgent) {
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

class EngineCancelRaceTest : public EngineCancelTest {
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

TEST_F(EngineCancelTest, CancelWhileAnEndIsBeingStoredSaysThatEnd) {
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  const SessionId w = lone_worker();
  report(w, 1, {success(dispatched.at(0))});
  EXPECT_EQ(count_all(cancel(p, {job_id(1)})), 0U);
  const Effects out = commit();
  EXPECT_EQ(out.cancel_replies.at(0).code, Code::kAlreadyFinal);
  EXPECT_EQ(out.cancel_replies.at(0).state, State::kSucceeded);
}

TEST_F(EngineCancelTest, TooManyThatWaitForOneCancelAreRefusedAndChangeNothing) {
  const SessionId p = producer();
  lone_worker();
  submit(p, job(1));
  commit();
  for (std::uint64_t request = 0; request < 64; ++request) cancel(p, {job_id(1)}, request);
  const Effects out = refused([&] { return cancel(p, {job_id(1)}, 64); });
  EXPECT_EQ(out.cancel_replies.at(0).code, Code::kTooMany);
}

}  // namespace
}  // namespace jobwire::core
