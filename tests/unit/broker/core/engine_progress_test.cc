// SPDX-License-Identifier: Apache-2.0
#include "engine_driver.h"

namespace jobwire::core {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class ProgressTest : public EngineTest {
 protected:
  /// Job 1 runs at a worker, and its producer watches it.
  void run_one() {
    Submission submission = job(1);
    submission.watch = true;
    who = producer();
    submit(who, submission);
    settle();
    worker = lone_worker(2, 2);
    ASSERT_THAT(dispatched, SizeIs(1));
    run = dispatched.front();
    settle();
  }

  static std::string told(const Effects& out) {
    std::string text;
    for (const ProgressOut& word : out.progress) {
      text += std::to_string(static_cast<int>(word.progress.value)) + ":" +
              std::string(word.progress.message.view()) + " ";
    }
    return text;
  }

  SessionId who{};
  SessionId worker{};
  DispatchOut run;
};

TEST_F(ProgressTest, TheFirstWordIsToldAtOnceToWhoeverWatches) {
  run_one();
  const Effects out = says(worker, run.token, 3, "page 3");
  ASSERT_THAT(out.progress, SizeIs(1));
  EXPECT_EQ(out.progress[0].session, who);
  EXPECT_EQ(out.progress[0].id, job_id(1));
  EXPECT_EQ(out.progress[0].progress.at, now.wall);
  EXPECT_EQ(told(out), "3:page 3 ");
}

TEST_F(ProgressTest, AFloodIsToldFourTimesASecondAndItsLastWordIsNotLost) {
  run_one();
  std::size_t times = 0;
  std::string last;
  for (int i = 1; i <= 1'000; ++i) {
    Effects out = says(worker, run.token, static_cast<float>(i), "many");
    for (const Effects& effects : {out, advance(Millis(1))}) {
      times += effects.progress.size();
      if (!effects.progress.empty()) last = told(effects);
    }
  }
  EXPECT_LE(times, 5U);
  EXPECT_GE(times, 4U);
  const Effects rest = advance(Millis(300));
  if (!rest.progress.empty()) last = told(rest);
  EXPECT_EQ(last, "1000:many ");
  EXPECT_THAT(advance(Millis(2'000)).progress, IsEmpty()) << "nothing new is not told again";
}

TEST_F(ProgressTest, AFloodIsWrittenOnceASecond) {
  run_one();
  advance(Millis(500));
  settle();  // the running mark
  std::size_t writes = 0;
  for (int i = 1; i <= 3'500; ++i) {
    says(worker, run.token, static_cast<float>(i));
    advance(Millis(1));
    if (!engine().has_batch(now)) continue;
    stage();
    writes += last_batch.progress.size();
    committed();
  }
  EXPECT_EQ(writes, 3U);
  advance(Millis(1'100));
  stage();
  ASSERT_THAT(last_batch.progress, SizeIs(1));
  EXPECT_THAT(last_batch.jobs, IsEmpty());
  EXPECT_EQ(last_batch.progress[0].id, job_id(1));
  EXPECT_EQ(last_batch.progress[0].progress.value, 3'500);
  committed();
  advance(Millis(5'000));
  EXPECT_FALSE(engine().has_batch(now)) << "what is written is not written again";
}

TEST_F(ProgressTest, AWordIsWrittenTogetherWithItsJobsEnd) {
  run_one();
  says(worker, run.token, 99, "nearly");
  report(worker, 1, {failure(run, Outcome::kRejected)});
  stage();
  EXPECT_THAT(last_batch.jobs, SizeIs(1));
  ASSERT_THAT(last_batch.progress, SizeIs(1));
  EXPECT_EQ(last_batch.progress[0].progress.message.view(), "nearly");
  committed();
  advance(Millis(5'000));
  EXPECT_FALSE(engine().has_batch(now));
}

TEST_F(ProgressTest, AWordThatTheStoreRefusedIsWrittenLater) {
  run_one();
  says(worker, run.token, 5);
  advance(Millis(1'000));
  stage();
  ASSERT_THAT(last_batch.progress, SizeIs(1));
  rejected(Code::kStoreFull);
  advance(Millis(1'300));
  stage();
  ASSERT_THAT(last_batch.progress, SizeIs(1));
  EXPECT_EQ(last_batch.progress[0].progress.value, 5);
}

TEST_F(ProgressTest, AnAnswerAboutARunningJobBringsItsLatestWord) {
  run_one();
  says(worker, run.token, 1);
  says(worker, run.token, 2, "two");
  const SessionId other = producer();
  const Effects out = ask(other, {job_id(1)}, true);
  ASSERT_THAT(out.results, SizeIs(1));
  ASSERT_THAT(out.progress, SizeIs(1));
  EXPECT_EQ(out.progress[0].session, other);
  EXPECT_EQ(told(out), "2:two ");
  // And from now on it is told like the first.
  EXPECT_THAT(advance(Millis(250)).progress, SizeIs(2));
}

TEST_F(ProgressTest, AJobThatHasSaidNothingIsAnsweredWithoutAWord) {
  run_one();
  EXPECT_THAT(ask(who, {job_id(1)}).progress, IsEmpty());
}

TEST_F(ProgressTest, TheWordOfALeaseThatIsOverChangesNothing) {
  run_one();
  report(worker, 1, {failure(run)});
  settle();
  advance(Millis(1'000));
  settle();
  const SessionId second = lone_worker(1, 1);
  ASSERT_TRUE(state(1) == State::kRunning);
  const Effects late = says(worker, run.token, 50, "late");
  EXPECT_THAT(late.progress, IsEmpty());
  EXPECT_THAT(ask(who, {job_id(1)}).progress, IsEmpty());
  advance(Millis(2'000));
  while (engine().has_batch(now)) {
    stage();
    EXPECT_THAT(last_batch.progress, IsEmpty());
    committed();
  }
  (void)second;
}

TEST_F(ProgressTest, TheWordOfAnothersLeaseChangesNothing) {
  run_one();
  const SessionId other = lone_worker(1, 1);
  EXPECT_THAT(says(other, run.token, 50).progress, IsEmpty());
  EXPECT_THAT(ask(who, {job_id(1)}).progress, IsEmpty());
}

TEST_F(ProgressTest, AnAgentSpeaksForItsWorkersAndForNoOthers) {
  who = producer();
  stored_jobs(who, 1, 1);
  const SessionId mine = agent(host_id(1));
  const SessionId others = agent(host_id(2));
  hosted_worker(host_id(1), 1);
  ASSERT_THAT(dispatched, SizeIs(1));
  run = dispatched.front();
  says(others, run.token, 1);
  EXPECT_THAT(ask(who, {job_id(1)}).progress, IsEmpty());
  says(mine, run.token, 2, "by its agent");
  EXPECT_EQ(told(ask(who, {job_id(1)})), "2:by its agent ");
}

TEST_F(ProgressTest, WithTheJobsEndItsWordIsForgottenAndNeverToldAfterIt) {
  run_one();
  says(worker, run.token, 1);
  says(worker, run.token, 2);  // waits for its turn
  report(worker, 1, {success(run)});
  EXPECT_THAT(advance(Millis(300)).progress, IsEmpty());
  const Effects end = commit_rest();
  EXPECT_THAT(end.results, SizeIs(1));
  EXPECT_THAT(end.progress, IsEmpty());
  EXPECT_THAT(advance(Millis(300)).progress, IsEmpty());
}

TEST_F(ProgressTest, AWorkerThatIsNotKnownIsRefused) {
  run_one();
  const Effects out = refused([&] { return says(who, run.token, 1); });
  ASSERT_THAT(out.refusals, SizeIs(1));
  EXPECT_EQ(out.refusals[0].code, Code::kUnknownWorker);
}

TEST_F(ProgressTest, AStaleNoteForAJobThatHasGoneIsNotWritten) {
  config.keep_finished = Millis(10);
  run_one();
  report(worker, 1, {success(run)});
  settle();
  advance(Millis(20));
  stage();  // its removal is on its way
  ASSERT_THAT(last_batch.removals, SizeIs(1));
  report(worker, 2, {success(run)});
  committed();
  while (engine().has_batch(now)) {
    stage();
    EXPECT_THAT(last_batch.stale_notes, IsEmpty());
    committed();
  }
}

}  // namespace
}  // namespace jobwire::core
