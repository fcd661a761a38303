// SPDX-License-Identifier: Apache-2.0
// Which job goes to which worker, how many at a time, and where payloads come from.
#include <map>

#include "core/engine.h"
#include "engine_driver.h"

namespace jobwire::core {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class EngineDispatchTest : public EngineTest {
 protected:
  SessionId p{};

  /// Lets the broker measure a type: its jobs run this long.
  void teach(Micros run, std::string_view queue = "q", std::string_view type = "t") {
    if (p == SessionId{}) p = producer();
    Serves serves = room(1, 1);
    serves.queues = {queue};
    serves.types = {type};
    Submission lesson = job(1'000'000 + ++lessons_);
    lesson.queue = queue;
    lesson.type = type;
    submit(p, lesson);
    settle();
    const SessionId teacher = lone_worker(serves);
    report(teacher, 1, {success(dispatched.at(0), "", run)});
    settle();
    turn(SessionClosed{teacher, true});
  }

  void submit_to(std::string_view queue, std::string_view type, std::uint64_t first,
                 std::uint64_t count, std::uint8_t priority = 4) {
    if (p == SessionId{}) p = producer();
    std::vector<Submission> jobs;
    for (std::uint64_t n = first; n < first + count; ++n) {
      jobs.push_back(job(n));
      jobs.back().queue = queue;
      jobs.back().type = type;
      jobs.back().priority = priority;
    }
    submit(p, jobs);
  }

  static std::vector<JobId> ids(const std::vector<DispatchOut>& dispatches) {
    std::vector<JobId> found;
    for (const DispatchOut& d : dispatches) found.push_back(d.job);
    return found;
  }

  /// Answers each lease with success, one Results message each, and gives what is dispatched in
  /// turn.
  std::vector<DispatchOut> finish_all(SessionId worker, std::uint64_t& sequence,
                                      const std::vector<DispatchOut>& leases,
                                      Micros run = Micros(100)) {
    std::vector<ResultReport> results;
    for (const DispatchOut& lease : leases) results.push_back(success(lease, "", run));
    return report(worker, ++sequence, results).dispatches;
  }

 private:
  std::uint64_t lessons_ = 0;
};

// ---- order

TEST_F(EngineDispatchTest, NothingIsDispatchedBeforeItsCommit) {
  lone_worker();
  p = producer();
  EXPECT_THAT(submit(p, job(1)).dispatches, IsEmpty());
  stage();
  EXPECT_THAT(end_turn().dispatches, IsEmpty());
  EXPECT_THAT(committed().dispatches, SizeIs(1));
}

TEST_F(EngineDispatchTest, OldestJobFirst) {
  submit_to("q", "t", 1, 3);
  settle();
  lone_worker(3, 3);
  EXPECT_THAT(ids(dispatched), ElementsAre(job_id(1), job_id(2), job_id(3)));
}

TEST_F(EngineDispatchTest, HigherPriorityFirstWithinAQueue) {
  submit_to("q", "t", 1, 1, 0);
  submit_to("q", "t", 2, 1, 9);
  submit_to("q", "t", 3, 1, 4);
  submit_to("q", "t", 4, 1, 9);
  settle();
  lone_worker(4, 4);
  EXPECT_THAT(ids(dispatched), ElementsAre(job_id(2), job_id(4), job_id(3), job_id(1)));
}

TEST_F(EngineDispatchTest, HigherPriorityFirstAcrossTheTypesOfAQueue) {
  submit_to("q", "a", 1, 2, 4);
  submit_to("q", "b", 3, 1, 5);
  settle();
  Serves serves = room(3, 3);
  serves.types = {"a", "b"};
  lone_worker(serves);
  EXPECT_THAT(ids(dispatched), ElementsAre(job_id(3), job_id(1), job_id(2)));
}

TEST_F(EngineDispatchTest, DispatchNamesTheTypeByItsPlaceInReady) {
  submit_to("q", "b", 1, 1);
  settle();
  Serves serves = room(1, 1);
  serves.types = {"a", "b"};
  lone_worker(serves);
  EXPECT_EQ(dispatched.at(0).type, 1U);
}

TEST_F(EngineDispatchTest, TypesOfOneQueueAndPriorityAreServedOldestFirst) {
  const std::string_view types[] = {"a", "b", "a", "b"};
  for (std::uint64_t n = 1; n <= 4; ++n) {
    submit_to("q", types[n - 1], n, 1);
    settle();
    advance(Millis(10));
  }
  Serves serves = room(1, 1);
  serves.types = {"a", "b"};
  const SessionId w = lone_worker(serves);
  std::uint64_t sequence = 0;
  std::vector<JobId> order;
  for (std::vector<DispatchOut> leases = dispatched; !leases.empty();) {
    ASSERT_THAT(leases, SizeIs(1));
    order.push_back(leases[0].job);
    leases = finish_all(w, sequence, leases);
  }
  EXPECT_THAT(order, ElementsAre(job_id(1), job_id(2), job_id(3), job_id(4)));
}

TEST_F(EngineDispatchTest, BusyTypeDoesNotStarveAnotherTypeOfItsQueue) {
  submit_to("q", "busy", 1, 50);
  submit_to("q", "rare", 100, 1);
  settle();
  advance(Millis(1));
  Serves serves = room(1, 1);
  serves.types = {"busy", "rare"};
  const SessionId w = lone_worker(serves);
  std::uint64_t sequence = 0;
  std::vector<DispatchOut> leases = dispatched;
  for (std::uint64_t n = 200; leases.at(0).job != job_id(100); ++n) {
    ASSERT_LT(n, 300U) << "the rare job is starved";
    advance(Millis(1));
    submit_to("q", "busy", n, 1);
    settle();
    leases = finish_all(w, sequence, leases);
  }
}

TEST_F(EngineDispatchTest, WorkerGetsOnlyWhatItServes) {
  submit_to("q", "other", 1, 1);
  submit_to("elsewhere", "t", 2, 1);
  submit_to("q", "t", 3, 1);
  settle();
  lone_worker(9, 9);
  EXPECT_THAT(ids(dispatched), ElementsAre(job_id(3)));
}

TEST_F(EngineDispatchTest, LaneThatIsNewToAWaitingWorkerWakesIt) {
  Serves serves = room(2, 2);
  serves.queues = {"q", "later"};
  serves.types = {"t", "u"};
  lone_worker(serves);
  submit_to("later", "u", 1, 1);
  EXPECT_THAT(commit().dispatches, SizeIs(1));
}

// ---- fairness

TEST_F(EngineDispatchTest, QueuesShareAWorkerEvenly) {
  submit_to("a", "t", 1, 200);
  submit_to("b", "t", 1'001, 200);
  submit_to("c", "t", 2'001, 200);
  settle();
  Serves serves = room(1, 1);
  serves.queues = {"a", "b", "c"};
  const SessionId w = lone_worker(serves);
  std::uint64_t sequence = 0;
  std::map<std::uint8_t, int> served;
  std::vector<DispatchOut> leases = dispatched;
  for (int i = 0; i < 300; ++i) {
    ASSERT_THAT(leases, SizeIs(1));
    const std::uint64_t n = (leases[0].job.bytes[14] << 8) | leases[0].job.bytes[15];
    ++served[static_cast<std::uint8_t>(n / 1'000)];
    leases = finish_all(w, sequence, leases);
  }
  for (const auto& [queue, count] : served) EXPECT_EQ(count, 100) << int{queue};
}

TEST_F(EngineDispatchTest, FullQueueDoesNotStarveAQueueThatGetsAJobNowAndThen) {
  submit_to("full", "t", 1, 1'000);
  settle();
  Serves serves = room(1, 1);
  serves.queues = {"full", "rare"};
  const SessionId w = lone_worker(serves);
  std::uint64_t sequence = 0;
  std::vector<DispatchOut> leases = dispatched;
  for (std::uint64_t n = 0; n < 20; ++n) {
    submit_to("rare", "t", 5'000 + n, 1);
    settle();
    int waited = 0;
    while (leases.at(0).job != job_id(5'000 + n)) {
      ASSERT_LT(++waited, 4) << n;
      leases = finish_all(w, sequence, leases);
    }
  }
}

// ---- how many at a time

TEST_F(EngineDispatchTest, JobsOfAnUnknownTypeFillSlotsOnly) {
  submit_to("q", "t", 1, 100);
  settle();
  lone_worker(3, 100);
  EXPECT_THAT(dispatched, SizeIs(3));
}

TEST_F(EngineDispatchTest, LongJobsFillSlotsOnly) {
  teach(Micros(2'000'000));
  submit_to("q", "t", 1, 100);
  settle();
  lone_worker(2, 100);
  EXPECT_THAT(dispatched, SizeIs(2));
}

TEST_F(EngineDispatchTest, MicrosecondJobsTravelInBatchesOfAFewMillisecondsOfWork) {
  teach(Micros(92));  // 100 us with the worker's own cost
  submit_to("q", "t", 1, 1'000);
  settle();
  lone_worker(1, 1'000);
  EXPECT_THAT(dispatched, SizeIs(config.dispatch_ahead / Micros(100)));
}

TEST_F(EngineDispatchTest, CreditIsNeverExceeded) {
  teach(Micros(0));
  submit_to("q", "t", 1, 1'000);
  settle();
  const SessionId w = lone_worker(1, 7);
  ASSERT_THAT(dispatched, SizeIs(7));
  EXPECT_EQ(engine().counts().leases, 7U);
  // One result makes room for one.
  EXPECT_THAT(report(w, 1, {success(dispatched[0], "", Micros(0))}).dispatches, SizeIs(1));
  EXPECT_EQ(engine().counts().leases, 7U);
}

TEST_F(EngineDispatchTest, LongJobIsNeverPutBehindOthersWhileAnotherWorkerIsIdle) {
  teach(Micros(2'000'000));
  const SessionId busy = lone_worker(1, 10);
  submit_to("q", "t", 1, 1);
  ASSERT_EQ(commit().dispatches.at(0).session, busy);
  const SessionId idle = lone_worker(1, 10);
  submit_to("q", "t", 2, 2);
  const Effects out = commit();
  ASSERT_THAT(out.dispatches, SizeIs(1)) << "the third waits for whoever is first";
  EXPECT_EQ(out.dispatches[0].session, idle);
}

TEST_F(EngineDispatchTest, ShortJobIsNotPutBehindALongOne) {
  teach(Micros(2'000'000), "q", "long");
  teach(Micros(10), "q", "short");
  Serves serves = room(1, 10);
  serves.types = {"long", "short"};
  lone_worker(serves);
  submit_to("q", "long", 1, 1);
  ASSERT_THAT(commit().dispatches, SizeIs(1));
  submit_to("q", "short", 2, 1);
  EXPECT_THAT(commit().dispatches, IsEmpty());
  lone_worker(serves);
  EXPECT_THAT(ids(dispatched), ElementsAre(job_id(2)));
}

TEST_F(EngineDispatchTest, FewJobsSpreadOverIdleWorkers) {
  teach(Micros(10));
  std::vector<SessionId> workers;
  for (int i = 0; i < 4; ++i) workers.push_back(lone_worker(1, 100));
  submit_to("q", "t", 1, 4);
  std::map<SessionId, int> got;
  for (const DispatchOut& d : commit().dispatches) ++got[d.session];
  EXPECT_THAT(got, SizeIs(4));
}

TEST_F(EngineDispatchTest, ManyShortJobsAreSharedEvenly) {
  teach(Micros(92));
  for (int i = 0; i < 2; ++i) lone_worker(1, 1'000);
  submit_to("q", "t", 1, 60);
  std::map<SessionId, int> got;
  for (const DispatchOut& d : commit().dispatches) ++got[d.session];
  ASSERT_THAT(got, SizeIs(2));
  for (const auto& [session, count] : got) EXPECT_EQ(count, 30);
}

TEST_F(EngineDispatchTest, MeasureFollowsTheTypeWhenItBecomesSlow) {
  teach(Micros(10));
  submit_to("q", "t", 1, 100);
  settle();
  const SessionId w = lone_worker(1, 4'096);
  ASSERT_THAT(dispatched, SizeIs(100));
  std::uint64_t sequence = 0;
  finish_all(w, sequence, dispatched, Micros(500'000));
  settle();
  submit_to("q", "t", 1'001, 100);
  EXPECT_THAT(commit().dispatches, SizeIs(1));
}

TEST_F(EngineDispatchTest, LeasesThatEndMakeRoomInTheSameTurn) {
  submit_to("q", "t", 1, 2);
  settle();
  const SessionId w = lone_worker();
  EXPECT_THAT(ids(report(w, 1, {success(dispatched.at(0))}).dispatches), ElementsAre(job_id(2)));
}

// ---- payloads

class EnginePayloadTest : public EngineDispatchTest {
 protected:
  Effects loaded(std::uint64_t n, bool found = true) {
    PayloadLoaded answer{job_id(n), found,
                         found ? Bytes::copy_of(std::string_view("payload")) : Bytes{}};
    return turn(PayloadsLoaded{std::span(&answer, 1)});
  }
};

TEST_F(EnginePayloadTest, PayloadsBeyondTheBudgetStayInTheStore) {
  config.payload_budget = 14;
  submit_to("q", "t", 1, 5);
  EXPECT_EQ(engine().counts().resident_bytes, 35U) << "not stored yet";
  settle();
  EXPECT_EQ(engine().counts().resident_bytes, 14U);
}

TEST_F(EnginePayloadTest, PayloadIsFetchedBeforeItsJobIsDispatched) {
  config.payload_budget = 0;
  submit_to("q", "t", 1, 2);
  settle();
  ASSERT_EQ(engine().counts().resident_bytes, 0U);
  const SessionId w = open(Role::kWorker);
  Effects out = ready(w, room(2, 2));
  EXPECT_THAT(out.dispatches, IsEmpty());
  ASSERT_THAT(out.payload_reads, SizeIs(1));
  EXPECT_THAT(out.payload_reads[0].ids, ElementsAre(job_id(1), job_id(2)));
  EXPECT_THAT(end_turn().payload_reads, IsEmpty()) << "asked once";
  std::vector<PayloadLoaded> answers;
  for (const JobId& id : out.payload_reads[0].ids) {
    answers.push_back({id, true, Bytes::copy_of(std::string_view("payload"))});
  }
  out = turn(PayloadsLoaded{answers});
  ASSERT_THAT(out.dispatches, SizeIs(2));
  EXPECT_EQ(out.dispatches[0].payload.view(), "payload");
  EXPECT_EQ(engine().counts().resident_bytes, 14U);
  report(w, 1, {success(out.dispatches[0]), success(out.dispatches[1])});
  EXPECT_EQ(engine().counts().resident_bytes, 0U);
}

TEST_F(EnginePayloadTest, EmptyPayloadIsNeverFetched) {
  config.payload_budget = 0;
  p = producer();
  Submission empty = job(1);
  empty.payload = {};
  submit(p, empty);
  settle();
  lone_worker();
  ASSERT_THAT(dispatched, SizeIs(1));
  EXPECT_EQ(dispatched[0].payload.size(), 0U);
}

TEST_F(EnginePayloadTest, JobWhosePayloadIsGoneIsDeadAndTheOthersGoOn) {
  config.payload_budget = 0;
  submit_to("q", "t", 1, 1);
  settle();
  const SessionId w = open(Role::kWorker);
  ready(w, room(2, 2));
  submit_to("q", "t", 2, 1);
  settle();
  Effects out = loaded(1, false);
  EXPECT_THAT(out.logs, SizeIs(1));
  EXPECT_EQ(state(1), State::kDead);
  EXPECT_THAT(out.payload_reads, SizeIs(1)) << "for the second job";
  stage();
  EXPECT_EQ(written(1)->job.reason, DeadReason::kRejected);
  EXPECT_EQ(written(1)->attempts.at(0).error_type, "jobwire.PayloadMissing");
  committed();
  EXPECT_THAT(ids(loaded(2).dispatches), ElementsAre(job_id(2)));
}

TEST_F(EnginePayloadTest, LaneGoesOnWhenTheJobsThatItWaitedForAreGone) {
  config.payload_budget = 0;
  submit_to("q", "t", 1, 1);
  settle();
  lone_worker();
  ASSERT_THAT(dispatched, IsEmpty());
  cancel(p, {job_id(1)});
  settle();
  submit_to("q", "t", 2, 1);
  settle();
  const Effects out = loaded(1);
  ASSERT_THAT(out.payload_reads, SizeIs(1)) << "the lane waits for ever";
  EXPECT_THAT(ids(loaded(2).dispatches), ElementsAre(job_id(2)));
}

TEST_F(EnginePayloadTest, AnswerForAJobThatNobodyAskedForIsIgnored) {
  config.payload_budget = 0;
  submit_to("q", "t", 1, 1);
  settle();
  EXPECT_EQ(count_all(loaded(1)), 0U);
  EXPECT_EQ(count_all(loaded(9)), 0U);
  EXPECT_EQ(engine().counts().resident_bytes, 0U);
}

TEST_F(EnginePayloadTest, OneLanesFetchDoesNotHoldUpAnother) {
  config.payload_budget = 7;
  submit_to("q", "a", 1, 1);
  settle();
  submit_to("q", "b", 2, 1);
  settle();
  ASSERT_EQ(engine().counts().resident_bytes, 7U);
  cancel(p, {job_id(1)});
  settle();
  submit_to("q", "a", 3, 1);
  settle();
  ASSERT_EQ(engine().counts().resident_bytes, 7U);
  Serves serves = room(1, 1);
  serves.types = {"a", "b"};
  const SessionId w = open(Role::kWorker);
  const Effects out = ready(w, serves);
  EXPECT_THAT(out.payload_reads, SizeIs(1));
  EXPECT_THAT(ids(out.dispatches), ElementsAre(job_id(3)));
}

TEST_F(EnginePayloadTest, OneFetchIsBoundedInJobsAndBytes) {
  config.payload_budget = 0;
  p = producer();
  const std::string large(1 << 20, 'x');
  std::vector<Submission> jobs;
  for (std::uint64_t n = 1; n <= 30; ++n) {
    jobs.push_back(job(n));
    jobs.back().payload = bytes_of(large);
  }
  submit(p, jobs);
  settle();
  submit_to("small", "t", 1'000, 1'000);
  settle();
  Serves serves = room(64, 64);
  serves.queues = {"q", "small"};
  const SessionId w = open(Role::kWorker);
  const Effects out = ready(w, serves);
  ASSERT_THAT(out.payload_reads, SizeIs(2));
  EXPECT_EQ(out.payload_reads[0].ids.size(), 16U);
  EXPECT_EQ(out.payload_reads[1].ids.size(), 256U);
}

TEST_F(EnginePayloadTest, RetryThatWaitsKeepsNoPayloadBeyondTheBudget) {
  config.payload_budget = 0;
  p = producer();
  Submission submission = job(1);
  options_of(submission).has_retry = true;
  options_of(submission).retry = retries(4, Millis(1'000));
  submit(p, submission);
  settle();
  const SessionId w = lone_worker();
  const Effects out = loaded(1);
  report(w, 1, {failure(out.dispatches.at(0))});
  settle();
  ASSERT_EQ(state(1), State::kScheduled);
  EXPECT_EQ(engine().counts().resident_bytes, 0U);
  EXPECT_THAT(advance(Millis(1'000)).payload_reads, SizeIs(1));
  EXPECT_EQ(loaded(1).dispatches.at(0).payload.view(), "payload");
}

TEST_F(EnginePayloadTest, RetryWithinTheBudgetKeepsItsPayload) {
  p = producer();
  Submission submission = job(1);
  options_of(submission).has_retry = true;
  options_of(submission).retry = retries(4, Millis(1'000));
  submit(p, submission);
  const SessionId w = lone_worker();
  const Effects out = commit();
  report(w, 1, {failure(out.dispatches.at(0))});
  settle();
  EXPECT_EQ(engine().counts().resident_bytes, 7U);
  EXPECT_THAT(advance(Millis(1'000)).dispatches, SizeIs(1));
}

TEST_F(EnginePayloadTest, EndsGiveTheBudgetBack) {
  submit_to("q", "t", 1, 3);
  settle();
  const SessionId w = lone_worker();
  cancel(p, {job_id(2)});
  report(w, 1, {success(dispatched.at(0))});
  EXPECT_EQ(engine().counts().resident_bytes, 7U) << "the third's";
}

}  // namespace
}  // namespace jobwire::core
