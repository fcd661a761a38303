// SPDX-License-Identifier: Apache-2.0
// Dead jobs of an export, taken in again.
#include "engine_driver.h"

namespace jobwire::core {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class EngineImportTest : public EngineTest {
 protected:
  ImportedJob imported() const {
    ImportedJob dead;
    dead.created = now.wall - Millis(10'000);
    dead.died = now.wall - Millis(5'000);
    dead.reason = DeadReason::kRaised;
    dead.attempts = dead.raised = 4;
    dead.generation = 2;
    Attempt last;
    last.number = 4;
    last.generation = 2;
    last.outcome = Outcome::kRaised;
    last.error_type = "builtins.ValueError";
    last.error_message = "it broke";
    dead.attempt_list.push_back(last);
    return dead;
  }
  Effects import(SessionId session, const Submission& job, ImportedJob dead) {
    DeadImported event;
    event.session = session;
    event.by = "ada";
    event.jobs = std::span(&job, 1);
    event.imports = std::span(&dead, 1);
    Effects out = turn(event);
    out.logs.clear();
    return out;
  }
};

TEST_F(EngineImportTest, AnImportedJobIsDeadAsItWas) {
  const SessionId o = op();
  EXPECT_EQ(count_all(import(o, job(1), imported())), 0U) << "no receipt before the commit";
  stage();
  const JobWrite* write = written(1);
  ASSERT_NE(write, nullptr);
  EXPECT_EQ(write->stored, State::kNone);
  EXPECT_EQ(write->job.state, State::kDead);
  EXPECT_EQ(write->job.reason, DeadReason::kRaised);
  EXPECT_EQ(write->job.finished, now.wall - Millis(5'000));
  EXPECT_EQ(write->job.created, now.wall - Millis(10'000));
  EXPECT_EQ(write->job.attempts, 4);
  EXPECT_EQ(write->job.raised, 4);
  EXPECT_EQ(write->job.generation, 2U);
  EXPECT_EQ(write->job.payload.view(), "payload");
  EXPECT_FALSE(write->drop_payload);
  ASSERT_THAT(write->attempts, SizeIs(1));
  EXPECT_EQ(write->attempts[0].generation, 2U);
  const Effects out = committed();
  ASSERT_THAT(out.receipts, SizeIs(1));
  EXPECT_EQ(out.receipts[0].session, o);
  EXPECT_EQ(out.receipts[0].code, Code::kNone);
  EXPECT_FALSE(out.receipts[0].duplicate);
  EXPECT_EQ(out.receipts[0].state, State::kDead);
  EXPECT_EQ(state(1), State::kDead);
  EXPECT_EQ(engine().counts().jobs, 0U);
  EXPECT_EQ(engine().counts().unstored_bytes, 0U);
}

TEST_F(EngineImportTest, TheSameAgainGetsTheSameReceipt) {
  const SessionId o = op();
  import(o, job(1), imported());
  settle();
  const Effects out = refused([&] { return import(o, job(1), imported()); });
  EXPECT_TRUE(out.receipts.at(0).duplicate);
  EXPECT_EQ(out.receipts.at(0).state, State::kDead);
  // An id that waits keeps its job.
  stored_jobs(producer(), 2, 1);
  const Effects known = refused([&] { return import(o, job(2), imported()); });
  EXPECT_TRUE(known.receipts.at(0).duplicate);
  EXPECT_EQ(known.receipts.at(0).state, State::kQueued);
}

TEST_F(EngineImportTest, ADrainedQueueTakesImports) {
  const SessionId o = op();
  QueueAsked drain;
  drain.session = o;
  drain.action = QueueAction::kDrain;
  drain.queue = "q";
  drain.by = "ada";
  turn(drain);
  settle();
  import(o, job(1), imported());
  settle();
  EXPECT_EQ(state(1), State::kDead);
}

TEST_F(EngineImportTest, OneThatTheStoreRefusesIsRefusedAndLeavesNothing) {
  const SessionId o = op();
  Submission big = job(1);
  ImportedJob dead = imported();
  dead.attempt_list[0].error = Bytes::copy_of(std::string_view("error buffer"));
  const View before = view();
  import(o, big, dead);
  stage();
  const Effects out = rejected(Code::kStoreFull);
  ASSERT_THAT(out.receipts, SizeIs(1));
  EXPECT_EQ(out.receipts[0].code, Code::kStoreFull);
  EXPECT_EQ(view().counts, before.counts);
  EXPECT_EQ(state(1), std::nullopt);
}

TEST_F(EngineImportTest, AnImportKeepsItsOrigin) {
  ImportedJob dead = imported();
  dead.origin_queue = "first";
  import(op(), job(1), dead);
  stage();
  ASSERT_NE(written(1), nullptr);
  EXPECT_EQ(written(1)->job.origin, "first");
}

TEST_F(EngineImportTest, EveryRefusalNamesItsReasonAndChangesNothing) {
  config.max_queues = 1;
  config.max_queue_bytes = 100;
  config.keep_dead = Millis(60'000);
  const SessionId o = op();
  stored_jobs(producer(), 60, 1);
  struct Case {
    const char* what;
    Code code;
    Submission job;
    ImportedJob dead;
  };
  std::vector<Case> cases;
  const auto add = [&](const char* what, Code code, auto change) {
    Case c{what, code, job(1), imported()};
    change(c);
    cases.push_back(c);
  };
  const std::string large(200, 'x');
  add("no reason", Code::kInvalidArgument, [](Case& c) { c.dead.reason = DeadReason::kNone; });
  add("never died", Code::kInvalidArgument, [](Case& c) { c.dead.died = Wall{}; });
  add("to come", Code::kInvalidArgument, [&](Case& c) { c.dead.died = now.wall + Millis(61'000); });
  add("born late", Code::kInvalidArgument, [&](Case& c) { c.dead.created = now.wall; });
  add("origin", Code::kInvalidName, [](Case& c) { c.dead.origin_queue = "a b"; });
  add("queue's name", Code::kInvalidName, [](Case& c) { c.job.queue = "a b"; });
  add("id", Code::kInvalidArgument, [](Case& c) { c.job.id = JobId{}; });
  add("too old", Code::kGoneJob,
      [&](Case& c) { c.dead.created = c.dead.died = now.wall - Millis(60'000); });
  add("one queue too many", Code::kQuotaExceeded, [](Case& c) { c.job.queue = "r"; });
  add("its origin too", Code::kQuotaExceeded, [](Case& c) { c.dead.origin_queue = "r"; });
  add("full", Code::kQueueFull, [&](Case& c) { c.job.payload = bytes_of(large); });
  add("another's id", Code::kDuplicateMismatch, [](Case& c) {
    c.job.id = job_id(60);
    c.job.type = "u";
  });
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    const Effects out = refused([&] { return import(o, c.job, c.dead); });
    ASSERT_THAT(out.receipts, SizeIs(1));
    EXPECT_EQ(out.receipts[0].code, c.code);
    EXPECT_EQ(out.receipts[0].id, c.job.id);
  }
  turn(ShutdownBegun{});
  EXPECT_EQ(refused([&] { return import(o, job(1), imported()); }).receipts.at(0).code,
            Code::kShuttingDown);
}

}  // namespace
}  // namespace jobwire::core
