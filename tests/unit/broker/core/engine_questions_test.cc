// SPDX-License-Identifier: Apache-2.0
// Results that are asked for, waited for and pushed.
#include "core/engine.h"
#include "engine_driver.h"

namespace jobwire::core {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class EngineQuestionsTest : public EngineTest {};

TEST_F(EngineQuestionsTest, QuestionWithoutASessionIsRefusedWithItsRequest) {
  const Effects out = refused([&] { return ask(SessionId{99}, {job_id(1)}, true, 42); });
  EXPECT_EQ(out.refusals.at(0).code, Code::kHelloFirst);
  EXPECT_EQ(out.refusals.at(0).request, 42U);
}

TEST_F(EngineQuestionsTest, WaitingRunningFinalUnknownAndGoneAreToldApart) {
  const SessionId p = producer();
  stored_jobs(p, 1, 3);
  const SessionId w = lone_worker();
  const Effects next = report(w, 1, {success(dispatched.at(0))});
  settle();
  ASSERT_EQ(state(2), State::kRunning);
  const JobId unknown = job_id(50, now.wall);
  const JobId gone = job_id(51, now.wall - config.keep_finished - Millis(1));
  const Effects out = ask(p, {job_id(3), job_id(2), job_id(1), unknown, gone});
  ASSERT_THAT(out.results, SizeIs(4));
  EXPECT_EQ(out.results[0].known, Known::kWaiting);
  EXPECT_EQ(out.results[0].state, State::kQueued);
  EXPECT_EQ(out.results[0].session, p);
  EXPECT_EQ(out.results[0].request, 7U);
  EXPECT_FALSE(out.results[0].pushed);
  EXPECT_EQ(out.results[1].known, Known::kRunning);
  EXPECT_EQ(out.results[1].state, State::kRunning);
  EXPECT_EQ(out.results[2].id, unknown);
  EXPECT_EQ(out.results[2].known, Known::kUnknown);
  EXPECT_EQ(out.results[2].state, State::kNone);
  EXPECT_EQ(out.results[3].id, gone);
  EXPECT_EQ(out.results[3].known, Known::kGone);
  // What has ended is read from the store.
  ASSERT_THAT(out.result_reads, SizeIs(1));
  EXPECT_EQ(out.result_reads[0].id, job_id(1));
  EXPECT_EQ(out.result_reads[0].session, p);
  EXPECT_EQ(out.result_reads[0].request, 7U);
}

TEST_F(EngineQuestionsTest, QuestionsChangeNothing) {
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  refused([&] { return ask(p, {job_id(1)}, true); });
  refused([&] { return ask(p, {job_id(9)}, true); });
}

TEST_F(EngineQuestionsTest, EndThatIsNotStoredIsNotShown) {
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  const SessionId w = lone_worker();
  report(w, 1, {success(dispatched.at(0))});
  const Effects out = ask(p, {job_id(1)});
  EXPECT_EQ(out.results.at(0).known, Known::kRunning);
  EXPECT_FALSE(out.results.at(0).result);
}

TEST_F(EngineQuestionsTest, WatchedJobsResultIsPushedOnceAfterItsCommit) {
  const SessionId p = producer();
  Submission watched = job(1);
  watched.watch = true;
  submit(p, watched);
  settle();
  const SessionId w = lone_worker();
  advance(Millis(20));
  EXPECT_THAT(report(w, 1, {success(dispatched.at(0), "answer", Micros(1'500))}).results,
              IsEmpty());
  const Effects out = commit();
  ASSERT_THAT(out.results, SizeIs(1));
  const ResultOut& result = out.results[0];
  EXPECT_EQ(result.session, p);
  EXPECT_EQ(result.request, 0U);
  EXPECT_TRUE(result.pushed);
  EXPECT_EQ(result.id, job_id(1));
  EXPECT_EQ(result.known, Known::kFinal);
  EXPECT_EQ(result.state, State::kSucceeded);
  EXPECT_EQ(result.encoding, Encoding::kUtf8);
  EXPECT_EQ(result.result.view(), "answer");
  EXPECT_EQ(result.attempts, 1U);
  EXPECT_EQ(result.created, kStart);
  EXPECT_EQ(result.started, kStart);
  EXPECT_EQ(result.finished, kStart + Millis(20));
  EXPECT_EQ(result.run, Micros(1'500));
  EXPECT_THAT(commit_rest().results, IsEmpty());
}

TEST_F(EngineQuestionsTest, EverySessionThatWaitsGetsTheResult) {
  const SessionId a = producer();
  const SessionId b = producer();
  const SessionId c = producer();
  Submission watched = job(1);
  watched.watch = true;
  submit(a, watched);
  settle();
  ask(b, {job_id(1)}, true);
  ask(b, {job_id(1)}, true);
  ask(c, {job_id(1)}, false);
  const SessionId w = lone_worker();
  report(w, 1, {success(dispatched.at(0))});
  const Effects out = commit();
  ASSERT_THAT(out.results, SizeIs(2));
  EXPECT_EQ(out.results[0].session, a);
  EXPECT_EQ(out.results[1].session, b);
}

TEST_F(EngineQuestionsTest, SessionThatEndedGetsNoPush) {
  const SessionId a = producer();
  Submission watched = job(1);
  watched.watch = true;
  submit(a, watched);
  settle();
  turn(SessionClosed{a, false});
  const SessionId b = producer();
  ask(b, {job_id(1)}, true);
  const SessionId w = lone_worker();
  report(w, 1, {success(dispatched.at(0))});
  const Effects out = commit();
  ASSERT_THAT(out.results, SizeIs(1));
  EXPECT_EQ(out.results[0].session, b);
}

TEST_F(EngineQuestionsTest, WaiterForAJobThatTheStoreRefusesIsToldThatItIsUnknown) {
  const SessionId a = producer();
  const SessionId b = producer();
  submit(a, job(1));
  ask(b, {job_id(1)}, true);
  stage();
  const Effects out = rejected(Code::kStoreFull);
  EXPECT_THAT(out.receipts, SizeIs(1));
  ASSERT_THAT(out.results, SizeIs(1));
  EXPECT_EQ(out.results[0].session, b);
  EXPECT_EQ(out.results[0].id, job_id(1));
  EXPECT_EQ(out.results[0].known, Known::kUnknown);
  EXPECT_TRUE(out.results[0].pushed);
}

TEST_F(EngineQuestionsTest, ResubmitWithWatchOfAFinishedJobReadsItsResult) {
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  const SessionId w = lone_worker();
  report(w, 1, {success(dispatched.at(0))});
  settle();
  Submission again = job(1);
  again.watch = true;
  const Effects out = submit(p, again);
  EXPECT_THAT(out.receipts, SizeIs(1));
  ASSERT_THAT(out.result_reads, SizeIs(1));
  EXPECT_EQ(out.result_reads[0].request, 0U);
}

TEST_F(EngineQuestionsTest, FailedAttemptsErrorIsShownWhileTheJobWaits) {
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  const SessionId w = lone_worker();
  report(w, 1, {failure(dispatched.at(0))});
  settle();
  const Effects out = ask(p, {job_id(1)});
  EXPECT_EQ(out.results.at(0).known, Known::kWaiting);
  EXPECT_EQ(out.results.at(0).state, State::kScheduled);
  EXPECT_FALSE(out.results.at(0).error) << "of a job that waits its words are told";
  ASSERT_TRUE(out.results.at(0).error_text);
  EXPECT_EQ(out.results.at(0).error_text->type, "builtins.ValueError");
  EXPECT_EQ(out.results.at(0).error_text->message, "it broke");
}

}  // namespace
}  // namespace jobwire::core
