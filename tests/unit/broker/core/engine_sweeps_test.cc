// SPDX-License-Identifier: Apache-2.0
// Purge, replay, drop.
#include <deque>

#include "engine_driver.h"

namespace jobwire::core {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class EngineSweepsTest : public EngineTest {
 protected:
  static SweepAsked sweep(SweepAction action) {
    SweepAsked asked;
    asked.request = 6;
    asked.action = action;
    asked.by = "ada";
    if (action == SweepAction::kPurge) asked.filter.queue = "q";
    return asked;
  }
  Effects send(SessionId session, SweepAsked asked) {
    asked.session = session;
    return turn(asked);
  }

  /// The store's record of that dead job, as its last write left it.
  JobRecord dead(std::uint64_t n) {
    JobRecord record;
    record.id = job_id(n);
    record.queue = "q";
    record.type = "t";
    record.state = State::kDead;
    record.encoding = Encoding::kBytes;
    record.payload_size = 7;
    record.timeout = Millis(600'000);
    record.created = kStart;
    record.finished = died_[n];
    record.reason = DeadReason::kRejected;
    record.attempts = record.raised = 1;
    return record;
  }
  /// Jobs first..first+count-1, submitted, rejected and stored as dead.
  void dead_jobs(std::uint64_t first, std::uint64_t count) {
    const SessionId p = producer();
    const SessionId w = lone_worker(64, 64);
    for (std::uint64_t n = first; n < first + count; ++n) {
      submit(p, job(n));
      stage();
      const Effects out = committed();
      ASSERT_THAT(out.dispatches, SizeIs(1));
      died_[n] = now.wall;
      report(w, ++sequence_, {failure(out.dispatches[0], Outcome::kRejected)});
      settle();
      ASSERT_EQ(state(n), State::kDead);
      advance(Millis(10));
    }
    turn(SessionClosed{w, true});
  }
  /// Answers a scan with these records.
  Effects scanned(const DeadScanOut& scan, const std::vector<JobRecord>& records,
                  bool last = true) {
    std::vector<DeadView> views;
    for (const JobRecord& record : records)
      views.push_back({record, "builtins.ValueError", "it broke"});
    DeadScanned event;
    event.sweep = scan.sweep;
    event.jobs = views;
    event.last = last;
    if (!records.empty()) event.end = {records.back().finished, records.back().id};
    return turn(event);
  }
  /// Starts a sweep over the dead, answers its first scan with these, commits; its last report.
  SweepReportOut run(SweepAsked asked, const std::vector<JobRecord>& records) {
    asked.session = op();
    Effects begun = turn(asked);
    EXPECT_EQ(begun.dead_scans.size(), 1U);
    Effects out = scanned(begun.dead_scans.at(0), records);
    for (int i = 0; (out.sweep_reports.empty() || !out.sweep_reports.back().finished) && i < 10;
         ++i)
      out = engine().has_batch(now) ? commit() : end_turn();
    EXPECT_FALSE(out.sweep_reports.empty());
    return out.sweep_reports.empty() ? SweepReportOut{} : out.sweep_reports.back();
  }

  std::map<std::uint64_t, Wall> died_;
  std::uint64_t sequence_ = 0;
};

// ---- purge

TEST_F(EngineSweepsTest, PurgeCancelsWhatWaitsAndTellsWhoWaits) {
  const SessionId p = producer();
  const SessionId o = op();
  stored_jobs(p, 1, 3);
  Submission later = job(4);
  later.delay_ms = 60'000;
  Submission watched = job(5);
  watched.watch = true;
  submit(p, {later, watched});
  settle();
  lone_worker();
  ASSERT_THAT(dispatched, SizeIs(1));
  advance(Millis(1));
  const Effects begun = send(o, sweep(SweepAction::kPurge));
  ASSERT_THAT(begun.sweep_reports, SizeIs(1));
  EXPECT_FALSE(begun.sweep_reports[0].finished);
  EXPECT_EQ(begun.sweep_reports[0].before, now.wall);
  const Effects out = commit();
  ASSERT_THAT(out.sweep_reports, SizeIs(1));
  EXPECT_TRUE(out.sweep_reports[0].finished);
  EXPECT_EQ(out.sweep_reports[0].code, Code::kNone);
  EXPECT_EQ(out.sweep_reports[0].matched, 4U);
  EXPECT_EQ(out.sweep_reports[0].done, 4U);
  EXPECT_EQ(out.sweep_reports[0].failed, 0U);
  ASSERT_THAT(out.results, SizeIs(1));
  EXPECT_EQ(out.results[0].id, job_id(5));
  EXPECT_EQ(out.results[0].state, State::kCancelled);
  EXPECT_EQ(state(1), State::kRunning) << "what runs goes on";
  for (const std::uint64_t n : {2U, 3U, 4U, 5U}) EXPECT_EQ(state(n), State::kCancelled);
}

TEST_F(EngineSweepsTest, PurgeGoesInSlicesOfAQuarterOfABatch) {
  config.max_batch_jobs = 20;
  const SessionId p = producer();
  stored_jobs(p, 1, 95);
  send(op(), sweep(SweepAction::kPurge));
  std::size_t batches = 0;
  Effects out;
  while (out.sweep_reports.empty() || !out.sweep_reports.back().finished) {
    ASSERT_TRUE(engine().has_batch(now));
    EXPECT_LE(stage().jobs.size(), 5U);
    out = committed();
    ASSERT_LT(++batches, 30U);
  }
  EXPECT_GE(batches, 19U);
  EXPECT_EQ(out.sweep_reports.back().done, 95U);
}

TEST_F(EngineSweepsTest, PurgeLeavesRoomInEachBatchForOthers) {
  config.max_batch_jobs = 10;
  const SessionId p = producer();
  stored_jobs(p, 1, 100);
  send(op(), sweep(SweepAction::kPurge));
  commit();
  submit(p, job(200));
  stage();
  EXPECT_NE(written(200), nullptr) << "it goes with the next batch";
}

TEST_F(EngineSweepsTest, PurgeSparesWhatCameAfterIt) {
  config.max_batch_jobs = 10;
  const SessionId p = producer();
  stored_jobs(p, 1, 50);
  send(op(), sweep(SweepAction::kPurge));
  commit();
  // In the same millisecond, into slots that have just come free; and with a clock set back.
  submit(p, {job(101), job(102)});
  now.wall -= Millis(60'000);
  submit(p, {job(103), job(104)});
  settle();
  for (const std::uint64_t n : {101U, 102U, 103U, 104U}) EXPECT_EQ(state(n), State::kQueued) << n;
  for (std::uint64_t n = 1; n <= 50; ++n) EXPECT_EQ(state(n), State::kCancelled) << n;
}

TEST_F(EngineSweepsTest, PurgeTakesWhatFitsItsFilter) {
  const SessionId p = producer();
  Submission other_type = job(2);
  other_type.type = "u";
  Submission other_queue = job(3);
  other_queue.queue = "r";
  submit(p, {job(1), other_type, other_queue});
  settle();
  advance(Millis(1'000));
  submit(p, job(4));
  settle();
  SweepAsked asked = sweep(SweepAction::kPurge);
  asked.filter.type = "t";
  asked.filter.before = now.wall;
  send(op(), asked);
  settle();
  EXPECT_EQ(state(1), State::kCancelled);
  for (const std::uint64_t n : {2U, 3U, 4U}) EXPECT_EQ(state(n), State::kQueued) << n;
}

TEST_F(EngineSweepsTest, PurgeByIdsTakesThese) {
  const SessionId p = producer();
  stored_jobs(p, 1, 4);
  SweepAsked asked = sweep(SweepAction::kPurge);
  asked.filter.ids = {job_id(3), job_id(99), job_id(1)};
  send(op(), asked);
  settle();
  EXPECT_EQ(state(1), State::kCancelled);
  EXPECT_EQ(state(3), State::kCancelled);
  EXPECT_EQ(state(2), State::kQueued);
}

TEST_F(EngineSweepsTest, PurgeTakesAtMostItsLimit) {
  const SessionId p = producer();
  stored_jobs(p, 1, 9);
  SweepAsked asked = sweep(SweepAction::kPurge);
  asked.limit = 4;
  send(op(), asked);
  const Effects out = commit();
  EXPECT_EQ(out.sweep_reports.back().done, 4U);
  EXPECT_TRUE(out.sweep_reports.back().finished);
}

TEST_F(EngineSweepsTest, PurgeKeepsItsRate) {
  const SessionId p = producer();
  stored_jobs(p, 1, 100);
  SweepAsked asked = sweep(SweepAction::kPurge);
  asked.rate_per_s = 10;
  send(op(), asked);
  for (int second = 0; second < 5; ++second) {
    for (int step = 0; step < 10; ++step) {
      advance(Millis(100));
      settle();
    }
  }
  std::size_t cancelled = 0;
  for (std::uint64_t n = 1; n <= 100; ++n) cancelled += state(n) == State::kCancelled ? 1 : 0;
  EXPECT_GE(cancelled, 49U);
  EXPECT_LE(cancelled, 51U);
}

TEST_F(EngineSweepsTest, PurgeTakesJobsThatAreNotStoredYet) {
  const SessionId p = producer();
  const SessionId o = op();
  submit(p, job(1));
  stage();
  submit(p, job(2));
  send(o, sweep(SweepAction::kPurge));
  Effects out = committed();
  EXPECT_THAT(out.receipts, SizeIs(1));
  out = commit();
  EXPECT_THAT(out.receipts, SizeIs(1));
  ASSERT_THAT(out.sweep_reports, SizeIs(1));
  EXPECT_EQ(out.sweep_reports[0].done, 2U);
  EXPECT_EQ(state(1), State::kCancelled);
  EXPECT_EQ(state(2), State::kCancelled);
}

TEST_F(EngineSweepsTest, PurgeGoesOnAfterABatchIsRefused) {
  const SessionId p = producer();
  stored_jobs(p, 1, 3);
  submit(p, job(4));
  send(op(), sweep(SweepAction::kPurge));
  stage();
  const Effects refused = rejected(Code::kStoreFull);
  EXPECT_THAT(refused.receipts, SizeIs(1)) << "the new job is turned away";
  advance(Millis(2'000));
  const Effects out = commit();
  ASSERT_FALSE(out.sweep_reports.empty());
  EXPECT_TRUE(out.sweep_reports.back().finished);
  EXPECT_EQ(out.sweep_reports.back().matched, 4U);
  EXPECT_EQ(out.sweep_reports.back().done, 3U);
  EXPECT_EQ(out.sweep_reports.back().failed, 1U);
}

TEST_F(EngineSweepsTest, DryRunCountsAndChangesNothing) {
  const SessionId p = producer();
  const SessionId o = op();
  stored_jobs(p, 1, 5);
  SweepAsked asked = sweep(SweepAction::kPurge);
  asked.dry_run = true;
  const View before = view();
  const Effects out = send(o, asked);
  ASSERT_THAT(out.sweep_reports, SizeIs(2));
  EXPECT_TRUE(out.sweep_reports[1].finished);
  EXPECT_EQ(out.sweep_reports[1].matched, 5U);
  EXPECT_EQ(out.sweep_reports[1].done, 0U);
  EXPECT_TRUE(before == view());
  EXPECT_FALSE(engine().has_batch(now));
}

TEST_F(EngineSweepsTest, ASweepStopsWithItsSession) {
  config.max_batch_jobs = 20;
  const SessionId p = producer();
  const SessionId o = op();
  stored_jobs(p, 1, 60);
  send(o, sweep(SweepAction::kPurge));
  const Effects closed = turn(SessionClosed{o, false});
  EXPECT_THAT(closed.dispatches, IsEmpty());
  settle();
  std::size_t cancelled = 0;
  for (std::uint64_t n = 1; n <= 60; ++n) cancelled += state(n) == State::kCancelled ? 1 : 0;
  EXPECT_EQ(cancelled, 5U) << "the slice at hand";
  // Nothing of it is left behind: another may begin.
  const Effects again = send(op(), sweep(SweepAction::kPurge));
  EXPECT_EQ(again.sweep_reports.at(0).code, Code::kNone);
}

TEST_F(EngineSweepsTest, ShutdownStopsSweepsAndSaysSo) {
  config.max_batch_jobs = 20;
  const SessionId p = producer();
  stored_jobs(p, 1, 60);
  send(op(), sweep(SweepAction::kPurge));
  turn(ShutdownBegun{});
  Effects out;
  while (engine().has_batch(now)) out = commit();
  ASSERT_FALSE(out.sweep_reports.empty());
  EXPECT_TRUE(out.sweep_reports.back().finished);
  EXPECT_EQ(out.sweep_reports.back().code, Code::kShuttingDown);
  EXPECT_EQ(out.sweep_reports.back().done, 5U);
  EXPECT_TRUE(engine().drained());
}

TEST_F(EngineSweepsTest, ReportsComeEverySecond) {
  const SessionId p = producer();
  stored_jobs(p, 1, 100);
  SweepAsked asked = sweep(SweepAction::kPurge);
  asked.rate_per_s = 1;
  send(op(), asked);
  settle();
  EXPECT_THAT(advance(Millis(900)).sweep_reports, IsEmpty());
  const Effects out = advance(Millis(100));
  ASSERT_THAT(out.sweep_reports, SizeIs(1));
  EXPECT_FALSE(out.sweep_reports[0].finished);
}

// ---- replay

TEST_F(EngineSweepsTest, ReplayBeginsAnewWithTheSameId) {
  dead_jobs(1, 1);
  const SessionId o = op();
  const Effects begun = send(o, sweep(SweepAction::kReplay));
  ASSERT_THAT(begun.dead_scans, SizeIs(1));
  EXPECT_EQ(begun.dead_scans[0].queue, "q");
  JobRecord record = dead(1);
  record.expires = kStart - Millis(5);
  scanned(begun.dead_scans[0], {record});
  EXPECT_EQ(state(1), State::kQueued);
  stage();
  const JobWrite* write = written(1);
  ASSERT_NE(write, nullptr);
  EXPECT_EQ(write->stored, State::kDead);
  EXPECT_EQ(write->job.state, State::kQueued);
  EXPECT_EQ(write->job.generation, 1U);
  EXPECT_EQ(write->job.attempts, 0);
  EXPECT_EQ(write->job.raised, 0);
  EXPECT_EQ(write->job.expires, Wall{});
  EXPECT_EQ(write->job.created, kStart);
  EXPECT_EQ(write->stored_queue, "");
  EXPECT_FALSE(write->drop_payload);
  const Effects out = committed();
  ASSERT_THAT(out.sweep_reports, SizeIs(1));
  EXPECT_TRUE(out.sweep_reports[0].finished);
  EXPECT_EQ(out.sweep_reports[0].done, 1U);
  // Its payload is in the store, and is read before it runs.
  const SessionId w = open(Role::kWorker);
  const Effects reads = ready(w, room(1, 1));
  ASSERT_THAT(reads.payload_reads, SizeIs(1));
  const PayloadLoaded loaded{job_id(1), true, Bytes::copy_of(std::string_view("payload"))};
  const Effects run = turn(PayloadsLoaded{std::span(&loaded, 1)});
  ASSERT_THAT(run.dispatches, SizeIs(1));
  EXPECT_EQ(run.dispatches[0].attempt, 1);
  report(w, 1, {success(run.dispatches[0])});
  settle();
  EXPECT_EQ(state(1), State::kSucceeded);
}

TEST_F(EngineSweepsTest, AReplayedJobHasAllItsBudgetsAgain) {
  dead_jobs(1, 1);
  run(sweep(SweepAction::kReplay), {dead(1)});
  const SessionId w = open(Role::kWorker);
  ready(w, room(1, 1));
  const PayloadLoaded loaded{job_id(1), true, Bytes::copy_of(std::string_view("payload"))};
  const Effects out = turn(PayloadsLoaded{std::span(&loaded, 1)});
  report(w, 1, {failure(out.dispatches.at(0))});
  stage();
  const JobWrite* write = written(1);
  ASSERT_NE(write, nullptr);
  EXPECT_EQ(write->job.state, State::kScheduled) << "its first failure of four";
  ASSERT_THAT(write->attempts, SizeIs(1));
  EXPECT_EQ(write->attempts[0].generation, 1U);
  EXPECT_EQ(write->attempts[0].number, 1);
}

TEST_F(EngineSweepsTest, ReplayIntoAnotherQueueRemembersTheOrigin) {
  dead_jobs(1, 1);
  SweepAsked asked = sweep(SweepAction::kReplay);
  asked.to_queue = "again";
  asked.session = op();
  scanned(turn(asked).dead_scans.at(0), {dead(1)});
  stage();
  ASSERT_NE(written(1), nullptr);
  EXPECT_EQ(written(1)->job.queue, "again");
  EXPECT_EQ(written(1)->job.origin, "q");
  EXPECT_EQ(written(1)->stored_queue, "q");
  committed();
  cancel(asked.session, {job_id(1)});
  stage();
  EXPECT_EQ(written(1)->stored_queue, "") << "the store has it there now";
  EXPECT_EQ(written(1)->job.origin, "q");
}

TEST_F(EngineSweepsTest, ReplayGoesBackToTheOriginUnlessItIsTold) {
  dead_jobs(1, 1);
  JobRecord record = dead(1);
  record.origin = "first";
  scanned(send(op(), sweep(SweepAction::kReplay)).dead_scans.at(0), {record});
  stage();
  ASSERT_NE(written(1), nullptr);
  EXPECT_EQ(written(1)->job.queue, "first");
  EXPECT_EQ(written(1)->job.origin, "");
  EXPECT_EQ(written(1)->stored_queue, "q");
}

TEST_F(EngineSweepsTest, AReplayThatTheStoreRefusesIsTriedAgain) {
  dead_jobs(1, 1);
  scanned(send(op(), sweep(SweepAction::kReplay)).dead_scans.at(0), {dead(1)});
  stage();
  EXPECT_THAT(rejected(Code::kStoreFull).sweep_reports, IsEmpty());
  advance(Millis(300));
  const Effects out = commit();
  EXPECT_EQ(out.sweep_reports.at(0).done, 1U);
}

TEST_F(EngineSweepsTest, WhoWaitsForAReplayedJobGetsItsNewEnd) {
  dead_jobs(1, 1);
  run(sweep(SweepAction::kReplay), {dead(1)});
  const SessionId p = producer();
  const Effects asked = ask(p, {job_id(1)}, true);
  EXPECT_EQ(asked.results.at(0).known, Known::kWaiting);
  cancel(p, {job_id(1)});
  const Effects out = commit();
  ASSERT_THAT(out.results, SizeIs(1));
  EXPECT_TRUE(out.results[0].pushed);
  EXPECT_EQ(out.results[0].state, State::kCancelled);
}

TEST_F(EngineSweepsTest, ASubmitThatComesAgainFindsTheReplayedJob) {
  dead_jobs(1, 1);
  scanned(send(op(), sweep(SweepAction::kReplay)).dead_scans.at(0), {dead(1)});
  const Effects out = submit(producer(), job(1));
  EXPECT_TRUE(out.receipts.at(0).duplicate);
  settle();
  EXPECT_EQ(engine().counts().jobs, 1U);
}

TEST_F(EngineSweepsTest, ASubmitThatComesAgainFindsAJobThatWasMovedToAnotherQueue) {
  dead_jobs(1, 1);
  SweepAsked asked = sweep(SweepAction::kReplay);
  asked.to_queue = "again";
  run(asked, {dead(1)});
  const SessionId p = producer();
  EXPECT_EQ(submit(p, job(1)).receipts.at(0).code, Code::kNone);
  Submission there = job(1);
  there.queue = "again";
  EXPECT_EQ(submit(p, there).receipts.at(0).code, Code::kNone);
  there.queue = "elsewhere";
  EXPECT_EQ(submit(p, there).receipts.at(0).code, Code::kDuplicateMismatch);
  cancel(p, {job_id(1)});
  settle();
  ASSERT_EQ(state(1), State::kCancelled);
  EXPECT_EQ(submit(p, job(1)).receipts.at(0).code, Code::kNone);
}

TEST_F(EngineSweepsTest, WhatHasMovedSinceItWasReadIsNotReplayed) {
  dead_jobs(1, 3);
  // 1 is replayed by another sweep, 2 is being dropped, 3 died again since the record.
  run(sweep(SweepAction::kReplay), {dead(1)});
  SweepAsked drop = sweep(SweepAction::kDrop);
  drop.session = op();
  scanned(turn(drop).dead_scans.at(0), {dead(2)});
  stage();
  JobRecord older = dead(3);
  older.finished -= Millis(1);
  SweepAsked asked = sweep(SweepAction::kReplay);
  asked.session = op();
  const Effects out = scanned(turn(asked).dead_scans.at(0), {dead(1), dead(2), older});
  ASSERT_FALSE(out.sweep_reports.empty());
  EXPECT_EQ(out.sweep_reports.back().failed, 3U);
  EXPECT_EQ(out.sweep_reports.back().done, 0U);
  EXPECT_EQ(state(3), State::kDead);
}

TEST_F(EngineSweepsTest, WhatDiedAfterTheCommandIsNotReplayed) {
  dead_jobs(1, 1);
  const Effects begun = send(op(), sweep(SweepAction::kReplay));
  JobRecord later = dead(1);
  later.finished = now.wall + Millis(1);
  const Effects out = scanned(begun.dead_scans.at(0), {later});
  EXPECT_EQ(out.sweep_reports.back().matched, 0U);
  EXPECT_TRUE(out.sweep_reports.back().finished);
}

TEST_F(EngineSweepsTest, WhatDiedInTheMillisecondOfTheCommandCounts) {
  dead_jobs(1, 1);
  const Effects begun = send(op(), sweep(SweepAction::kReplay));
  JobRecord just_now = dead(1);
  just_now.finished = now.wall;
  const Effects out = scanned(begun.dead_scans.at(0), {just_now});
  EXPECT_EQ(out.sweep_reports.back().matched, 1U);
}

TEST_F(EngineSweepsTest, AReplayIntoAQueueThatIsFullOrDrainingFails) {
  config.max_queue_jobs = 3;
  dead_jobs(1, 1);
  const SessionId o = op();
  QueueAsked drain;
  drain.session = o;
  drain.action = QueueAction::kDrain;
  drain.queue = "q";
  drain.by = "ada";
  turn(drain);
  settle();
  EXPECT_EQ(run(sweep(SweepAction::kReplay), {dead(1)}).failed, 1U);
  drain.action = QueueAction::kResume;
  turn(drain);
  settle();
  stored_jobs(producer(), 10, 3);
  EXPECT_EQ(run(sweep(SweepAction::kReplay), {dead(1)}).failed, 1U);
  EXPECT_EQ(state(1), State::kDead);
}

TEST_F(EngineSweepsTest, ReplayKeepsItsRateAndReadsAgainWhatDidNotFitIn) {
  dead_jobs(1, 5);
  SweepAsked asked = sweep(SweepAction::kReplay);
  asked.rate_per_s = 1;
  asked.session = op();
  Effects out = turn(asked);
  const std::vector<JobRecord> all{dead(1), dead(2), dead(3), dead(4), dead(5)};
  scanned(out.dead_scans.at(0), all);
  settle();
  EXPECT_EQ(state(1), State::kQueued);
  EXPECT_EQ(state(2), State::kDead);
  out = advance(Millis(1'000));
  ASSERT_THAT(out.dead_scans, SizeIs(1));
  EXPECT_EQ(out.dead_scans[0].after, (IndexPlace{died_[1], job_id(1)}));
  scanned(out.dead_scans[0], {all.begin() + 1, all.end()});
  settle();
  EXPECT_EQ(state(2), State::kQueued);
  EXPECT_EQ(state(3), State::kDead);
}

TEST_F(EngineSweepsTest, ADryReplayCountsAndChangesNothing) {
  dead_jobs(1, 2);
  SweepAsked asked = sweep(SweepAction::kReplay);
  asked.dry_run = true;
  asked.to_queue = "nowhere";
  asked.session = op();
  const View before = view();
  const Effects out = scanned(turn(asked).dead_scans.at(0), {dead(1), dead(2)});
  EXPECT_EQ(out.sweep_reports.back().matched, 2U);
  EXPECT_EQ(out.sweep_reports.back().done, 0U);
  EXPECT_TRUE(out.sweep_reports.back().finished);
  EXPECT_TRUE(before == view());
  std::vector<std::string> names;
  engine().queue_names(names);
  EXPECT_THAT(names, ElementsAre("q"));
}

TEST_F(EngineSweepsTest, ReplayFiltersByReasonTypeAndError) {
  dead_jobs(1, 1);
  for (int part = 0; part < 4; ++part) {
    SweepAsked asked = sweep(SweepAction::kReplay);
    if (part == 0) asked.filter.reason = DeadReason::kCrashed;
    if (part == 1) asked.filter.type = "u";
    if (part == 2) asked.filter.error = "KeyError";
    if (part == 3) asked.filter.queue = "q", asked.filter.error = "ValueError";
    EXPECT_EQ(run(asked, {dead(1)}).done, part == 3 ? 1U : 0U) << part;
  }
}

TEST_F(EngineSweepsTest, ReplayByIdsReadsThese) {
  dead_jobs(1, 3);
  SweepAsked asked = sweep(SweepAction::kReplay);
  asked.filter.ids = {job_id(3), job_id(99), job_id(1)};
  asked.session = op();
  const Effects begun = turn(asked);
  ASSERT_THAT(begun.dead_scans, SizeIs(1));
  EXPECT_THAT(begun.dead_scans[0].ids, ElementsAre(job_id(3), job_id(99), job_id(1)));
  scanned(begun.dead_scans[0], {dead(3), dead(1)});
  settle();
  EXPECT_EQ(state(1), State::kQueued);
  EXPECT_EQ(state(2), State::kDead);
  EXPECT_EQ(state(3), State::kQueued);
}

TEST_F(EngineSweepsTest, ASweepOfAllQueuesWalksThoseWithDeadJobs) {
  dead_jobs(1, 1);
  Submission other = job(50);
  other.queue = "r";
  submit(producer(), other);
  settle();
  const Effects begun = send(op(), sweep(SweepAction::kReplay));
  ASSERT_THAT(begun.dead_scans, SizeIs(1));
  EXPECT_EQ(begun.dead_scans[0].queue, "q");
  const Effects out = scanned(begun.dead_scans[0], {});
  EXPECT_THAT(out.dead_scans, IsEmpty());
  EXPECT_TRUE(out.sweep_reports.at(0).finished);
}

TEST_F(EngineSweepsTest, ALateScanOfAStoppedSweepChangesNothing) {
  dead_jobs(1, 1);
  const SessionId o = op();
  const Effects begun = send(o, sweep(SweepAction::kReplay));
  turn(SessionClosed{o, true});
  EXPECT_EQ(count_all(scanned(begun.dead_scans.at(0), {dead(1)})), 0U);
  EXPECT_EQ(state(1), State::kDead);
}

// ---- drop

TEST_F(EngineSweepsTest, DropRemovesAndCountsWhenItIsStored) {
  dead_jobs(1, 2);
  SweepAsked asked = sweep(SweepAction::kDrop);
  asked.session = op();
  scanned(turn(asked).dead_scans.at(0), {dead(1)});
  ASSERT_THAT(stage().removals, SizeIs(1));
  EXPECT_EQ(last_batch.removals[0].id, job_id(1));
  EXPECT_EQ(last_batch.removals[0].state, State::kDead);
  const Effects out = committed();
  EXPECT_EQ(out.sweep_reports.at(0).done, 1U);
  EXPECT_TRUE(out.sweep_reports.at(0).finished);
  EXPECT_EQ(state(1), std::nullopt);
  EXPECT_EQ(state(2), State::kDead);
  EXPECT_EQ(ask(producer(), {job_id(1)}).results.at(0).known, Known::kGone);
}

TEST_F(EngineSweepsTest, ADropThatTheStoreRefusesIsTriedAgain) {
  dead_jobs(1, 1);
  scanned(send(op(), sweep(SweepAction::kDrop)).dead_scans.at(0), {dead(1)});
  stage();
  EXPECT_THAT(rejected(Code::kStoreUnavailable).sweep_reports, IsEmpty());
  advance(Millis(300));
  ASSERT_THAT(stage().removals, SizeIs(1));
  EXPECT_EQ(committed().sweep_reports.at(0).done, 1U);
}

TEST_F(EngineSweepsTest, RetentionAndReplayDoNotBothTakeAJob) {
  config.keep_dead = Millis(1'000);
  dead_jobs(1, 1);
  const Effects begun = send(op(), sweep(SweepAction::kReplay));
  now.wall += Millis(2'000);
  ASSERT_THAT(stage().removals, SizeIs(1));
  const Effects out = scanned(begun.dead_scans.at(0), {dead(1)});
  EXPECT_EQ(out.sweep_reports.back().failed, 1U);
  committed();
  EXPECT_EQ(state(1), std::nullopt);
}

// ---- refusals

TEST_F(EngineSweepsTest, EveryRefusalNamesItsReasonAndChangesNothing) {
  const SessionId o = op();
  stored_jobs(producer(), 1, 2);
  const std::string long_by(129, 'x');
  const std::string long_why(1'025, 'x');
  struct Case {
    const char* what;
    Code code;
    SweepAsked asked;
  };
  std::vector<Case> cases;
  const auto add = [&](const char* what, Code code, SweepAction action, auto change) {
    SweepAsked asked = sweep(action);
    change(asked);
    cases.push_back({what, code, asked});
  };
  using Action = SweepAction;
  add("nobody", Code::kInvalidArgument, Action::kPurge, [](auto& a) { a.by = ""; });
  add("long by", Code::kInvalidArgument, Action::kPurge, [&](auto& a) { a.by = long_by; });
  add("long why", Code::kInvalidArgument, Action::kPurge, [&](auto& a) { a.why = long_why; });
  add("long error", Code::kInvalidArgument, Action::kReplay,
      [&](auto& a) { a.filter.error = long_why; });
  add("all queues", Code::kInvalidArgument, Action::kPurge, [](auto& a) { a.filter.queue = ""; });
  add("reason", Code::kInvalidArgument, Action::kPurge,
      [](auto& a) { a.filter.reason = DeadReason::kRaised; });
  add("error", Code::kInvalidArgument, Action::kPurge, [](auto& a) { a.filter.error = "x"; });
  add("past", Code::kInvalidArgument, Action::kReplay,
      [](auto& a) { a.filter.before = Wall(Millis(-1)); });
  add("to_queue of a purge", Code::kInvalidArgument, Action::kPurge,
      [](auto& a) { a.to_queue = "r"; });
  add("to_queue of a drop", Code::kInvalidArgument, Action::kDrop,
      [](auto& a) { a.to_queue = "r"; });
  add("bad name", Code::kInvalidName, Action::kReplay, [](auto& a) { a.to_queue = "a b"; });
  add("unknown", Code::kUnknownQueue, Action::kPurge, [](auto& a) { a.filter.queue = "r"; });
  add("unknown dead", Code::kUnknownQueue, Action::kDrop, [](auto& a) { a.filter.queue = "r"; });
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    const Effects out = refused([&] { return send(o, c.asked); });
    ASSERT_THAT(out.sweep_reports, SizeIs(1));
    EXPECT_EQ(out.sweep_reports[0].code, c.code);
    EXPECT_EQ(out.sweep_reports[0].request, 6U);
    EXPECT_TRUE(out.sweep_reports[0].finished);
  }
}

TEST_F(EngineSweepsTest, SixteenAtOnceAndOnePurgeAQueue) {
  dead_jobs(1, 1);
  const SessionId o = op();
  stored_jobs(producer(), 10, 1);
  SweepAsked slow = sweep(SweepAction::kPurge);
  slow.rate_per_s = 1;
  send(o, slow);
  const Effects second = send(o, slow);
  EXPECT_EQ(second.sweep_reports.at(0).code, Code::kQuotaExceeded);
  EXPECT_GT(second.sweep_reports.at(0).retry_after, Millis(0));
  for (int i = 0; i < 15; ++i)
    EXPECT_EQ(send(o, sweep(SweepAction::kReplay)).sweep_reports.at(0).code, Code::kNone);
  EXPECT_EQ(send(o, sweep(SweepAction::kReplay)).sweep_reports.at(0).code, Code::kQuotaExceeded);
}

TEST_F(EngineSweepsTest, WhileShuttingDownNoneBegins) {
  stored_jobs(producer(), 1, 1);
  const SessionId o = op();
  turn(ShutdownBegun{});
  const Effects out = refused([&] { return send(o, sweep(SweepAction::kPurge)); });
  EXPECT_EQ(out.sweep_reports.at(0).code, Code::kShuttingDown);
}

TEST_F(EngineSweepsTest, ASweepWithoutASessionIsRefused) {
  const Effects out = refused([&] { return send(SessionId{99}, sweep(SweepAction::kReplay)); });
  EXPECT_EQ(out.refusals.at(0).code, Code::kHelloFirst);
}

}  // namespace
}  // namespace jobwire::core
