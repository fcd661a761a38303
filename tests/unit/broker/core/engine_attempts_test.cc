// SPDX-License-Identifier: Apache-2.0
// One attempt: lease, result, failure, hand-back; and what a result without the right to it
// changes.
#include "core/engine.h"
#include "engine_driver.h"

namespace jobwire::core {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class EngineAttemptsTest : public EngineTest {
 protected:
  /// A job with this policy, stored and leased to `w`.
  DispatchOut run(std::uint64_t n, const RetryPolicy& policy) {
    Submission submission = job(n);
    options_of(submission).has_retry = true;
    options_of(submission).retry = policy;
    submit(p, submission);
    return only_dispatch(commit());
  }
  DispatchOut run(std::uint64_t n) {
    submit(p, job(n));
    return only_dispatch(commit());
  }
  static DispatchOut only_dispatch(const Effects& out) {
    EXPECT_THAT(out.dispatches, SizeIs(1));
    return out.dispatches.at(0);
  }
  /// Reports it, commits, and waits for the retry; the next lease, if there is one.
  std::optional<DispatchOut> fails(const DispatchOut& lease, Outcome outcome,
                                   std::string_view type = "builtins.ValueError") {
    report(w, ++sequence, {failure(lease, outcome, type)});
    settle();
    Effects out = advance(Millis(10));
    if (out.dispatches.empty()) return std::nullopt;
    return out.dispatches[0];
  }

  SessionId p{}, w{};
  std::uint64_t sequence = 0;

  void SetUp() override {
    p = producer();
    w = lone_worker();
  }
};

// ---- success

TEST_F(EngineAttemptsTest, DispatchCarriesTheJob) {
  Submission submission = job(1);
  submission.priority = 8;
  submission.timeout_ms = 500;
  options_of(submission).headers = {{"trace", "1"}};
  submit(p, submission);
  const DispatchOut lease = only_dispatch(commit());
  EXPECT_EQ(lease.session, w);
  EXPECT_EQ(lease.job, job_id(1));
  EXPECT_EQ(lease.payload.view(), "payload");
  EXPECT_EQ(lease.timeout, Millis(500));
  EXPECT_EQ(lease.type, 0U);
  EXPECT_EQ(lease.attempt, 1U);
  EXPECT_EQ(lease.encoding, Encoding::kBytes);
  EXPECT_EQ(lease.priority, 8U);
  ASSERT_TRUE(lease.options);
  EXPECT_THAT(lease.options->headers, SizeIs(1));
  EXPECT_FALSE(lease.token.is_zero());
}

TEST_F(EngineAttemptsTest, SuccessIsWrittenOnceAndTheJobIsForgotten) {
  const DispatchOut lease = run(1);
  advance(Millis(30));
  report(w, 1, {success(lease, "42", Micros(2'000))});
  EXPECT_EQ(state(1), State::kSucceeded);
  EXPECT_EQ(engine().counts().leases, 0U);
  EXPECT_EQ(engine().counts().jobs, 1U);
  commit();
  ASSERT_THAT(last_batch.jobs, SizeIs(1));
  const JobWrite& write = last_batch.jobs[0];
  EXPECT_EQ(write.stored, State::kQueued) << "never written as running";
  EXPECT_EQ(write.job.state, State::kSucceeded);
  EXPECT_EQ(write.job.result.view(), "42");
  EXPECT_EQ(write.job.result_encoding, Encoding::kUtf8);
  EXPECT_FALSE(write.job.payload);
  EXPECT_TRUE(write.drop_payload);
  EXPECT_EQ(write.job.attempts, 1U);
  EXPECT_EQ(write.job.started, kStart);
  EXPECT_EQ(write.job.finished, kStart + Millis(30));
  EXPECT_EQ(write.job.run, Micros(2'000));
  EXPECT_THAT(write.attempts, IsEmpty());
  ASSERT_THAT(last_batch.queues, SizeIs(1));
  EXPECT_EQ(last_batch.queues[0].succeeded, 1U);
  EXPECT_EQ(engine().counts().jobs, 0U);
  EXPECT_EQ(engine().counts().finished, 1U);
  EXPECT_EQ(engine().counts().resident_bytes, 0U);
  EXPECT_FALSE(engine().has_batch(now));
}

TEST_F(EngineAttemptsTest, KeptPayloadIsNotDropped) {
  Submission submission = job(1);
  submission.keep_payload = true;
  submit(p, submission);
  report(w, 1, {success(only_dispatch(commit()))});
  commit();
  EXPECT_FALSE(written(1)->drop_payload);
}

// ---- acknowledgements

TEST_F(EngineAttemptsTest, AckLeavesOnlyAfterTheCommit) {
  const DispatchOut lease = run(1);
  EXPECT_THAT(report(w, 1, {success(lease)}).acks, IsEmpty());
  stage();
  EXPECT_THAT(end_turn().acks, IsEmpty());
  const Effects out = committed();
  ASSERT_THAT(out.acks, SizeIs(1));
  EXPECT_EQ(out.acks[0].session, w);
  EXPECT_EQ(out.acks[0].through, 1U);
}

TEST_F(EngineAttemptsTest, AckIsCumulativeAndWaitsForTheSlowest) {
  config.max_batch_jobs = 1;
  restart();
  p = producer();
  stored_jobs(p, 1, 3);
  const SessionId fresh = lone_worker(3, 3);
  const std::vector<DispatchOut> leases = dispatched;
  ASSERT_THAT(leases, SizeIs(3));
  settle();
  report(fresh, 1, {success(leases[0]), success(leases[1])});
  report(fresh, 2, {success(leases[2])});
  EXPECT_THAT(commit().acks, IsEmpty()) << "half of message 1";
  const Effects second = commit();
  ASSERT_THAT(second.acks, SizeIs(1));
  EXPECT_EQ(second.acks[0].through, 1U);
  const Effects third = commit();
  ASSERT_THAT(third.acks, SizeIs(1));
  EXPECT_EQ(third.acks[0].through, 2U);
}

TEST_F(EngineAttemptsTest, LaterMessageWithoutChangesIsSettledWithTheEarlierOne) {
  const DispatchOut lease = run(1);
  report(w, 1, {success(lease)});
  EXPECT_THAT(report(w, 2, {success(lease)}).acks, IsEmpty()) << "message 1 is not settled";
  const Effects out = commit();
  ASSERT_THAT(out.acks, SizeIs(1));
  EXPECT_EQ(out.acks[0].through, 2U);
}

TEST_F(EngineAttemptsTest, ResultsMessageSentAgainIsAnsweredWithWhatIsSettledAndChangesNothing) {
  const DispatchOut lease = run(1);
  report(w, 1, {success(lease)});
  const Effects before = refused([&] { return report(w, 1, {success(lease)}); });
  EXPECT_EQ(before.acks.at(0).through, 0U);
  settle();
  const Effects after = refused([&] { return report(w, 1, {success(lease)}); });
  EXPECT_EQ(after.acks.at(0).through, 1U);
  EXPECT_EQ(engine().counts().stale_results, 0U);
}

TEST_F(EngineAttemptsTest, SequenceThatSkipsANumberIsRefusedAndChangesNothing) {
  const DispatchOut lease = run(1);
  const Effects out = refused([&] { return report(w, 2, {success(lease)}); });
  EXPECT_EQ(out.refusals.at(0).code, Code::kInvalidArgument);
  EXPECT_EQ(out.refusals.at(0).request, 2U);
  EXPECT_EQ(state(1), State::kRunning);
}

TEST_F(EngineAttemptsTest, ResultsOfASessionThatIsNoWorkersAreRefusedAndChangeNothing) {
  const DispatchOut lease = run(1);
  for (const SessionId session : {p, SessionId{99}}) {
    const Effects out = refused([&] { return report(session, 1, {success(lease)}); });
    EXPECT_EQ(out.refusals.at(0).code, Code::kUnknownWorker);
    EXPECT_EQ(state(1), State::kRunning);
  }
}

TEST_F(EngineAttemptsTest, FailedAttemptIsAcknowledgedWithTheCommitThatNotesIt) {
  const DispatchOut lease = run(1);
  EXPECT_THAT(report(w, 1, {failure(lease)}).acks, IsEmpty());
  EXPECT_EQ(commit().acks.at(0).through, 1U);
}

TEST_F(EngineAttemptsTest, RejectedBatchKeepsTheAckBack) {
  const DispatchOut lease = run(1);
  report(w, 1, {success(lease)});
  stage();
  EXPECT_THAT(rejected(Code::kStoreUnavailable).acks, IsEmpty());
  advance(Millis(1'000));
  EXPECT_EQ(commit().acks.at(0).through, 1U);
}

// ---- stale results

TEST_F(EngineAttemptsTest, LateResultIsRefusedNotedAndChangesNothing) {
  const DispatchOut lease = run(1);
  hand_back(w, {lease.token});
  turn(SessionClosed{w, true});
  const SessionId next = lone_worker();
  const DispatchOut again = dispatched.at(0);
  ASSERT_NE(again.token, lease.token);
  const Engine::Counts before = engine().counts();
  const Effects out = report(next, 1, {success(lease, "late")});
  ASSERT_THAT(out.lease_refusals, SizeIs(1));
  EXPECT_EQ(out.lease_refusals[0].session, next);
  EXPECT_EQ(out.lease_refusals[0].token, lease.token);
  EXPECT_EQ(out.lease_refusals[0].code, Code::kStaleLease);
  EXPECT_EQ(out.acks.at(0).through, 1U) << "nothing of it waits";
  EXPECT_THAT(out.results, IsEmpty());
  EXPECT_EQ(state(1), State::kRunning);
  EXPECT_EQ(engine().counts().leases, before.leases);
  EXPECT_EQ(engine().counts().stale_results, before.stale_results + 1);
  stage();
  EXPECT_THAT(last_batch.jobs, IsEmpty());
  EXPECT_THAT(last_batch.stale_notes, ::testing::ElementsAre(job_id(1)));
  ASSERT_THAT(last_batch.queues, SizeIs(1));
  EXPECT_EQ(last_batch.queues[0].stale_results, 1U);
  committed();
  report(next, 2, {success(again, "first to have the right")});
  settle();
  EXPECT_EQ(written(1)->job.result.view(), "first to have the right");
}

TEST_F(EngineAttemptsTest, ResultFromAnotherWorkerWithTheRightTokenIsRefused) {
  const SessionId thief = lone_worker();
  const DispatchOut lease = run(1);
  ASSERT_EQ(lease.session, w);
  const Effects out = report(thief, 1, {success(lease)});
  EXPECT_EQ(out.lease_refusals.at(0).code, Code::kStaleLease);
  EXPECT_EQ(state(1), State::kRunning);
  EXPECT_EQ(engine().counts().leases, 1U);
}

TEST_F(EngineAttemptsTest, GuessedTokenIsRefused) {
  const DispatchOut lease = run(1);
  DispatchOut guess = lease;
  guess.token.bytes[15] ^= 1;
  EXPECT_EQ(report(w, 1, {success(guess)}).lease_refusals.at(0).code, Code::kStaleLease);
  EXPECT_EQ(state(1), State::kRunning);
}

TEST_F(EngineAttemptsTest, ResultForAnUnknownJobIsRefusedAndNotNoted) {
  DispatchOut ghost;
  ghost.token = token_of(1);
  ghost.job = job_id(9);
  const bool before = engine().has_batch(now);
  const Effects out = report(w, 1, {success(ghost)});
  EXPECT_EQ(out.lease_refusals.at(0).code, Code::kStaleLease);
  EXPECT_EQ(out.acks.at(0).through, 1U);
  EXPECT_EQ(engine().has_batch(now), before);
}

TEST_F(EngineAttemptsTest, SecondResultOfAFinishedJobIsNotedAndChangesNothing) {
  const DispatchOut lease = run(1);
  report(w, 1, {success(lease, "first")});
  settle();
  report(w, 2, {success(lease, "second")});
  EXPECT_EQ(state(1), State::kSucceeded);
  stage();
  EXPECT_THAT(last_batch.jobs, IsEmpty());
  EXPECT_THAT(last_batch.stale_notes, SizeIs(1));
  EXPECT_EQ(last_batch.queues.at(0).succeeded, 0U);
}

TEST_F(EngineAttemptsTest, StaleResultsAreAllCountedButNotesAreBounded) {
  const DispatchOut lease = run(1);
  report(w, 1, {success(lease)});
  settle();
  turn(StoreWentAway{});
  std::vector<ResultReport> flood(1'000, success(lease));
  for (std::uint64_t i = 0; i < 50; ++i) report(w, 2 + i, flood);
  turn(StoreCameBack{});
  stage();
  EXPECT_LE(last_batch.stale_notes.size(), 1'000U);
  EXPECT_EQ(last_batch.queues.at(0).stale_results, 50'000U);
}

TEST_F(EngineAttemptsTest, OneStaleResultLeavesTheOthersOfItsMessageAlone) {
  const DispatchOut lease = run(1);
  DispatchOut ghost = lease;
  ghost.job = job_id(9);
  const Effects out = report(w, 1, {success(ghost), success(lease)});
  EXPECT_THAT(out.lease_refusals, SizeIs(1));
  EXPECT_EQ(state(1), State::kSucceeded);
  EXPECT_EQ(commit().acks.at(0).through, 1U);
}

TEST_F(EngineAttemptsTest, TokensOfTwoLeasesAndTwoEpochsDiffer) {
  const DispatchOut first = run(1);
  report(w, 1, {success(first)});
  settle();
  const DispatchOut second = run(2);
  EXPECT_NE(first.token, second.token);
  EXPECT_NE(first.token.tail(), second.token.tail());
}

// ---- budgets

TEST_F(EngineAttemptsTest, FailedAttemptIsRetriedAfterItsBackoffAndOnlyAfterItsCommit) {
  const DispatchOut lease = run(1, retries(4, Millis(1'000)));
  report(w, 1, {failure(lease)});
  EXPECT_EQ(state(1), State::kScheduled);
  EXPECT_THAT(advance(Millis(5'000)).dispatches, IsEmpty()) << "the failure is not stored";
  stage();
  ASSERT_THAT(last_batch.jobs, SizeIs(1));
  const JobWrite& write = last_batch.jobs[0];
  EXPECT_EQ(write.job.state, State::kScheduled);
  EXPECT_EQ(write.job.due, kStart + Millis(1'000));
  EXPECT_EQ(write.job.raised, 1U);
  EXPECT_EQ(write.job.attempts, 1U);
  EXPECT_FALSE(write.drop_payload);
  ASSERT_THAT(write.attempts, SizeIs(1));
  const Attempt& attempt = write.attempts[0];
  EXPECT_EQ(attempt.number, 1U);
  EXPECT_EQ(attempt.token, lease.token);
  EXPECT_EQ(attempt.outcome, Outcome::kRaised);
  EXPECT_EQ(attempt.started, kStart);
  EXPECT_EQ(attempt.ended, kStart);
  EXPECT_EQ(attempt.run, Micros(100));
  EXPECT_EQ(attempt.error.view(), "error buffer");
  EXPECT_EQ(attempt.error_type, "builtins.ValueError");
  EXPECT_EQ(attempt.error_message, "it broke");
  EXPECT_EQ(last_batch.queues.at(0).failed_attempts, 1U);
  const DispatchOut again = only_dispatch(committed());
  EXPECT_EQ(again.attempt, 2U);
  EXPECT_EQ(again.payload.view(), "payload");
}

TEST_F(EngineAttemptsTest, JobThatRaisesItsLastAttemptIsDead) {
  std::optional<DispatchOut> lease = run(1, retries(3));
  for (int i = 0; i < 2; ++i) {
    lease = fails(*lease, Outcome::kRaised);
    ASSERT_TRUE(lease) << i;
  }
  EXPECT_EQ(lease->attempt, 3U);
  EXPECT_FALSE(fails(*lease, Outcome::kRaised));
  EXPECT_EQ(state(1), State::kDead);
  EXPECT_EQ(written(1)->job.reason, DeadReason::kRaised);
  EXPECT_EQ(written(1)->job.raised, 3U);
  EXPECT_EQ(written(1)->job.attempts, 3U);
  EXPECT_FALSE(written(1)->drop_payload) << "it may be replayed";
  EXPECT_EQ(last_batch.queues.at(0).dead, 1U);
  EXPECT_EQ(engine().counts().jobs, 0U);
}

TEST_F(EngineAttemptsTest, ThreeBudgetsAreCountedApart) {
  RetryPolicy policy = retries(2);
  policy.timeouts = 2;
  policy.crashes = 2;
  std::optional<DispatchOut> lease = run(1, policy);
  for (const Outcome outcome : {Outcome::kRaised, Outcome::kTimedOut, Outcome::kCrashed}) {
    lease = fails(*lease, outcome);
    ASSERT_TRUE(lease);
  }
  EXPECT_EQ(lease->attempt, 4U);
  EXPECT_FALSE(fails(*lease, Outcome::kTimedOut));
  EXPECT_EQ(state(1), State::kDead);
  EXPECT_EQ(written(1)->job.reason, DeadReason::kTimedOut);
  EXPECT_EQ(written(1)->job.raised, 1U);
  EXPECT_EQ(written(1)->job.timed_out, 2U);
  EXPECT_EQ(written(1)->job.crashed, 1U);
}

TEST_F(EngineAttemptsTest, CrashesUsedUpSayCrashed) {
  RetryPolicy policy = retries(9);
  policy.crashes = 2;
  std::optional<DispatchOut> lease = run(1, policy);
  lease = fails(*lease, Outcome::kCrashed);
  ASSERT_TRUE(lease);
  EXPECT_FALSE(fails(*lease, Outcome::kCrashed));
  EXPECT_EQ(written(1)->job.reason, DeadReason::kCrashed);
}

TEST_F(EngineAttemptsTest, JobWithoutAPolicyUsesTheBrokers) {
  config.retry = retries(2);
  config.retry.timeouts = 2;
  config.retry.crashes = 2;
  restart();
  p = producer();
  w = lone_worker();
  std::optional<DispatchOut> lease = run(1);
  lease = fails(*lease, Outcome::kRaised);
  ASSERT_TRUE(lease);
  EXPECT_FALSE(fails(*lease, Outcome::kRaised));
  EXPECT_EQ(state(1), State::kDead);
}

TEST_F(EngineAttemptsTest, RejectIsDeadAtOnce) {
  const DispatchOut lease = run(1, retries(9));
  EXPECT_FALSE(fails(lease, Outcome::kRejected));
  EXPECT_EQ(written(1)->job.reason, DeadReason::kRejected);
  ASSERT_THAT(written(1)->attempts, SizeIs(1));
  EXPECT_EQ(written(1)->attempts[0].outcome, Outcome::kRejected);
}

TEST_F(EngineAttemptsTest, FatalClassIsDeadAtOnceAndOthersAreNot) {
  RetryPolicy policy = retries(9);
  policy.fatal = {"ValueError"};
  const DispatchOut lease = run(1, policy);
  const std::optional<DispatchOut> again = fails(lease, Outcome::kRaised, "app.OtherError");
  ASSERT_TRUE(again);
  EXPECT_FALSE(fails(*again, Outcome::kRaised, "builtins.ValueError"));
  EXPECT_EQ(written(1)->job.reason, DeadReason::kRaised);
}

TEST_F(EngineAttemptsTest, ErrorThatSaysItIsNotRetryableIsDeadAtOnce) {
  const DispatchOut lease = run(1, retries(9));
  ResultReport raised = failure(lease);
  raised.error_retryable = false;
  report(w, 1, {raised});
  EXPECT_EQ(state(1), State::kDead);
}

TEST_F(EngineAttemptsTest, RetryAskedWaitsAsLongAsTheHandlerSays) {
  const DispatchOut lease = run(1, retries(4, Millis(1)));
  ResultReport asked = failure(lease, Outcome::kRetryAsked);
  asked.retry_delay = Millis(7'000);
  report(w, 1, {asked});
  settle();
  EXPECT_THAT(advance(Millis(6'999)).dispatches, IsEmpty());
  EXPECT_EQ(only_dispatch(advance(Millis(1))).attempt, 2U);
}

TEST_F(EngineAttemptsTest, RetryAskedForAnAbsurdTimeIsBounded) {
  const DispatchOut lease = run(1, retries(4, Millis(1)));
  ResultReport asked = failure(lease, Outcome::kRetryAsked);
  asked.retry_delay = Millis(std::numeric_limits<std::int64_t>::max());
  report(w, 1, {asked});
  stage();
  EXPECT_GT(written(1)->job.due, kStart);
  EXPECT_LE(written(1)->job.due, kStart + std::chrono::days(366));
}

TEST_F(EngineAttemptsTest, RetryAskedCountsAgainstTheAttempts) {
  const DispatchOut lease = run(1, retries(1));
  EXPECT_FALSE(fails(lease, Outcome::kRetryAsked));
  EXPECT_EQ(state(1), State::kDead);
}

TEST_F(EngineAttemptsTest, BackoffGrowsWithTheFailuresOfItsKind) {
  RetryPolicy policy = retries(5, Millis(100));
  policy.backoff = BackoffKind::kExponential;
  policy.factor = 2.0F;
  std::optional<DispatchOut> lease = run(1, policy);
  for (const int delay : {100, 200, 400}) {
    report(w, ++sequence, {failure(*lease)});
    settle();
    EXPECT_THAT(advance(Millis(delay - 1)).dispatches, IsEmpty());
    lease = only_dispatch(advance(Millis(1)));
  }
}

TEST_F(EngineAttemptsTest, WaitingRetryHoldsNoSlot) {
  const DispatchOut lease = run(1, retries(4, Millis(60'000)));
  report(w, 1, {failure(lease)});
  EXPECT_EQ(engine().counts().leases, 0U);
  settle();
  EXPECT_EQ(run(2).job, job_id(2));
}

TEST_F(EngineAttemptsTest, DeadJobsErrorReachesWhoeverWaits) {
  Submission submission = job(1);
  submission.watch = true;
  options_of(submission).has_retry = true;
  options_of(submission).retry = retries(1);
  submit(p, submission);
  report(w, 1, {failure(only_dispatch(commit()))});
  const Effects out = commit();
  ASSERT_THAT(out.results, SizeIs(1));
  EXPECT_EQ(out.results[0].state, State::kDead);
  EXPECT_EQ(out.results[0].reason, DeadReason::kRaised);
  EXPECT_EQ(out.results[0].error.view(), "error buffer");
  EXPECT_FALSE(out.results[0].result);
}

// ---- hand-back

TEST_F(EngineAttemptsTest, HandedBackJobsAreUnchargedAndGoToTheFrontInTheirOrder) {
  turn(SessionClosed{w, true});
  stored_jobs(p, 1, 6);
  const SessionId big = lone_worker(4, 4);
  ASSERT_THAT(dispatched, SizeIs(4));
  const std::vector<DispatchOut> before = dispatched;
  EXPECT_THAT(hand_back(big, {before[3].token, before[1].token, before[2].token}).dispatches,
              IsEmpty())
      << "who hands back unasked is about to stop";
  lone_worker(4, 4);
  ASSERT_THAT(dispatched, SizeIs(4));
  for (std::uint64_t i = 0; i < 4; ++i) {
    EXPECT_EQ(dispatched[i].job, job_id(2 + i));
    EXPECT_EQ(dispatched[i].attempt, 1U);
    if (i < 3) {
      EXPECT_NE(dispatched[i].token, before[i + 1].token);
    }
  }
}

TEST_F(EngineAttemptsTest, WorkerThatHandedBackUnaskedGetsMoreAfterAWhileOrAfterReady) {
  for (const bool says_ready : {true, false}) {
    restart();
    p = producer();
    w = lone_worker();
    const DispatchOut lease = run(1);
    EXPECT_THAT(hand_back(w, {lease.token}).dispatches, IsEmpty());
    EXPECT_THAT(advance(Millis(1'500)).dispatches, IsEmpty());
    if (says_ready) {
      EXPECT_THAT(ready(w, room(1, 1)).dispatches, SizeIs(1));
    } else {
      EXPECT_THAT(advance(Millis(1'000)).dispatches, SizeIs(1));
    }
  }
}

TEST_F(EngineAttemptsTest, HandBackOfAForeignOrOldLeaseIsIgnored) {
  const SessionId other = lone_worker();
  const DispatchOut lease = run(1);
  ASSERT_EQ(lease.session, w);
  EXPECT_EQ(count_all(hand_back(other, {lease.token, token_of(1)})), 0U);
  EXPECT_EQ(engine().counts().leases, 1U);
  EXPECT_EQ(state(1), State::kRunning);
}

TEST_F(EngineAttemptsTest, HandBackByASessionThatIsNoWorkersIsRefusedAndChangesNothing) {
  const DispatchOut lease = run(1);
  const Effects out = refused([&] { return hand_back(p, {lease.token}); });
  EXPECT_EQ(out.refusals.at(0).code, Code::kUnknownWorker);
  EXPECT_EQ(state(1), State::kRunning);
}

TEST_F(EngineAttemptsTest, HandBackAsAResultIsUnchargedAndAcknowledgedAtOnce) {
  const DispatchOut lease = run(1);
  const Effects out = report(w, 1, {failure(lease, Outcome::kHandedBack)});
  EXPECT_EQ(out.acks.at(0).through, 1U);
  EXPECT_EQ(only_dispatch(out).attempt, 1U);
  EXPECT_FALSE(engine().has_batch(now));
}

TEST_F(EngineAttemptsTest, HandBackSaysNothingAboutHowLongTheTypeRuns) {
  turn(SessionClosed{w, true});
  stored_jobs(p, 1, 10);
  const SessionId eager = lone_worker(1, 8);
  ASSERT_THAT(dispatched, SizeIs(1)) << "an unknown type fills slots only";
  const Effects out = report(eager, 1, {failure(dispatched[0], Outcome::kHandedBack)});
  EXPECT_THAT(out.dispatches, SizeIs(1)) << "it is still unknown";
}

// ---- the running mark

TEST_F(EngineAttemptsTest, RunningIsWrittenOnlyAfterAWhile) {
  const DispatchOut lease = run(1);
  EXPECT_FALSE(engine().has_batch(now));
  advance(config.running_mark_delay - Millis(1));
  EXPECT_FALSE(engine().has_batch(now));
  advance(Millis(1));
  stage();
  ASSERT_THAT(last_batch.jobs, SizeIs(1));
  EXPECT_EQ(last_batch.jobs[0].stored, State::kQueued);
  EXPECT_EQ(last_batch.jobs[0].job.state, State::kRunning);
  EXPECT_EQ(last_batch.jobs[0].job.token, lease.token);
  EXPECT_EQ(last_batch.jobs[0].job.started, kStart);
  EXPECT_EQ(last_batch.jobs[0].job.worker.substr(0, 7), "worker/");
  EXPECT_FALSE(last_batch.jobs[0].drop_payload);
  EXPECT_EQ(count_all(committed()), 0U);
  EXPECT_EQ(state(1), State::kRunning);
  report(w, 1, {success(lease)});
  commit();
  EXPECT_EQ(written(1)->stored, State::kRunning);
}

TEST_F(EngineAttemptsTest, JobThatEndedBeforeItsMarkCausesNoMoreBatches) {
  const DispatchOut lease = run(1);
  report(w, 1, {success(lease)});
  settle();
  advance(config.running_mark_delay + Millis(1));
  EXPECT_FALSE(engine().has_batch(now)) << "an empty transaction";
}

TEST_F(EngineAttemptsTest, JobHandedBackWhileItsRunningMarkIsBeingStoredIsWrittenAsQueuedAgain) {
  const DispatchOut lease = run(1);
  advance(config.running_mark_delay);
  stage();
  ASSERT_EQ(last_batch.jobs.at(0).job.state, State::kRunning);
  turn(SessionClosed{w, true});
  ASSERT_EQ(state(1), State::kQueued);
  committed();
  ASSERT_TRUE(engine().has_batch(now));
  commit();
  EXPECT_EQ(written(1)->stored, State::kRunning);
  EXPECT_EQ(written(1)->job.state, State::kQueued);
}

TEST_F(EngineAttemptsTest, QueuedMarkOfADueJobIsWrittenLateOrNever) {
  turn(SessionClosed{w, true});
  Submission later = job(1);
  later.delay_ms = 1'000;
  submit(p, later);
  settle();
  advance(Millis(1'000));
  EXPECT_EQ(state(1), State::kQueued);
  EXPECT_FALSE(engine().has_batch(now));
  advance(config.running_mark_delay);
  commit();
  EXPECT_EQ(written(1)->stored, State::kScheduled);
  EXPECT_EQ(written(1)->job.state, State::kQueued);
  EXPECT_EQ(written(1)->job.due, Wall{});
  lone_worker();
  EXPECT_THAT(dispatched, SizeIs(1));
}

// ---- coalescing

TEST_F(EngineAttemptsTest, StartAndEndBetweenTwoCommitsAreOneWrite) {
  const DispatchOut lease = run(1);
  submit(p, job(2));
  stage();
  // Meanwhile the job fails and ends for good after its mark was due.
  advance(config.running_mark_delay + Millis(1));
  report(w, 1, {success(lease)});
  committed();
  commit();
  ASSERT_NE(written(1), nullptr);
  EXPECT_EQ(written(1)->stored, State::kQueued);
  EXPECT_EQ(written(1)->job.state, State::kSucceeded);
}

TEST_F(EngineAttemptsTest, AttemptsNotedOverSeveralRejectedBatchesKeepTheirOrder) {
  const DispatchOut lease = run(1, retries(4));
  report(w, 1, {failure(lease)});
  stage();
  rejected(Code::kStoreUnavailable);
  advance(Millis(1'000));
  stage();
  ASSERT_THAT(written(1)->attempts, SizeIs(1));
  EXPECT_EQ(written(1)->attempts[0].number, 1U);
  EXPECT_EQ(committed().acks.at(0).through, 1U);
}

}  // namespace
}  // namespace jobwire::core
