// SPDX-License-Identifier: Apache-2.0
// What an attempt saves for the next one.
#include "engine_driver.h"

namespace jobwire::core {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class CheckpointTest : public EngineTest {
 protected:
  void SetUp() override {
    who = producer();
    worker = lone_worker();
  }

  DispatchOut run(std::uint64_t n) {
    Submission submission = job(n);
    options_of(submission).has_retry = true;
    options_of(submission).retry = retries(5);
    submit(who, submission);
    const Effects out = commit();
    EXPECT_THAT(out.dispatches, SizeIs(1));
    return out.dispatches.at(0);
  }

  DispatchOut next_attempt(const DispatchOut& lease) {
    report(worker, ++sequence, {failure(lease)});
    settle();
    const Effects out = advance(Millis(10));
    EXPECT_THAT(out.dispatches, SizeIs(1));
    return out.dispatches.at(0);
  }

  SessionId who{};
  SessionId worker{};
  std::uint64_t sequence = 0;
};

TEST_F(CheckpointTest, IsAcknowledgedOnceItIsStoredAndNotBefore) {
  const DispatchOut first = run(1);
  EXPECT_EQ(count_all(saves(worker, first.token, 1, "page 3")), 0U);
  stage();
  ASSERT_THAT(last_batch.checkpoints, SizeIs(1));
  EXPECT_EQ(last_batch.checkpoints[0].id, job_id(1));
  EXPECT_EQ(last_batch.checkpoints[0].checkpoint.bytes.view(), "page 3");
  EXPECT_EQ(last_batch.checkpoints[0].checkpoint.encoding, Encoding::kUtf8);
  EXPECT_THAT(last_batch.jobs, IsEmpty()) << "the job itself has not changed";
  const Effects out = committed();
  ASSERT_THAT(out.checkpoint_acks, SizeIs(1));
  EXPECT_EQ(out.checkpoint_acks[0].session, worker);
  EXPECT_EQ(out.checkpoint_acks[0].token, first.token);
  EXPECT_EQ(out.checkpoint_acks[0].number, 1U);
  EXPECT_EQ(out.checkpoint_acks[0].code, Code::kNone);
}

TEST_F(CheckpointTest, WhatComesWhileAnotherIsWrittenIsWrittenNextAndOnce) {
  const DispatchOut first = run(1);
  saves(worker, first.token, 1, "page 1");
  stage();
  saves(worker, first.token, 2, "page 2");
  saves(worker, first.token, 3, "page 3");
  EXPECT_EQ(committed().checkpoint_acks.at(0).number, 1U);
  stage();
  ASSERT_THAT(last_batch.checkpoints, SizeIs(1));
  EXPECT_EQ(last_batch.checkpoints[0].checkpoint.bytes.view(), "page 3");
  EXPECT_EQ(committed().checkpoint_acks.at(0).number, 3U);
  EXPECT_FALSE(engine().has_batch(now));
}

TEST_F(CheckpointTest, ABatchThatIsRefusedIsWrittenAgain) {
  const DispatchOut first = run(1);
  saves(worker, first.token, 1, "page 1");
  stage();
  EXPECT_THAT(rejected(Code::kStoreUnavailable).checkpoint_acks, IsEmpty());
  advance(Millis(1'000));
  EXPECT_EQ(commit().checkpoint_acks.at(0).number, 1U);
  EXPECT_EQ(last_batch.checkpoints.at(0).checkpoint.bytes.view(), "page 1");
}

TEST_F(CheckpointTest, TheNextAttemptGetsTheLatestForAsLongAsTheJobLives) {
  const DispatchOut first = run(1);
  EXPECT_FALSE(first.checkpoint);
  saves(worker, first.token, 1, "page 3");
  saves(worker, first.token, 2, "page 4", Encoding::kJson);
  const DispatchOut second = next_attempt(first);
  EXPECT_EQ(second.checkpoint.bytes.view(), "page 4");
  EXPECT_EQ(second.checkpoint.encoding, Encoding::kJson);
  EXPECT_EQ(next_attempt(second).checkpoint.bytes.view(), "page 4");
}

TEST_F(CheckpointTest, AnEmptyOneIsOne) {
  const DispatchOut first = run(1);
  saves(worker, first.token, 1, "");
  EXPECT_TRUE(next_attempt(first).checkpoint);
}

TEST_F(CheckpointTest, IsTakenAwayWithTheEndOfItsJob) {
  const DispatchOut first = run(1);
  saves(worker, first.token, 1, "page 3");
  commit();
  report(worker, ++sequence, {success(first)});
  commit();
  ASSERT_NE(written(1), nullptr);
  ASSERT_THAT(last_batch.checkpoints, SizeIs(1));
  EXPECT_EQ(last_batch.checkpoints[0].id, job_id(1));
  EXPECT_FALSE(last_batch.checkpoints[0].checkpoint);
  EXPECT_EQ(engine().counts().checkpoint_bytes, 0U);
}

TEST_F(CheckpointTest, AReplayBeginsWithoutOne) {
  const DispatchOut first = run(1);
  saves(worker, first.token, 1, "page 3");
  commit();
  report(worker, ++sequence, {failure(first, Outcome::kRejected)});
  commit();
  EXPECT_EQ(state(1), State::kDead);
  ASSERT_THAT(last_batch.checkpoints, SizeIs(1));
  EXPECT_FALSE(last_batch.checkpoints[0].checkpoint);
}

TEST_F(CheckpointTest, OneThatComesWithTheEndIsNeverWrittenAndRefused) {
  const DispatchOut first = run(1);
  Effects out;
  const CheckpointNote note{first.token, 1, Encoding::kUtf8, bytes_of("late")};
  out = apply(CheckpointsReported{worker, std::span(&note, 1)});
  report(worker, ++sequence, {success(first)});
  out = commit();
  EXPECT_THAT(last_batch.checkpoints, IsEmpty());
  ASSERT_THAT(out.checkpoint_acks, SizeIs(1));
  EXPECT_EQ(out.checkpoint_acks[0].code, Code::kStaleLease);
}

TEST_F(CheckpointTest, ALeaseThatIsOverChangesNothing) {
  const DispatchOut first = run(1);
  const DispatchOut second = next_attempt(first);
  const Effects out = refused([&] { return saves(worker, first.token, 1, "late"); });
  EXPECT_EQ(out.checkpoint_acks.at(0).code, Code::kStaleLease);
  EXPECT_EQ(out.checkpoint_acks.at(0).token, first.token);
  EXPECT_FALSE(next_attempt(second).checkpoint);
}

TEST_F(CheckpointTest, AnotherWorkersLeaseIsNotItsOwn) {
  const DispatchOut first = run(1);
  const SessionId other = lone_worker();
  const Effects out = refused([&] { return saves(other, first.token, 1, "mine"); });
  EXPECT_EQ(out.checkpoint_acks.at(0).code, Code::kStaleLease);
  EXPECT_EQ(out.checkpoint_acks.at(0).session, other);
}

TEST_F(CheckpointTest, ASessionThatIsNoWorkersIsRefused) {
  const DispatchOut first = run(1);
  const Effects out = refused([&] { return saves(who, first.token, 1, "mine"); });
  EXPECT_EQ(out.refusals.at(0).code, Code::kUnknownWorker);
}

TEST_F(CheckpointTest, AScarceStoreTakesNone) {
  const DispatchOut first = run(1);
  apply(StoreRoomChanged{true});
  const Effects out = refused([&] { return saves(worker, first.token, 1, "page 3"); });
  EXPECT_EQ(out.checkpoint_acks.at(0).code, Code::kStoreFull);
}

class SmallCheckpointTest : public CheckpointTest {
 protected:
  void SetUp() override {
    config.checkpoint_budget = 10;
    CheckpointTest::SetUp();
  }
};

TEST_F(SmallCheckpointTest, BeyondTheBudgetTheOneBeforeStays) {
  const DispatchOut first = run(1);
  saves(worker, first.token, 1, "12345678");
  commit();
  const Effects out = refused([&] { return saves(worker, first.token, 2, "12345678901"); });
  EXPECT_EQ(out.checkpoint_acks.at(0).code, Code::kQuotaExceeded);
  EXPECT_EQ(out.checkpoint_acks.at(0).number, 2U);
  EXPECT_EQ(next_attempt(first).checkpoint.bytes.view(), "12345678");
}

TEST_F(SmallCheckpointTest, AJobThatEndsMakesRoom) {
  const DispatchOut first = run(1);
  saves(worker, first.token, 1, "12345678");
  report(worker, ++sequence, {success(first)});
  settle();
  const DispatchOut second = run(2);
  saves(worker, second.token, 1, "abcdefgh");
  EXPECT_EQ(next_attempt(second).checkpoint.bytes.view(), "abcdefgh");
}

}  // namespace
}  // namespace jobwire::core
