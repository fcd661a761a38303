// SPDX-License-Identifier: Apache-2.0
// Who is there, and what becomes of leases when somebody is not.
#include "core/engine.h"
#include "engine_driver.h"

namespace jobwire::core {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class EngineHostsTest : public EngineTest {
 protected:
  static constexpr WorkerNumber kFive{5};
  HostId host = host_id(1);

  Effects down(SessionId agent, WorkerEnd end, std::vector<HeldLease> running,
               WorkerNumber number = kFive) {
    WorkerDown event;
    event.session = agent;
    event.worker = number;
    event.end = end;
    event.pid = 1000;
    event.signal = end == WorkerEnd::kCrashed ? 11 : 0;
    event.running = running;
    event.log_tail = "Segmentation fault";
    return turn(event);
  }

  /// An agent with one worker that holds these jobs.
  void hosted(std::uint64_t jobs, std::uint16_t slots = 1, std::uint16_t credit = 1) {
    p = producer();
    stored_jobs(p, 1, jobs);
    a = agent(host);
    w = hosted_worker(host, 5, slots, credit);
    beat(a, {kFive});
    leases = dispatched;
    settle();
  }
  /// What the broker knows of the type's run time lets it send ahead.
  void make_type_short() {
    p = producer();
    const SessionId teacher = lone_worker();
    stored_jobs(p, 60, 1);
    const Effects out = end_turn();
    (void)out;
    // The dispatch came with the commit in stored_jobs; ask for it again by the worker's lease.
    turn(SessionClosed{teacher, true});
    const SessionId second = lone_worker();
    report(second, 1, {success(dispatched.at(0))});
    settle();
    turn(SessionClosed{second, true});
  }

  SessionId p{}, a{}, w{};
  std::vector<DispatchOut> leases;
};

// ---- Ready

TEST_F(EngineHostsTest, WorkerGetsNothingBeforeItIsReady) {
  p = producer();
  stored_jobs(p, 1, 1);
  const SessionId worker = open(Role::kWorker);
  EXPECT_THAT(end_turn().dispatches, IsEmpty());
  EXPECT_EQ(engine().counts().workers, 1U);
  EXPECT_THAT(ready(worker, room(1, 1)).dispatches, SizeIs(1));
}

TEST_F(EngineHostsTest, ReadyOfASessionThatIsNoWorkersIsRefusedAndChangesNothing) {
  p = producer();
  stored_jobs(p, 1, 1);
  for (const SessionId session : {p, SessionId{99}}) {
    const Effects out = refused([&] { return ready(session, room(1, 1)); });
    EXPECT_EQ(out.refusals.at(0).code, Code::kUnknownWorker);
  }
}

TEST_F(EngineHostsTest, ReadyOutOfBoundsIsRefusedAndChangesNothing) {
  config.max_queues = 1;
  p = producer();
  stored_jobs(p, 1, 1);
  const SessionId worker = open(Role::kWorker);
  const auto code_of = [&](const Serves& serves) {
    return refused([&] { return ready(worker, serves); }).refusals.at(0).code;
  };
  EXPECT_EQ(code_of(room(0, 1)), Code::kCreditExceeded);
  EXPECT_EQ(code_of(room(1'025, 1'025)), Code::kCreditExceeded);
  EXPECT_EQ(code_of(room(2, 1)), Code::kCreditExceeded);
  EXPECT_EQ(code_of(room(1, 4'097)), Code::kCreditExceeded);
  Serves serves = room(1, 1);
  serves.queues = {};
  EXPECT_EQ(code_of(serves), Code::kCreditExceeded);
  serves.queues.assign(1'001, "q");
  EXPECT_EQ(code_of(serves), Code::kCreditExceeded);
  serves = room(1, 1);
  serves.types = {};
  EXPECT_EQ(code_of(serves), Code::kCreditExceeded);
  serves.types.assign(1'001, "t");
  EXPECT_EQ(code_of(serves), Code::kCreditExceeded);
  serves.types = {"t", "t"};
  EXPECT_EQ(code_of(serves), Code::kInvalidArgument);
  serves.types = {"no name"};
  EXPECT_EQ(code_of(serves), Code::kInvalidName);
  serves = room(1, 1);
  serves.queues = {"q", "no name"};
  EXPECT_EQ(code_of(serves), Code::kInvalidName);
  serves = room(1, 1);
  serves.held.assign(4'097, HeldLease{});
  EXPECT_EQ(code_of(serves), Code::kCreditExceeded);
  EXPECT_THAT(ready(worker, room(1, 1)).dispatches, SizeIs(1)) << "it may say it again, rightly";
}

TEST_F(EngineHostsTest, RefusedReadyLeavesNoNamesBehind) {
  config.max_types = 2;
  p = producer();
  submit(p, job(1));
  const SessionId worker = open(Role::kWorker);
  Serves serves = room(1, 1);
  serves.types = {"x", "y", "x"};
  ready(worker, serves);
  Submission other = job(2);
  other.type = "second";
  EXPECT_EQ(count_all(submit(p, other)), 0U);
}

TEST_F(EngineHostsTest, WorkersNamesAreBounded) {
  config.max_queues = 1;
  const SessionId worker = open(Role::kWorker);
  std::vector<std::string> names;
  for (int i = 0; i < 3'000; ++i) names.push_back("q" + std::to_string(i));
  Code code = Code::kNone;
  for (std::size_t at = 0; at < names.size() && code == Code::kNone; at += 500) {
    Serves serves = room(1, 1);
    serves.queues.assign(names.begin() + static_cast<std::ptrdiff_t>(at),
                         names.begin() + static_cast<std::ptrdiff_t>(at + 500));
    const Effects out = ready(worker, serves);
    if (!out.refusals.empty()) code = out.refusals[0].code;
  }
  EXPECT_EQ(code, Code::kQuotaExceeded);
}

TEST_F(EngineHostsTest, QueueNamedTwiceInReadyCountsOnce) {
  p = producer();
  stored_jobs(p, 1, 1);
  Serves serves = room(1, 1);
  serves.queues = {"q", "q"};
  lone_worker(serves);
  EXPECT_THAT(dispatched, SizeIs(1));
}

// ---- a worker's end

TEST_F(EngineHostsTest, OnlyTheRunningJobIsChargedWhenAWorkerCrashes) {
  make_type_short();
  hosted(4, 1, 4);
  ASSERT_THAT(leases, SizeIs(4));
  const Effects out = down(a, WorkerEnd::kCrashed, {held(leases[0], 5)});
  EXPECT_EQ(engine().counts().leases, 0U);
  EXPECT_EQ(engine().counts().workers, 0U);
  ASSERT_THAT(out.session_drops, SizeIs(1));
  EXPECT_EQ(out.session_drops[0].session, w);
  ASSERT_THAT(out.logs, SizeIs(1));
  EXPECT_THAT(out.logs[0].text, HasSubstr("signal 11"));
  EXPECT_THAT(out.logs[0].text, HasSubstr(to_string(job_id(1))));
  EXPECT_EQ(state(1), State::kScheduled);
  stage();
  ASSERT_THAT(last_batch.jobs, SizeIs(1));
  const JobWrite& write = last_batch.jobs[0];
  EXPECT_EQ(write.job.id, job_id(1));
  EXPECT_EQ(write.job.crashed, 1U);
  EXPECT_EQ(write.job.attempts, 1U);
  ASSERT_THAT(write.attempts, SizeIs(1));
  EXPECT_EQ(write.attempts[0].outcome, Outcome::kCrashed);
  EXPECT_EQ(write.attempts[0].host, "box");
  EXPECT_EQ(write.attempts[0].worker, "box/5");
  EXPECT_EQ(write.attempts[0].error_type, "jobwire.WorkerCrashed");
  EXPECT_THAT(write.attempts[0].error_message, HasSubstr("signal 11"));
  EXPECT_THAT(write.attempts[0].error_message, HasSubstr("Segmentation fault"));
  committed();
  lone_worker(4, 4);
  ASSERT_THAT(dispatched, SizeIs(3));
  for (std::uint64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(dispatched[i].job, job_id(2 + i)) << "the front, in their order";
    EXPECT_EQ(dispatched[i].attempt, 1U);
  }
}

TEST_F(EngineHostsTest, WorkerStoppedForATimeoutChargesATimeout) {
  hosted(1);
  down(a, WorkerEnd::kTimedOut, {held(leases.at(0), 5)});
  stage();
  EXPECT_EQ(written(1)->job.timed_out, 1U);
  EXPECT_EQ(written(1)->job.crashed, 0U);
  EXPECT_EQ(written(1)->attempts.at(0).outcome, Outcome::kTimedOut);
}

TEST_F(EngineHostsTest, WorkerThatEndsOnPurposeChargesNobody) {
  for (const WorkerEnd end : {WorkerEnd::kRecycled, WorkerEnd::kStopped}) {
    restart();
    hosted(1);
    const Effects out = down(a, end, {held(leases.at(0), 5)});
    EXPECT_THAT(out.logs, IsEmpty());
    EXPECT_EQ(state(1), State::kQueued);
    hosted_worker(host, 6);
    EXPECT_EQ(dispatched.at(0).attempt, 1U);
    EXPECT_EQ(engine().counts().workers, 1U);
  }
}

TEST_F(EngineHostsTest, CrashWithAForeignTokenChargesNobody) {
  hosted(1);
  HeldLease wrong = held(leases.at(0), 5);
  wrong.token = token_of(9);
  down(a, WorkerEnd::kCrashed, {wrong});
  EXPECT_EQ(state(1), State::kQueued);
  EXPECT_FALSE(engine().has_batch(now));
}

TEST_F(EngineHostsTest, WorkerDownFromAnybodyButItsAgentChangesNothing) {
  hosted(1);
  const SessionId stranger = agent(host_id(2));
  settle();
  for (const SessionId session : {p, w, stranger, SessionId{99}}) {
    down(session, WorkerEnd::kCrashed, {held(leases.at(0), 5)});
    EXPECT_EQ(state(1), State::kRunning);
    EXPECT_EQ(engine().counts().leases, 1U);
  }
  EXPECT_FALSE(engine().has_batch(now));
}

TEST_F(EngineHostsTest, JobThatKillsItsWorkersIsDeadAfterItsCrashBudget) {
  p = producer();
  a = agent(host);
  Submission poison = job(1);
  options_of(poison).has_retry = true;
  options_of(poison).retry = retries(9, Millis(1));
  options_of(poison).retry.crashes = 3;
  submit(p, poison);
  settle();
  for (std::uint64_t i = 1; i <= 3; ++i) {
    hosted_worker(host, i);
    ASSERT_THAT(dispatched, SizeIs(1)) << i;
    down(a, WorkerEnd::kCrashed, {held(dispatched[0], i)}, WorkerNumber{i});
    settle();
    advance(Millis(1));
    beat(a, {});
  }
  EXPECT_EQ(state(1), State::kDead);
  EXPECT_EQ(written(1)->job.reason, DeadReason::kCrashed);
}

TEST_F(EngineHostsTest, GoodbyeGivesEverythingBackUncharged) {
  hosted(2, 2, 2);
  turn(SessionClosed{w, true});
  EXPECT_EQ(engine().counts().workers, 0U);
  EXPECT_EQ(engine().counts().leases, 0U);
  lone_worker(2, 2);
  ASSERT_THAT(dispatched, SizeIs(2));
  EXPECT_EQ(dispatched[0].job, job_id(1));
  EXPECT_EQ(dispatched[0].attempt, 1U);
}

TEST_F(EngineHostsTest, HostedWorkersBrokenConnectionLeavesItsLeasesToItsAgent) {
  hosted(1);
  turn(SessionClosed{w, false});
  EXPECT_EQ(engine().counts().leases, 1U);
  EXPECT_EQ(state(1), State::kRunning);
  for (int i = 0; i < 60; ++i) {
    advance(Millis(2'000));
    beat(a, {kFive}, {held(leases.at(0), 5)});
  }
  EXPECT_EQ(state(1), State::kRunning) << "its agent says that it runs";
  for (int i = 0; i < 20; ++i) {
    advance(Millis(2'000));
    beat(a, {kFive});
  }
  EXPECT_EQ(state(1), State::kQueued) << "nobody runs it, and nobody can take it back";
}

TEST_F(EngineHostsTest, LoneWorkersBrokenConnectionChargesWhatItRan) {
  make_type_short();
  p = producer();
  stored_jobs(p, 1, 3);
  w = lone_worker(1, 3);
  ASSERT_THAT(dispatched, SizeIs(3));
  turn(SessionClosed{w, false});
  stage();
  ASSERT_THAT(last_batch.jobs, SizeIs(1));
  EXPECT_EQ(written(1)->job.crashed, 1U);
  EXPECT_EQ(state(2), State::kQueued);
  EXPECT_EQ(state(3), State::kQueued);
}

TEST_F(EngineHostsTest, SilentLoneWorkerIsLost) {
  p = producer();
  stored_jobs(p, 1, 1);
  w = lone_worker();
  const Effects out = advance(config.session_timeout + Millis(500));
  EXPECT_EQ(engine().counts().workers, 0U);
  EXPECT_EQ(state(1), State::kScheduled);
  EXPECT_THAT(out.session_drops, SizeIs(2)) << "the producer's and the worker's";
}

TEST_F(EngineHostsTest, WorkerThatItsAgentNoLongerListsIsGone) {
  hosted(1);
  beat(a, {});
  EXPECT_EQ(engine().counts().workers, 1U);
  beat(a, {});
  EXPECT_EQ(engine().counts().workers, 0U);
  EXPECT_EQ(state(1), State::kQueued) << "uncharged";
}

// ---- deadlines

TEST_F(EngineHostsTest, JobThatItsAgentLetsRunTooLongIsTakenAway) {
  p = producer();
  a = agent(host);
  w = hosted_worker(host, 5);
  Submission submission = job(1);
  submission.timeout_ms = 1'000;
  submit(p, submission);
  const DispatchOut lease = commit().dispatches.at(0);
  beat(a, {kFive}, {held(lease, 5)});
  for (int i = 0; i < 6; ++i) {
    advance((Millis(1'000) + config.deadline_grace) / 6);
    EXPECT_THAT(beat(a, {kFive}, {held(lease, 5)}).cancel_leases, IsEmpty());
  }
  advance(Millis(1));
  const Effects out = beat(a, {kFive}, {held(lease, 5)});
  ASSERT_THAT(out.cancel_leases, SizeIs(1));
  EXPECT_EQ(out.cancel_leases[0].session, a);
  EXPECT_EQ(out.cancel_leases[0].token, lease.token);
  ASSERT_THAT(out.revokes, SizeIs(1));
  EXPECT_EQ(out.revokes[0].session, w);
  EXPECT_EQ(state(1), State::kScheduled);
  stage();
  EXPECT_EQ(written(1)->job.timed_out, 1U);
  EXPECT_EQ(report(w, 1, {success(lease)}).lease_refusals.at(0).code, Code::kStaleLease);
}

TEST_F(EngineHostsTest, TimeInTheWorkersHandsBeforeItRunsDoesNotCount) {
  p = producer();
  a = agent(host);
  w = hosted_worker(host, 5);
  Submission submission = job(1);
  submission.timeout_ms = 1'000;
  submit(p, submission);
  const DispatchOut lease = commit().dispatches.at(0);
  for (int i = 0; i < 10; ++i) {
    advance(Millis(2'000));
    EXPECT_THAT(beat(a, {kFive}).cancel_leases, IsEmpty());
  }
  EXPECT_THAT(beat(a, {kFive}, {held(lease, 5)}).cancel_leases, IsEmpty());
  EXPECT_EQ(state(1), State::kRunning);
}

TEST_F(EngineHostsTest, LoneWorkersOverdueJobIsTakenAway) {
  p = producer();
  w = lone_worker();
  Submission submission = job(1);
  submission.timeout_ms = 1'000;
  submit(p, submission);
  commit();
  advance(Millis(500));
  EXPECT_EQ(state(1), State::kRunning);
  const Effects out = advance(Millis(1'001) + config.deadline_grace);
  EXPECT_THAT(out.revokes, SizeIs(1));
  EXPECT_EQ(state(1), State::kScheduled);
  EXPECT_THAT(end_turn().dispatches, IsEmpty());
}

// ---- hosts

TEST_F(EngineHostsTest, HostIsLostAfterTwoHeartbeatsAndASecond) {
  make_type_short();
  hosted(3, 1, 3);
  ASSERT_THAT(leases, SizeIs(3));
  EXPECT_THAT(advance(2 * config.heartbeat + Millis(1'000)).session_drops, IsEmpty());
  EXPECT_EQ(engine().counts().leases, 3U);
  const Effects out = advance(Micros(1));  // to the moment
  EXPECT_EQ(engine().counts().workers, 0U);
  EXPECT_EQ(engine().counts().leases, 0U);
  EXPECT_THAT(out.session_drops, SizeIs(2)) << "the agent's and the worker's";
  EXPECT_THAT(out.logs, SizeIs(1));
  EXPECT_EQ(state(1), State::kScheduled) << "presumed running: charged";
  EXPECT_EQ(state(2), State::kQueued);
  EXPECT_EQ(state(3), State::kQueued);
  stage();
  EXPECT_EQ(written(1)->job.crashed, 1U);
  EXPECT_EQ(written(1)->attempts.at(0).error_type, "jobwire.HostLost");
  ASSERT_THAT(last_batch.hosts, SizeIs(1));
  EXPECT_TRUE(last_batch.hosts[0].left);
}

TEST_F(EngineHostsTest, BeatsKeepAHost) {
  hosted(1);
  for (int i = 0; i < 100; ++i) {
    advance(config.heartbeat);
    EXPECT_THAT(beat(a, {kFive}).session_drops, IsEmpty());
  }
  EXPECT_EQ(engine().counts().leases, 1U);
}

TEST_F(EngineHostsTest, LostHostsWorkersMustGreetAgain) {
  hosted(1);
  advance(2 * config.heartbeat + Millis(1'500));
  const Effects out = report(w, 1, {success(leases.at(0))});
  EXPECT_EQ(out.refusals.at(0).code, Code::kUnknownWorker);
  EXPECT_THAT(out.lease_refusals, IsEmpty());
}

TEST_F(EngineHostsTest, AgentsGoodbyeGivesEverythingBackUncharged) {
  hosted(2, 2, 2);
  const Effects out = turn(SessionClosed{a, true});
  EXPECT_THAT(out.session_drops, SizeIs(1));
  EXPECT_EQ(engine().counts().workers, 0U);
  EXPECT_EQ(state(1), State::kQueued);
  EXPECT_EQ(state(2), State::kQueued);
  stage();
  ASSERT_THAT(last_batch.hosts, SizeIs(1));
  EXPECT_TRUE(last_batch.hosts[0].left);
  EXPECT_THAT(last_batch.jobs, IsEmpty());
}

TEST_F(EngineHostsTest, AgentsBrokenConnectionChangesNothingUntilItIsSilentTooLong) {
  hosted(1);
  turn(SessionClosed{a, false});
  EXPECT_EQ(engine().counts().leases, 1U);
  advance(config.heartbeat);
  a = agent(host);
  beat(a, {kFive}, {held(leases.at(0), 5)});
  advance(2 * config.heartbeat);
  EXPECT_EQ(engine().counts().leases, 1U);
  EXPECT_EQ(state(1), State::kRunning);
}

TEST_F(EngineHostsTest, AgentThatGreetsAnewSupersedesItsOldSession) {
  hosted(1);
  SessionOpened again;
  again.session = next_session();
  again.role = Role::kAgent;
  again.host = host;
  const Effects out = turn(again);
  ASSERT_THAT(out.session_drops, SizeIs(1));
  EXPECT_EQ(out.session_drops[0].session, a);
  EXPECT_EQ(count_all(turn(SessionClosed{a, true})), 0U) << "the old one's end means nothing";
  EXPECT_EQ(engine().counts().leases, 1U);
}

TEST_F(EngineHostsTest, HostIsNotedAtFirstSightAndThenNowAndThen) {
  a = agent(host);
  stage();
  ASSERT_THAT(last_batch.hosts, SizeIs(1));
  EXPECT_EQ(last_batch.hosts[0].id, host);
  EXPECT_EQ(last_batch.hosts[0].name, "box");
  EXPECT_FALSE(last_batch.hosts[0].left);
  committed();
  hosted_worker(host, 5, 3, 3);
  for (int i = 0; i < 4; ++i) {
    advance(config.heartbeat);
    beat(a, {kFive});
  }
  EXPECT_FALSE(engine().has_batch(now));
  advance(config.heartbeat);
  beat(a, {kFive});
  stage();
  ASSERT_THAT(last_batch.hosts, SizeIs(1));
  EXPECT_EQ(last_batch.hosts[0].workers, 1U);
  EXPECT_EQ(last_batch.hosts[0].slots, 3U);
}

TEST_F(EngineHostsTest, NotesOfAHostDoNotPileUpWhileTheStoreIsAway) {
  a = agent(host);
  turn(StoreWentAway{});
  for (int i = 0; i < 300; ++i) {
    advance(config.heartbeat);
    beat(a, {kFive});
  }
  turn(StoreCameBack{});
  stage();
  EXPECT_THAT(last_batch.hosts, SizeIs(1));
}

TEST_F(EngineHostsTest, WorkerWhoseAgentNeverGreetsIsLostLikeASilentHost) {
  p = producer();
  stored_jobs(p, 1, 1);
  w = hosted_worker(host, 5);
  ASSERT_THAT(dispatched, SizeIs(1));
  advance(2 * config.heartbeat + Millis(1'000));
  EXPECT_EQ(engine().counts().leases, 1U);
  advance(Millis(500));
  EXPECT_EQ(engine().counts().workers, 0U);
  EXPECT_EQ(engine().counts().leases, 0U);
}

// ---- a worker greets again

TEST_F(EngineHostsTest, HeldLeasesAreKeptAcrossAReconnect) {
  hosted(2, 2, 2);
  turn(SessionClosed{w, false});
  w = open(Role::kWorker, host, 5);
  Serves serves = room(2, 2);
  serves.held = {held(leases.at(0), 5), held(leases.at(1), 5)};
  serves.held[0].finished = true;
  const Effects out = ready(w, serves);
  EXPECT_EQ(count_all(out), 0U);
  EXPECT_EQ(engine().counts().leases, 2U);
  report(w, 1, {success(leases.at(0)), success(leases.at(1))});
  EXPECT_EQ(commit().acks.at(0).through, 1U);
  EXPECT_EQ(state(1), State::kSucceeded);
}

TEST_F(EngineHostsTest, LeasesThatTheWorkerNoLongerHoldsAreGivenBackUncharged) {
  hosted(2, 2, 2);
  turn(SessionClosed{w, false});
  w = open(Role::kWorker, host, 5);
  Serves serves = room(2, 2);
  serves.held = {held(leases.at(1), 5)};
  const Effects out = ready(w, serves);
  EXPECT_THAT(out.revokes, IsEmpty());
  ASSERT_THAT(out.dispatches, SizeIs(1)) << "it has room again";
  EXPECT_EQ(out.dispatches[0].job, job_id(1));
  EXPECT_EQ(out.dispatches[0].attempt, 1U);
  EXPECT_NE(out.dispatches[0].token, leases.at(0).token);
}

TEST_F(EngineHostsTest, LeasesThatTheBrokerDoesNotKnowAreRevoked) {
  hosted(1);
  turn(SessionClosed{w, false});
  w = open(Role::kWorker, host, 5);
  Serves serves = room(1, 1);
  HeldLease unknown_job = held(leases.at(0), 5);
  unknown_job.job = job_id(9);
  HeldLease wrong_token = held(leases.at(0), 5);
  wrong_token.token = token_of(9);
  serves.held = {unknown_job, wrong_token, held(leases.at(0), 5)};
  const Effects out = ready(w, serves);
  ASSERT_THAT(out.revokes, SizeIs(2));
  EXPECT_EQ(out.revokes[0].session, w);
  EXPECT_EQ(out.revokes[0].token, unknown_job.token);
  EXPECT_EQ(out.revokes[1].token, wrong_token.token);
  EXPECT_THAT(out.dispatches, IsEmpty());
  EXPECT_EQ(engine().counts().leases, 1U);
}

TEST_F(EngineHostsTest, LeaseThatPassedToAnotherWorkerIsRevoked) {
  hosted(1);
  turn(SessionClosed{w, true});
  lone_worker();
  ASSERT_THAT(dispatched, SizeIs(1));
  w = open(Role::kWorker, host, 5);
  Serves serves = room(1, 1);
  serves.held = {held(leases.at(0), 5)};
  EXPECT_THAT(ready(w, serves).revokes, SizeIs(1));
  EXPECT_EQ(engine().counts().leases, 1U);
}

TEST_F(EngineHostsTest, SequenceStartsAnewWithEachHello) {
  hosted(1);
  report(w, 1, {success(leases.at(0))});
  settle();
  turn(SessionClosed{w, false});
  w = hosted_worker(host, 5);
  EXPECT_THAT(report(w, 2, {}).refusals, SizeIs(1));
  EXPECT_EQ(report(w, 1, {}).acks.at(0).through, 1U);
}

TEST_F(EngineHostsTest, CommitOfAnOldSessionsResultsAcknowledgesNothingInTheNewOne) {
  hosted(1);
  report(w, 1, {success(leases.at(0))});
  turn(SessionClosed{w, false});
  w = open(Role::kWorker, host, 5);
  Serves serves = room(1, 1);
  serves.held = {held(leases.at(0), 5)};
  serves.held[0].finished = true;
  EXPECT_THAT(ready(w, serves).revokes, SizeIs(1)) << "it is settled here";
  EXPECT_THAT(commit().acks, IsEmpty());
  EXPECT_EQ(state(1), State::kSucceeded);
}

TEST_F(EngineHostsTest, WorkerThatGreetsAnewSupersedesItsOldSession) {
  hosted(1);
  SessionOpened again;
  again.session = next_session();
  again.role = Role::kWorker;
  again.host = host;
  again.worker = kFive;
  const Effects out = turn(again);
  ASSERT_THAT(out.session_drops, SizeIs(1));
  EXPECT_EQ(out.session_drops[0].session, w);
  EXPECT_EQ(engine().counts().workers, 1U);
  EXPECT_EQ(engine().counts().leases, 1U);
  EXPECT_EQ(report(w, 1, {success(leases.at(0))}).refusals.at(0).code, Code::kUnknownWorker);
}

TEST_F(EngineHostsTest, ALateReadyOfAnOldConnectionTakesNothingFromTheNewOne) {
  p = producer();
  stored_jobs(p, 1, 1);
  const SessionId old = lone_worker();
  leases = dispatched;
  ASSERT_THAT(leases, SizeIs(1));
  settle();
  Serves serves = room(1, 1);
  serves.held = {held(leases.at(0), 0)};
  const SessionId now_at = open(Role::kWorker);
  EXPECT_EQ(count_all(ready(now_at, serves)), 0U);
  EXPECT_EQ(count_all(ready(old, serves)), 0U);
  turn(SessionClosed{old, true});
  settle();
  EXPECT_EQ(engine().counts().leases, 1U);
  report(now_at, 1, {success(leases.at(0))});
  EXPECT_EQ(commit().acks.at(0).through, 1U);
  EXPECT_EQ(state(1), State::kSucceeded);
}

TEST_F(EngineHostsTest, WorkerThatGreetedAnewGetsNothingBeforeItIsReady) {
  hosted(2);
  turn(SessionClosed{w, false});
  w = open(Role::kWorker, host, 5);
  // Its job is taken away from it meanwhile, so that it would have room.
  const Millis limit = config.default_timeout + config.deadline_grace;
  for (Millis passed{0}; passed <= limit; passed += config.heartbeat) {
    EXPECT_THAT(beat(a, {kFive}, {held(leases.at(0), 5)}).dispatches, IsEmpty());
    advance(config.heartbeat);
  }
  EXPECT_THAT(beat(a, {kFive}, {held(leases.at(0), 5)}).dispatches, IsEmpty());
  EXPECT_EQ(state(1), State::kScheduled);
  EXPECT_THAT(end_turn().dispatches, IsEmpty());
  EXPECT_THAT(ready(w, room(1, 1)).dispatches, SizeIs(1));
}

TEST_F(EngineHostsTest, LeaseThatMovesToAnotherWorkerMakesRoomAtTheOld) {
  hosted(2);
  ASSERT_THAT(leases, SizeIs(1));
  // The process came back under another number, with its lease.
  const SessionId other = open(Role::kWorker, host, 6);
  Serves serves = room(1, 1);
  serves.held = {held(leases.at(0), 6)};
  const Effects out = ready(other, serves);
  EXPECT_THAT(out.revokes, IsEmpty());
  ASSERT_THAT(out.dispatches, SizeIs(1));
  EXPECT_EQ(out.dispatches[0].session, w);
  EXPECT_EQ(out.dispatches[0].job, job_id(2));
}

}  // namespace
}  // namespace jobwire::core
