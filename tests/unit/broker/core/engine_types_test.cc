// SPDX-License-Identifier: Apache-2.0
#include "engine_driver.h"

namespace jobwire::core {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class TypeDefaultsTest : public EngineTest {
 protected:
  Effects ready_with(SessionId session, std::vector<TypeOffer> types) {
    const std::vector<std::string_view> queues{"q"};
    WorkerReady event;
    event.session = session;
    event.queues = queues;
    event.types = types;
    event.slots = event.credit = 1;
    return turn(event);
  }

  static TypeOffer offer(std::uint64_t timeout_ms, std::optional<RetryPolicy> retry = {}) {
    TypeOffer offer;
    offer.name = "t";
    offer.timeout_ms = timeout_ms;
    if (retry) offer.retry = std::make_shared<const RetryPolicy>(*retry);
    return offer;
  }

  /// A worker whose type has these defaults; it gets job 1.
  DispatchOut run(const TypeOffer& type, const Submission& submission) {
    const SessionId who = producer();
    submit(who, submission);
    settle();
    worker = open(Role::kWorker);
    const Effects out = ready_with(worker, {type});
    settle();
    EXPECT_THAT(out.dispatches, SizeIs(1));
    return out.dispatches.at(0);
  }

  SessionId worker{};
};

TEST_F(TypeDefaultsTest, AJobWithoutATimeoutTakesItsTypesAtTheGrant) {
  EXPECT_EQ(run(offer(1'234), job(1)).timeout, Millis(1'234));
}

TEST_F(TypeDefaultsTest, AJobsOwnTimeoutWins) {
  Submission own = job(1);
  own.timeout_ms = 77;
  EXPECT_EQ(run(offer(1'234), own).timeout, Millis(77));
}

TEST_F(TypeDefaultsTest, TheBrokersTimeoutIsLast) {
  EXPECT_EQ(run(offer(0), job(1)).timeout, config.default_timeout);
}

TEST_F(TypeDefaultsTest, ARunKeepsTheTimeoutThatItsWorkerWasTold) {
  const DispatchOut dispatch = run(offer(1'000), job(1));
  const SessionId other = open(Role::kWorker);
  ready_with(other, {offer(3'600'000)});
  for (int i = 0; i < 20; ++i) advance(Millis(500));
  EXPECT_EQ(state(1), State::kScheduled) << "its time was up after 1 s and the grace";
  (void)dispatch;
}

TEST_F(TypeDefaultsTest, AJobWithoutAPolicyIsRetriedByItsTypes) {
  const DispatchOut dispatch = run(offer(0, retries(1)), job(1));
  report(worker, 1, {failure(dispatch)});
  EXPECT_EQ(state(1), State::kDead);
}

TEST_F(TypeDefaultsTest, WhatAPolicyLeavesOutIsItsTypesAndThenTheBrokers) {
  RetryPolicy of_type = retries(0);
  of_type.crashes = 1;
  Submission own = job(1);
  options_of(own).has_retry = true;
  options_of(own).retry = retries(2);  // says nothing of crashes
  run(offer(0, of_type), own);
  turn(SessionClosed{worker, false});  // the worker dies with it
  EXPECT_EQ(state(1), State::kDead) << "one crash is what the type allows";
}

TEST_F(TypeDefaultsTest, TheLatestReadyWinsAndSayingNothingTakesBack) {
  run(offer(1'000), job(1));
  stored_jobs(producer(), 2, 1);
  const SessionId silent = open(Role::kWorker);
  const Effects out = ready_with(silent, {offer(0)});
  ASSERT_THAT(out.dispatches, SizeIs(1));
  EXPECT_EQ(out.dispatches[0].timeout, config.default_timeout);
}

TEST_F(TypeDefaultsTest, WhatIsDeclaredIsWrittenOnceAndAgainWhenItChanges) {
  const SessionId first = open(Role::kWorker);
  ready_with(first, {offer(1'000, retries(3))});
  stage();
  ASSERT_THAT(last_batch.types, SizeIs(1));
  EXPECT_EQ(last_batch.types[0].type, "t");
  EXPECT_EQ(last_batch.types[0].timeout, Millis(1'000));
  ASSERT_TRUE(last_batch.types[0].retry);
  EXPECT_EQ(*last_batch.types[0].retry, retries(3));
  rejected(Code::kStoreFull);
  advance(Millis(200));
  stage();
  EXPECT_THAT(last_batch.types, SizeIs(1)) << "the store did not take it";
  committed();
  ready_with(open(Role::kWorker), {offer(1'000, retries(3))});
  EXPECT_FALSE(engine().has_batch(now)) << "nothing new";
  ready_with(open(Role::kWorker), {offer(1'000, retries(4))});
  EXPECT_TRUE(engine().has_batch(now));
}

TEST_F(TypeDefaultsTest, ATypeThatWasDeclaredBeforeTheRestartHoldsBeforeAnybodySaysReady) {
  engine().restore_type({"t", Millis(1'234), std::make_shared<const RetryPolicy>(retries(1))});
  engine().finish_recovery(now);
  stored_jobs(producer(), 1, 1);
  const SessionId host = agent(host_id(1));
  // A worker that greeted the broker before is reported dead.
  (void)host;
  const SessionId w = open(Role::kWorker);
  // Its Ready says the same: nothing is written.
  const Effects out = ready_with(w, {offer(1'234, retries(1))});
  ASSERT_THAT(out.dispatches, SizeIs(1));
  EXPECT_EQ(out.dispatches[0].timeout, Millis(1'234));
  stage();
  EXPECT_THAT(last_batch.types, IsEmpty());
}

TEST_F(TypeDefaultsTest, DefaultsOutOfRangeAreRefusedAndChangeNothing) {
  const SessionId w = open(Role::kWorker);
  RetryPolicy many = retries(101);
  for (const TypeOffer& bad : {offer(8ULL * 24 * 3'600'000), offer(0, many)}) {
    const Effects out = refused([&] { return ready_with(w, {bad}); });
    ASSERT_THAT(out.refusals, SizeIs(1));
    EXPECT_EQ(out.refusals[0].code, Code::kInvalidArgument);
  }
}

}  // namespace
}  // namespace jobwire::core
