// SPDX-License-Identifier: Apache-2.0
#include "engine_driver.h"

namespace jobwire::core {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class RecallTest : public EngineTest {
 protected:
  /// The type counts as short, so that its jobs are sent ahead: it was measured so.
  void measured_short() {
    who = producer();
    first = lone_worker(1, 100);
    stored_jobs(who, 60, 1);
    report(first, ++sequence, {success(leased(60), "", Micros(50))});
    settle();
  }

  /// What the worker holds of that job, from the dispatches so far.
  DispatchOut leased(std::uint64_t n) {
    for (const DispatchOut& dispatch : all) {
      if (dispatch.job == job_id(n)) return dispatch;
    }
    ADD_FAILURE() << "job " << n << " was not dispatched";
    return {};
  }

  void stored_jobs(SessionId session, std::uint64_t from, std::uint64_t count) {
    std::vector<Submission> jobs;
    for (std::uint64_t n = from; n < from + count; ++n) jobs.push_back(job(n));
    submit(session, jobs);
    keep(commit_rest());
  }

  Effects keep(Effects out) {
    all.insert(all.end(), out.dispatches.begin(), out.dispatches.end());
    return out;
  }

  std::vector<std::uint64_t> numbers(const std::vector<RecallOut>& recalls) {
    std::vector<std::uint64_t> found;
    for (const RecallOut& recall : recalls) {
      for (const DispatchOut& dispatch : all) {
        if (dispatch.token == recall.token) found.push_back(dispatch.job.bytes[15]);
      }
    }
    return found;
  }

  SessionId who{};
  SessionId first{};
  std::uint64_t sequence = 0;
  std::vector<DispatchOut> all;
};

TEST_F(RecallTest, ShortJobsBehindALongOneAreCalledBackForAnIdleWorker) {
  measured_short();
  stored_jobs(who, 1, 4);  // job 1 turns out to be long
  ASSERT_THAT(all, SizeIs(5));
  const SessionId idle = lone_worker(1, 100);
  EXPECT_THAT(advance(Millis(19)).recalls, IsEmpty()) << "it may be over in a moment";
  const Effects out = advance(Millis(1));
  EXPECT_EQ(numbers(out.recalls), (std::vector<std::uint64_t>{2, 3, 4}));
  for (const RecallOut& recall : out.recalls) EXPECT_EQ(recall.session, first);

  const Effects moved = hand_back(first, {leased(2).token, leased(3).token, leased(4).token});
  ASSERT_THAT(moved.dispatches, SizeIs(3));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(moved.dispatches[i].session, idle);
    EXPECT_EQ(moved.dispatches[i].job, job_id(i + 2)) << "in the order in which they came";
    EXPECT_EQ(moved.dispatches[i].attempt, 1) << "nothing is charged";
  }
}

TEST_F(RecallTest, WhoeverHandsBackWhatItWasAskedForStillGetsJobs) {
  measured_short();
  stored_jobs(who, 1, 2);
  lone_worker(1, 1);
  ASSERT_THAT(advance(Millis(20)).recalls, SizeIs(1));
  hand_back(first, {leased(2).token});
  report(first, ++sequence, {success(leased(1))});
  settle();
  submit(who, job(3));
  const Effects out = commit_rest();
  ASSERT_THAT(out.dispatches, SizeIs(1));
  EXPECT_EQ(out.dispatches[0].session, first) << "the other has job 2";
}

TEST_F(RecallTest, ALeaseIsCalledBackOnce) {
  measured_short();
  stored_jobs(who, 1, 3);
  lone_worker(1, 100);
  EXPECT_THAT(advance(Millis(20)).recalls, SizeIs(2));
  for (int i = 0; i < 100; ++i) EXPECT_THAT(advance(Millis(20)).recalls, IsEmpty());
}

TEST_F(RecallTest, AWorkerThatGreetsAnewIsAskedAnew) {
  who = producer();
  agent(host_id(1));
  first = hosted_worker(host_id(1), 1, 1, 100);
  stored_jobs(who, 60, 1);
  report(first, ++sequence, {success(leased(60), "", Micros(50))});
  settle();
  stored_jobs(who, 1, 2);
  lone_worker(1, 100);
  EXPECT_THAT(advance(Millis(20)).recalls, SizeIs(1));
  Serves serves = room(1, 100);
  serves.held = {held(leased(1)), held(leased(2))};
  EXPECT_THAT(ready(first, serves).recalls, IsEmpty());
  EXPECT_THAT(advance(Millis(20)).recalls, IsEmpty()) << "the same session: it was asked";
  SessionOpened again;
  again.session = next_session();
  again.role = Role::kWorker;
  again.host = host_id(1);
  again.worker = WorkerNumber{1};
  turn(again);
  EXPECT_THAT(ready(again.session, serves).recalls, IsEmpty());
  EXPECT_EQ(numbers(advance(Millis(20)).recalls), (std::vector<std::uint64_t>{2}));
}

TEST_F(RecallTest, NothingIsCalledBackWhileNobodyElseIsIdle) {
  measured_short();
  stored_jobs(who, 1, 3);
  EXPECT_THAT(advance(Millis(500)).recalls, IsEmpty());
  // One that serves other types does not count.
  Serves others;
  others.types = {"else"};
  lone_worker(others);
  EXPECT_THAT(advance(Millis(500)).recalls, IsEmpty());
  lone_worker(1, 1);
  EXPECT_THAT(advance(Millis(20)).recalls, SizeIs(2));
}

TEST_F(RecallTest, WhatMayBeRunningIsNotCalledBack) {
  measured_short();
  const SessionId threads = open(Role::kWorker);
  Serves serves = room(3, 100);
  serves.queues = {"other"};
  ready(threads, serves);
  std::vector<Submission> jobs;
  for (std::uint64_t n = 1; n <= 5; ++n) {
    jobs.push_back(job(n));
    jobs.back().queue = "other";
  }
  submit(who, jobs);
  keep(commit_rest());
  Serves idle = room(1, 100);
  idle.queues = {"other"};
  lone_worker(idle);
  EXPECT_EQ(numbers(advance(Millis(20)).recalls), (std::vector<std::uint64_t>{4, 5}));
}

TEST_F(RecallTest, AWorkerThatIsHeldUpGetsNothingToWaitUntilSomethingEnds) {
  measured_short();
  stored_jobs(who, 1, 2);
  advance(Millis(20));
  submit(who, job(3));
  EXPECT_THAT(commit_rest().dispatches, IsEmpty()) << "it would wait behind job 1";
  const Effects out = report(first, ++sequence, {success(leased(1), "", Millis(30))});
  EXPECT_THAT(out.dispatches, SizeIs(1));
}

TEST_F(RecallTest, OneSecondJobsAreNeverSentToWaitBehindOneAnother) {
  who = producer();
  first = lone_worker(1, 100);
  const SessionId second = lone_worker(1, 100);
  stored_jobs(who, 1, 4);
  ASSERT_THAT(all, SizeIs(2)) << "not measured yet";
  EXPECT_NE(all[0].session, all[1].session);
  report(all[0].session, 1, {success(all[0], "", Millis(1'000))});
  report(all[1].session, 1, {success(all[1], "", Millis(1'000))});
  keep(commit_rest());
  for (int i = 0; i < 200; ++i) keep(advance(Millis(5)));
  EXPECT_LE(engine().counts().leases, 2U);
  (void)second;
}

TEST_F(RecallTest, NothingIsCalledBackOnceTheBrokerIsStopping) {
  measured_short();
  stored_jobs(who, 1, 2);
  lone_worker(1, 100);
  apply(ShutdownBegun{});
  EXPECT_THAT(advance(Millis(100)).recalls, IsEmpty());
}

}  // namespace
}  // namespace jobwire::core
