// SPDX-License-Identifier: Apache-2.0
// A new broker after a crash: what the store has, what workers say that they run, and who waits for
// whom.
#include "core/engine.h"
#include "engine_driver.h"

namespace jobwire::core {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class EngineRecoveryTest : public EngineTest {
 protected:
  static constexpr WorkerNumber kFive{5};
  HostId host = host_id(1);

  static JobRecord record(std::uint64_t n, State state) {
    JobRecord job;
    job.id = job_id(n);
    job.queue = "q";
    job.type = "t";
    job.state = state;
    job.encoding = Encoding::kBytes;
    job.payload_size = 7;
    job.timeout = Millis(60'000);
    job.created = kStart;
    if (state == State::kRunning) job.token = token_of(static_cast<std::uint8_t>(n));
    return job;
  }
  void restore(const JobRecord& job) { EXPECT_TRUE(engine().restore(job, now)); }

  static HeldLease claim(std::uint64_t n, std::uint16_t attempt = 1) {
    HeldLease lease;
    lease.token = token_of(static_cast<std::uint8_t>(n));
    lease.job = job_id(n);
    lease.worker = kFive;
    lease.started = kStart - Millis(2'000);
    lease.attempt = attempt;
    return lease;
  }

  /// Greets and says Ready, holding these.
  Effects worker_with(std::vector<HeldLease> held, std::uint16_t slots = 1) {
    w = open(Role::kWorker, host, 5);
    Serves serves = room(slots, slots);
    serves.held = std::move(held);
    return ready(w, serves);
  }

  /// Answers whatever is asked for.
  Effects load(const Effects& asked) {
    std::vector<PayloadLoaded> answers;
    for (const PayloadReadOut& read : asked.payload_reads) {
      for (const JobId& id : read.ids)
        answers.push_back({id, true, Bytes::copy_of(std::string_view("payload"))});
    }
    return turn(PayloadsLoaded{answers});
  }

  static ResultReport result_of(const HeldLease& lease) {
    ResultReport report;
    report.token = lease.token;
    report.job = lease.job;
    report.outcome = Outcome::kSucceeded;
    report.encoding = Encoding::kBytes;
    return report;
  }

  SessionId w{}, a{};
};

// ---- what is restored

TEST_F(EngineRecoveryTest, RestoredJobsAreThereAndNothingIsWrittenForThem) {
  restore(record(1, State::kQueued));
  restore(record(2, State::kScheduled));
  restore(record(3, State::kRunning));
  engine().restore_host(host);
  engine().finish_recovery(now);
  EXPECT_EQ(count_all(end_turn()), 0U);
  EXPECT_EQ(engine().counts().jobs, 3U);
  EXPECT_EQ(engine().counts().unstored_jobs, 0U);
  EXPECT_EQ(engine().counts().resident_bytes, 0U);
  EXPECT_EQ(state(1), State::kQueued);
  EXPECT_EQ(state(3), State::kRunning);
  EXPECT_FALSE(engine().has_batch(now));
}

TEST_F(EngineRecoveryTest, RecordsThatMakeNoSenseAreLeftOut) {
  JobRecord bad = record(1, State::kSucceeded);
  EXPECT_FALSE(engine().restore(bad, now));
  bad = record(1, State::kNone);
  EXPECT_FALSE(engine().restore(bad, now));
  bad = record(1, State::kQueued);
  bad.priority = 10;
  EXPECT_FALSE(engine().restore(bad, now));
  bad = record(1, State::kQueued);
  bad.timeout = Millis(-1);
  EXPECT_FALSE(engine().restore(bad, now));
  EXPECT_EQ(engine().counts().jobs, 0U);
  restore(record(1, State::kQueued));
  EXPECT_FALSE(engine().restore(record(1, State::kQueued), now)) << "twice";
  EXPECT_EQ(engine().counts().jobs, 1U);
}

TEST_F(EngineRecoveryTest, RestoredIdGetsItsReceiptAgain) {
  restore(record(1, State::kQueued));
  engine().restore_final(job_id(2), "q", State::kDead, now.wall);
  engine().finish_recovery(now);
  const SessionId p = producer();
  const Effects waiting = refused([&] { return submit(p, job(1)); });
  EXPECT_TRUE(waiting.receipts.at(0).duplicate);
  EXPECT_EQ(waiting.receipts.at(0).state, State::kQueued);
  const Effects ended = refused([&] { return submit(p, job(2)); });
  EXPECT_TRUE(ended.receipts.at(0).duplicate);
  EXPECT_EQ(ended.receipts.at(0).state, State::kDead);
  EXPECT_THAT(ask(p, {job_id(2)}).result_reads, SizeIs(1));
}

TEST_F(EngineRecoveryTest, RestoredFinalsGoAtTheirAge) {
  engine().restore_final(job_id(1), "q", State::kSucceeded,
                         now.wall - config.keep_finished + Millis(100));
  engine().finish_recovery(now);
  end_turn();
  EXPECT_FALSE(engine().has_batch(now));
  advance(Millis(100));
  stage();
  EXPECT_THAT(last_batch.removals, SizeIs(1));
}

TEST_F(EngineRecoveryTest, RestoredQueueCountsAgainstItsBounds) {
  config.max_queue_jobs = 1;
  restore(record(1, State::kQueued));
  engine().finish_recovery(now);
  EXPECT_EQ(submit(producer(), job(2)).receipts.at(0).code, Code::kQueueFull);
}

TEST_F(EngineRecoveryTest, RestoredJobKeepsItsBudgetsAndOptions) {
  JobRecord tired = record(1, State::kQueued);
  tired.attempts = 1;
  tired.raised = 1;
  auto options = std::make_shared<JobOptions>();
  options->has_retry = true;
  options->retry = retries(2);
  tired.options = options;
  restore(tired);
  engine().finish_recovery(now);
  w = open(Role::kWorker);
  const Effects out = load(ready(w, room(1, 1)));
  ASSERT_THAT(out.dispatches, SizeIs(1));
  EXPECT_EQ(out.dispatches[0].attempt, 2U);
  EXPECT_EQ(out.dispatches[0].payload.view(), "payload");
  report(w, 1, {failure(out.dispatches[0])});
  EXPECT_EQ(state(1), State::kDead);
}

TEST_F(EngineRecoveryTest, RestoredCheckpointIsHandedOnAndTakenAwayWithTheEnd) {
  restore(record(1, State::kQueued));
  const Bytes page = Bytes::copy_of(std::string_view("page 3"));
  engine().restore_checkpoint(job_id(1), {Encoding::kUtf8, page});
  engine().finish_recovery(now);
  w = open(Role::kWorker);
  const Effects out = load(ready(w, room(1, 1)));
  ASSERT_THAT(out.dispatches, SizeIs(1));
  EXPECT_EQ(out.dispatches[0].checkpoint.bytes.view(), "page 3");
  EXPECT_EQ(out.dispatches[0].checkpoint.encoding, Encoding::kUtf8);
  report(w, 1, {success(out.dispatches[0])});
  commit();
  ASSERT_THAT(last_batch.checkpoints, SizeIs(1)) << "the store has it";
  EXPECT_EQ(last_batch.checkpoints[0].id, job_id(1));
  EXPECT_FALSE(last_batch.checkpoints[0].checkpoint);
}

TEST_F(EngineRecoveryTest, RestoredScheduledJobBecomesDueAndAnOverdueOneAtOnce) {
  JobRecord soon = record(1, State::kScheduled);
  soon.due = now.wall + Millis(500);
  JobRecord late = record(2, State::kScheduled);
  late.due = now.wall - Millis(500);
  restore(soon);
  restore(late);
  engine().finish_recovery(now);
  end_turn();
  EXPECT_EQ(state(2), State::kQueued);
  EXPECT_EQ(state(1), State::kScheduled);
  advance(Millis(500));
  EXPECT_EQ(state(1), State::kQueued);
}

TEST_F(EngineRecoveryTest, RestoredJobThatExpiredMeanwhileNeverRuns) {
  JobRecord old = record(1, State::kQueued);
  old.expires = now.wall - Millis(1);
  restore(old);
  engine().finish_recovery(now);
  w = open(Role::kWorker);
  const Effects out = ready(w, room(1, 1));
  EXPECT_THAT(out.payload_reads, IsEmpty());
  EXPECT_EQ(state(1), State::kExpired);
}

TEST_F(EngineRecoveryTest, TokensOfTheNewEpochAreNew) {
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  lone_worker();
  const LeaseToken before = dispatched.at(0).token;
  restart();
  seed = 1;
  restore(record(1, State::kQueued));
  engine().finish_recovery(now);
  w = open(Role::kWorker);
  const Effects out = load(ready(w, room(1, 1)));
  EXPECT_NE(out.dispatches.at(0).token, before);
}

// ---- the adoption window

TEST_F(EngineRecoveryTest, WithoutKnownHostsNobodyIsWaitedFor) {
  restore(record(1, State::kRunning));
  engine().finish_recovery(now);
  EXPECT_FALSE(engine().adopting());
  end_turn();
  EXPECT_EQ(state(1), State::kQueued);
}

TEST_F(EngineRecoveryTest, WithoutJobsNobodyIsWaitedFor) {
  engine().restore_host(host);
  engine().finish_recovery(now);
  EXPECT_FALSE(engine().adopting());
}

TEST_F(EngineRecoveryTest, NothingIsDispatchedInTheWindow) {
  restore(record(1, State::kQueued));
  engine().restore_host(host);
  engine().finish_recovery(now);
  w = open(Role::kWorker);
  EXPECT_THAT(ready(w, room(1, 1)).payload_reads, IsEmpty());
  const SessionId p = producer();
  submit(p, job(2));
  const Effects out = commit();
  EXPECT_THAT(out.receipts, SizeIs(1)) << "intake goes on";
  EXPECT_THAT(out.dispatches, IsEmpty());
  EXPECT_TRUE(engine().adopting());
}

TEST_F(EngineRecoveryTest, WindowClosesAtTheLatestWhenItsTimeIsOver) {
  restore(record(1, State::kRunning));
  restore(record(2, State::kQueued));
  engine().restore_host(host);
  engine().finish_recovery(now);
  ASSERT_TRUE(engine().next_deadline());
  EXPECT_LE(*engine().next_deadline(), now.steady + config.adoption_window);
  w = open(Role::kWorker);
  ready(w, room(2, 2));
  advance(config.adoption_window - Millis(1));
  EXPECT_TRUE(engine().adopting());
  EXPECT_EQ(state(1), State::kRunning);
  const Effects out = advance(Millis(1));
  EXPECT_FALSE(engine().adopting());
  ASSERT_THAT(out.payload_reads, SizeIs(1));
  EXPECT_THAT(out.payload_reads[0].ids, ElementsAre(job_id(1), job_id(2))) << "who ran goes first";
  EXPECT_THAT(out.logs, SizeIs(1)) << "how many run twice";
  const Effects run = load(out);
  ASSERT_THAT(run.dispatches, SizeIs(2));
  EXPECT_EQ(run.dispatches[0].attempt, 1U) << "uncharged";
}

TEST_F(EngineRecoveryTest, WindowClosesWhenAllHostsHaveReported) {
  restore(record(1, State::kQueued));
  engine().restore_host(host);
  engine().restore_host(host_id(2));
  engine().finish_recovery(now);
  a = agent(host);
  EXPECT_TRUE(engine().adopting()) << "greeted, not reported";
  beat(a, {kFive});
  EXPECT_TRUE(engine().adopting());
  worker_with({});
  EXPECT_TRUE(engine().adopting()) << "the second host";
  const SessionId b = agent(host_id(2));
  beat(b, {});
  EXPECT_FALSE(engine().adopting());
}

TEST_F(EngineRecoveryTest, WindowWaitsForWorkersThatAreListedButNotBusy) {
  restore(record(1, State::kRunning));
  engine().restore_host(host);
  engine().finish_recovery(now);
  a = agent(host);
  beat(a, {kFive, WorkerNumber{6}}, {claim(1)});
  EXPECT_TRUE(engine().adopting()) << "worker 6 may hold jobs that it has not started";
  open(Role::kWorker, host, 6);
  EXPECT_TRUE(engine().adopting());
  const SessionId six = open(Role::kWorker, host, 6);
  ready(six, room(1, 1));
  EXPECT_FALSE(engine().adopting());
  EXPECT_EQ(state(1), State::kRunning);
}

TEST_F(EngineRecoveryTest, HostThatSaysGoodbyeIsNotWaitedFor) {
  restore(record(1, State::kQueued));
  engine().restore_host(host);
  engine().finish_recovery(now);
  a = agent(host);
  turn(SessionClosed{a, true});
  EXPECT_FALSE(engine().adopting());
}

// ---- adoption

TEST_F(EngineRecoveryTest, RunningJobIsAdoptedFromItsWorkersReady) {
  restore(record(1, State::kRunning));
  engine().restore_host(host);
  engine().finish_recovery(now);
  const HeldLease lease = claim(1);
  EXPECT_EQ(count_all(worker_with({lease})), 0U);
  EXPECT_EQ(engine().counts().leases, 1U);
  advance(config.adoption_window);
  EXPECT_EQ(state(1), State::kRunning) << "not run again";
  report(w, 1, {result_of(lease)});
  const Effects out = commit();
  EXPECT_EQ(out.acks.at(0).through, 1U);
  EXPECT_EQ(written(1)->stored, State::kRunning);
  EXPECT_EQ(written(1)->job.attempts, 1U);
  EXPECT_EQ(state(1), State::kSucceeded);
}

TEST_F(EngineRecoveryTest, RunningJobIsAdoptedFromItsAgentsBeatBeforeItsWorkerGreets) {
  restore(record(1, State::kRunning));
  engine().restore_host(host);
  engine().finish_recovery(now);
  a = agent(host);
  beat(a, {kFive}, {claim(1)});
  EXPECT_FALSE(engine().adopting());
  EXPECT_EQ(engine().counts().leases, 1U);
  EXPECT_EQ(engine().counts().workers, 1U);
  for (int i = 0; i < 10; ++i) {
    advance(config.heartbeat);
    beat(a, {kFive}, {claim(1)});
  }
  EXPECT_EQ(state(1), State::kRunning);
  EXPECT_THAT(worker_with({claim(1)}).revokes, IsEmpty());
  EXPECT_EQ(engine().counts().workers, 1U);
  report(w, 1, {result_of(claim(1))});
  EXPECT_EQ(state(1), State::kSucceeded);
}

TEST_F(EngineRecoveryTest, JobThatTheStoreStillShowsAsQueuedIsAdopted) {
  restore(record(1, State::kQueued));
  engine().restore_host(host);
  engine().finish_recovery(now);
  EXPECT_THAT(worker_with({claim(1)}).revokes, IsEmpty());
  EXPECT_EQ(state(1), State::kRunning);
  advance(config.adoption_window);
  const SessionId other = open(Role::kWorker);
  EXPECT_THAT(ready(other, room(1, 1)).payload_reads, IsEmpty()) << "it is nobody else's";
  commit_rest();
  EXPECT_EQ(written(1)->stored, State::kQueued);
  EXPECT_EQ(written(1)->job.state, State::kRunning);
  EXPECT_EQ(written(1)->job.token, token_of(1));
  EXPECT_EQ(written(1)->job.started, kStart - Millis(2'000));
}

TEST_F(EngineRecoveryTest, JobThatTheStoreStillShowsAsScheduledIsAdopted) {
  JobRecord retrying = record(1, State::kScheduled);
  retrying.due = now.wall + Millis(1'000);
  retrying.attempts = 1;
  retrying.raised = 1;
  restore(retrying);
  engine().restore_host(host);
  engine().finish_recovery(now);
  EXPECT_THAT(worker_with({claim(1, 2)}).revokes, IsEmpty());
  EXPECT_EQ(state(1), State::kRunning);
  advance(Millis(2'000));
  EXPECT_EQ(state(1), State::kRunning) << "its old due time means nothing";
}

TEST_F(EngineRecoveryTest, OldDueTimeDoesNotHurryTheRetryOfAnAdoptedJob) {
  JobRecord delayed = record(1, State::kScheduled);
  delayed.due = now.wall + Millis(1'000);
  auto options = std::make_shared<JobOptions>();
  options->has_retry = true;
  options->retry = retries(4, Millis(60'000));
  delayed.options = options;
  restore(delayed);
  engine().restore_host(host);
  engine().finish_recovery(now);
  worker_with({claim(1)});
  ResultReport raised = result_of(claim(1));
  raised.outcome = Outcome::kRaised;
  report(w, 1, {raised});
  stage();
  advance(Millis(1'000));
  EXPECT_EQ(state(1), State::kScheduled);
  committed();
  advance(Millis(1'000));
  EXPECT_EQ(state(1), State::kScheduled);
}

TEST_F(EngineRecoveryTest, ClaimsForUnknownJobsAndWrongAttemptsAreRevoked) {
  JobRecord second = record(1, State::kQueued);
  second.attempts = 1;
  restore(second);
  engine().restore_host(host);
  engine().finish_recovery(now);
  const Effects out = worker_with({claim(1, 1), claim(1, 3), claim(9)}, 3);
  ASSERT_THAT(out.revokes, SizeIs(3));
  EXPECT_EQ(out.revokes[0].session, w);
  EXPECT_EQ(out.revokes[0].token, token_of(1));
  EXPECT_EQ(out.revokes[2].token, token_of(9));
  EXPECT_EQ(engine().counts().leases, 0U);
  EXPECT_EQ(state(1), State::kQueued);
}

TEST_F(EngineRecoveryTest, SecondClaimForOneJobIsRevoked) {
  restore(record(1, State::kQueued));
  engine().restore_host(host);
  engine().finish_recovery(now);
  worker_with({claim(1)});
  const SessionId rival = open(Role::kWorker, host, 6);
  Serves serves = room(1, 1);
  serves.held = {claim(1)};
  serves.held[0].token = token_of(77);
  EXPECT_THAT(ready(rival, serves).revokes, SizeIs(1));
  EXPECT_EQ(engine().counts().leases, 1U);
}

TEST_F(EngineRecoveryTest, JobThatWasLeasedAnewIsNotAdoptedAnyMore) {
  restore(record(1, State::kRunning));
  engine().finish_recovery(now);
  const SessionId other = open(Role::kWorker);
  const Effects out = load(ready(other, room(1, 1)));
  ASSERT_THAT(out.dispatches, SizeIs(1));
  EXPECT_THAT(worker_with({claim(1)}).revokes, SizeIs(1));
  EXPECT_EQ(report(w, 1, {result_of(claim(1))}).lease_refusals.at(0).code, Code::kStaleLease);
  turn(SessionClosed{other, true});
  const SessionId late = open(Role::kWorker, host, 6);
  Serves serves = room(1, 1);
  serves.held = {claim(1)};
  EXPECT_THAT(ready(late, serves).revokes, SizeIs(1)) << "nor after it was given back";
}

TEST_F(EngineRecoveryTest, LateWorkerMayStillAdoptWhatNobodyTookMeanwhile) {
  restore(record(1, State::kRunning));
  engine().restore_host(host);
  engine().finish_recovery(now);
  advance(config.adoption_window);
  ASSERT_EQ(state(1), State::kQueued);
  EXPECT_THAT(worker_with({claim(1)}).revokes, IsEmpty());
  EXPECT_EQ(state(1), State::kRunning);
}

TEST_F(EngineRecoveryTest, ResultOfARecoveredRunningJobThatWasNotClaimedIsStale) {
  restore(record(1, State::kRunning));
  engine().restore_host(host);
  engine().finish_recovery(now);
  worker_with({});
  const Effects out = report(w, 1, {result_of(claim(1))});
  EXPECT_EQ(out.lease_refusals.at(0).code, Code::kStaleLease);
  EXPECT_EQ(state(1), State::kRunning);
}

TEST_F(EngineRecoveryTest, WorkerThatDiedBeforeItGreetedChargesWhatItRan) {
  restore(record(1, State::kRunning));
  engine().restore_host(host);
  engine().finish_recovery(now);
  a = agent(host);
  WorkerDown down;
  down.session = a;
  down.worker = kFive;
  down.end = WorkerEnd::kCrashed;
  down.signal = 9;
  const HeldLease lease = claim(1);
  down.running = std::span(&lease, 1);
  turn(down);
  EXPECT_EQ(state(1), State::kScheduled);
  EXPECT_EQ(engine().counts().workers, 0U);
  EXPECT_EQ(engine().counts().leases, 0U);
  stage();
  EXPECT_EQ(written(1)->job.crashed, 1U);
  EXPECT_EQ(written(1)->attempts.at(0).token, token_of(1));
}

TEST_F(EngineRecoveryTest, WordOfADeathBeforeAReplayThatComesAgainChargesNothing) {
  JobRecord replayed = record(1, State::kQueued);
  replayed.generation = 1;
  restore(replayed);
  engine().restore_host(host);
  engine().finish_recovery(now);
  WorkerDown down;
  down.session = agent(host);
  down.worker = kFive;
  down.end = WorkerEnd::kCrashed;
  const HeldLease lease = claim(1);
  down.running = std::span(&lease, 1);
  turn(down);
  EXPECT_EQ(state(1), State::kQueued);
  commit_rest();
  EXPECT_EQ(written(1), nullptr);
}

TEST_F(EngineRecoveryTest, AdoptedJobsTimeRunsFromItsAdoption) {
  JobRecord running = record(1, State::kRunning);
  running.timeout = Millis(10'000);
  restore(running);
  engine().restore_host(host);
  engine().finish_recovery(now);
  a = agent(host);
  beat(a, {kFive}, {claim(1)});  // since 2 s, says another machine's clock
  for (int i = 0; i < 4; ++i) {
    advance(Millis(3'750));
    EXPECT_THAT(beat(a, {kFive}, {claim(1)}).cancel_leases, IsEmpty());
  }
  advance(Millis(1));
  EXPECT_THAT(beat(a, {kFive}, {claim(1)}).cancel_leases, SizeIs(1));
}

TEST_F(EngineRecoveryTest, CancelOfARecoveredRunningJobIsDecidedByItsWorkerOrTheWindow) {
  restore(record(1, State::kRunning));
  restore(record(2, State::kRunning));
  engine().restore_host(host);
  engine().finish_recovery(now);
  const SessionId p = producer();
  cancel(p, {job_id(1), job_id(2)});
  worker_with({claim(2)});
  report(w, 1, {result_of(claim(2))});
  advance(config.adoption_window);
  const Effects out = commit_rest();
  ASSERT_THAT(out.cancel_replies, SizeIs(2));
  EXPECT_EQ(state(1), State::kCancelled);
  EXPECT_EQ(state(2), State::kSucceeded);
}

TEST_F(EngineRecoveryTest, CancelledJobThatIsAdoptedIsStopped) {
  restore(record(1, State::kRunning));
  engine().restore_host(host);
  engine().finish_recovery(now);
  a = agent(host);
  const SessionId p = producer();
  cancel(p, {job_id(1)});
  const Effects out = worker_with({claim(1)});
  ASSERT_THAT(out.cancel_leases, SizeIs(1));
  EXPECT_EQ(out.cancel_leases[0].session, a);
  EXPECT_THAT(out.recalls, SizeIs(1));
}

}  // namespace
}  // namespace jobwire::core
