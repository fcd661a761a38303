// SPDX-License-Identifier: Apache-2.0
// What every store does. Run on each by a test program that has a rig for it:
//
//     struct Rig {
//       std::unique_ptr<ports::Store> broker();       // another broker's store, on the same jobs
//       std::unique_ptr<ports::Store> forgetful();    // one that keeps no batches in memory
//       void lose_next_reply();                       // the next batch takes effect, unheard
//       void lose_next_request();                     // the next batch does not arrive
//       void come_back();                             // after either, and after go_back()
//       void crowd();                                 // less than the reserve is left
//       void fill(); void make_room();                // no memory for more; memory again
//       void mark(); void go_back();                  // to the mark: what came since is lost
//       void empty();                                 // as if it were a new one
//     };
//     INSTANTIATE_TYPED_TEST_SUITE_P(Name, StoreContract, Rig);
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "store_rig.h"

namespace jobwire::testing {

template <typename Rig>
class StoreContract : public ::testing::Test {
 protected:
  Driver broker() { return Driver(rig_.broker()); }
  Rig rig_;
};
TYPED_TEST_SUITE_P(StoreContract);

TYPED_TEST_P(StoreContract, EachOpenRaisesTheEpochAndKeepsTheSequence) {
  Driver first = this->broker();
  const auto one = first.open();
  EXPECT_EQ(one.last_sequence, 0U);
  first.commit(batch(1));
  Driver second = this->broker();
  const auto two = second.open();
  EXPECT_GT(two.epoch, one.epoch);
  EXPECT_EQ(two.last_sequence, 1U);
  EXPECT_FALSE(two.description.empty());
}

TYPED_TEST_P(StoreContract, ABatchIsReadBackAsItWasWritten) {
  Driver broker = this->broker();
  broker.open();
  core::Batch first = batch(1);
  first.jobs.push_back(queued(1));
  core::JobWrite full = queued(2);
  auto options = std::make_shared<core::JobOptions>();
  options->headers = {{"trace=id", "a\\b\nc"}, {"", "empty name"}};
  options->dedup_key = "key \\ with\nodd signs";
  options->dedup_window = core::Millis(60'000);
  options->contract = 0xfedcba9876543210ULL;
  options->result_ttl = core::Millis(5'000);
  options->has_retry = true;
  options->retry.attempts = 7;
  options->retry.backoff = core::BackoffKind::kListed;
  options->retry.listed = {core::Millis(10), core::Millis(20)};
  options->retry.fatal = {"ValueError", "my.Error"};
  options->retry.factor = 1.5F;
  full.job.options = options;
  full.job.state = core::State::kScheduled;
  full.job.due = wall(9'000);
  full.job.expires = wall(99'000);
  full.job.priority = 9;
  full.job.keep_payload = true;
  full.job.timeout = core::Millis(30'000);
  full.job.payload = core::Bytes::copy_of(std::string("\0\r\n\xff", 4));
  full.job.payload_size = 4;
  first.jobs.push_back(full);
  broker.commit(first);

  const auto jobs = broker.read({id(1), id(2)}, ports::ReadRequest::What::kEverything);
  ASSERT_EQ(jobs.size(), 2U);
  EXPECT_EQ(describe(jobs[0]),
            "queued queue=images type=thumbnail encoding=3 priority=4 size=9 payload='payload 1' "
            "created=1001");
  EXPECT_EQ(jobs[1].job.state, core::State::kScheduled);
  EXPECT_EQ(jobs[1].job.due, wall(9'000));
  EXPECT_EQ(jobs[1].job.expires, wall(99'000));
  EXPECT_EQ(jobs[1].job.priority, 9);
  EXPECT_TRUE(jobs[1].job.keep_payload);
  EXPECT_EQ(jobs[1].job.timeout, core::Millis(30'000));
  EXPECT_EQ(jobs[1].job.payload.view(), full.job.payload.view());
  ASSERT_TRUE(jobs[1].job.options);
  EXPECT_EQ(*jobs[1].job.options, *options);
  EXPECT_EQ(broker.everything().count("dedup " + options->dedup_key), 1U);
}

TYPED_TEST_P(StoreContract, RecoveryReadsWhatIsNotFinalWithoutPayloads) {
  Driver broker = this->broker();
  broker.open();
  core::Batch first = batch(1);
  for (const unsigned number : {1U, 2U, 3U, 4U}) first.jobs.push_back(queued(number));
  broker.commit(first);
  core::Batch second = batch(2);
  core::JobWrite running = changed(queued(2), core::State::kRunning);
  running.job.token.bytes[3] = 7;
  running.job.worker = "host-1/3";
  running.job.started = wall(2'000);
  core::JobWrite scheduled = changed(queued(3), core::State::kScheduled);
  scheduled.job.due = wall(3'000);
  core::JobWrite done = changed(queued(4), core::State::kSucceeded);
  done.job.finished = wall(4'000);
  second.jobs = {running, scheduled, done};
  broker.commit(second);

  Driver next = this->broker();
  next.open();
  std::map<core::JobId, std::string> found;
  for (bool last = false; !last;) {
    auto page = next->recover_jobs();
    ASSERT_TRUE(static_cast<bool>(page));
    for (const auto& job : page->jobs) found[job.id] = describe(job);
    last = page->last;
  }
  const std::string common = " queue=images type=thumbnail encoding=3 priority=4 size=9";
  EXPECT_EQ(found, (std::map<core::JobId, std::string>{
                       {id(1), "queued" + common + " created=1001"},
                       {id(2), "running" + common +
                                   " created=1002 token=00000007000000000000000000000000 "
                                   "worker=host-1/3 started=2000"},
                       {id(3), "scheduled" + common + " created=1003 due=3000"},
                   }));
}

TYPED_TEST_P(StoreContract, RecoveryOfManyJobsComesInPages) {
  Driver broker = this->broker();
  broker.open();
  constexpr std::size_t kJobs = 2'500;
  core::Batch first = batch(1);
  for (std::size_t i = 0; i < kJobs; ++i) {
    core::JobWrite write = queued(i);
    write.job.queue = i % 2 == 0 ? "even" : "odd";
    first.jobs.push_back(write);
  }
  broker.commit(first);
  Driver next = this->broker();
  next.open();
  std::map<core::JobId, std::string> found;
  std::size_t pages = 0;
  for (bool last = false; !last; ++pages) {
    auto page = next->recover_jobs();
    ASSERT_TRUE(static_cast<bool>(page));
    EXPECT_LE(page->jobs.size(), 1'000U);
    for (const auto& job : page->jobs) found[job.id] = job.job.queue;
    last = page->last;
  }
  EXPECT_EQ(found.size(), kJobs);
  EXPECT_GE(pages, 3U);

  // Opened again in the midst of it, a store begins anew.
  ASSERT_TRUE(static_cast<bool>(next->recover_jobs()));
  next.open();
  std::size_t again = 0;
  for (bool last = false; !last;) {
    auto page = next->recover_jobs();
    ASSERT_TRUE(static_cast<bool>(page));
    again += page->jobs.size();
    last = page->last;
  }
  EXPECT_EQ(again, kJobs);
}

TYPED_TEST_P(StoreContract, RecoveryGoesOnWhileBatchesAreCommitted) {
  Driver broker = this->broker();
  broker.open();
  constexpr std::size_t kJobs = 2'500;
  core::Batch first = batch(1);
  for (std::size_t i = 0; i < kJobs; ++i) first.jobs.push_back(queued(i));
  core::JobWrite over = queued(kJobs);
  over.job.state = core::State::kDead;
  first.jobs.push_back(over);
  broker.commit(first);
  core::Batch second = batch(2);
  second.jobs.push_back(changed(queued(kJobs - 3), core::State::kRunning));
  broker.commit(second);

  Driver next = this->broker();
  next.open();
  auto page = next->recover_jobs();
  ASSERT_TRUE(static_cast<bool>(page));
  EXPECT_TRUE(page->all_running);
  EXPECT_FALSE(page->last);
  std::map<core::JobId, int> found;
  for (const auto& job : page->jobs) ++found[job.id];
  EXPECT_EQ(found.count(id(kJobs - 3)), 1U) << "what ran comes first";

  // One that waits further back is asked for, with one that has ended and one that never was.
  const std::vector<core::JobId> asked = {id(kJobs - 1), id(kJobs), id(60'000)};
  auto some = next->recover_some(asked);
  ASSERT_TRUE(static_cast<bool>(some));
  ASSERT_EQ(some->jobs.size(), 1U);
  EXPECT_EQ(some->jobs[0].id, id(kJobs - 1));
  EXPECT_EQ(some->jobs[0].job.state, core::State::kQueued);
  EXPECT_FALSE(some->jobs[0].job.payload);
  ++found[some->jobs[0].id];

  // It ends, and so does one of the first page: both leave the lists that are being read.
  core::Batch third = batch(3);
  third.jobs = {changed(queued(kJobs - 1), core::State::kSucceeded),
                changed(queued(0), core::State::kRunning)};
  next.commit(third);
  for (bool last = false; !last;) {
    page = next->recover_jobs();
    ASSERT_TRUE(static_cast<bool>(page));
    for (const auto& job : page->jobs) ++found[job.id];
    last = page->last;
  }
  EXPECT_EQ(found.size(), kJobs);
  for (const auto& [job, times] : found) EXPECT_EQ(times, 1) << core::to_string(job);
}

TYPED_TEST_P(StoreContract, ARefusedBatchChangesNothingAndTheNextOneGoesOn) {
  Driver broker = this->broker();
  broker.open();
  core::Batch first = batch(1);
  first.jobs.push_back(queued(1));
  broker.commit(first);
  const auto before = broker.everything();

  this->rig_.fill();
  core::Batch second = batch(2);
  second.jobs.push_back(changed(queued(1), core::State::kRunning));
  second.jobs.push_back(queued(2));
  second.queues.push_back({"images", 1});
  broker->commit(second);
  const auto refused = broker.template next<ports::BatchRefused>("a refusal");
  EXPECT_EQ(refused.sequence, 2U);
  EXPECT_EQ(refused.code, core::Code::kStoreFull);
  EXPECT_FALSE(refused.message.empty());
  EXPECT_TRUE(broker->ready());
  this->rig_.make_room();
  EXPECT_EQ(broker.everything(), before);

  broker.commit(second);
  EXPECT_EQ(broker.everything().size(), before.size() + 1);
  EXPECT_EQ(broker.events(), "");
}

TYPED_TEST_P(StoreContract, AFullStoreTakesWhatEndsJobsAndWhatRemovesThem) {
  Driver broker = this->broker();
  broker.open();
  core::Batch first = batch(1);
  for (const unsigned number : {1U, 2U, 3U}) first.jobs.push_back(queued(number));
  core::JobWrite old = queued(4);
  old.job.state = core::State::kSucceeded;
  old.job.finished = wall(1'500);
  first.jobs.push_back(old);
  broker.commit(first);

  this->rig_.fill();
  core::Batch ends = batch(2);
  core::JobWrite done = changed(queued(1), core::State::kSucceeded);
  done.job.finished = wall(2'000);
  done.job.result = core::Bytes::copy_of(std::string(100'000, 'r'));
  done.job.result_encoding = core::Encoding::kBytes;
  done.drop_payload = true;
  core::JobWrite retry = changed(queued(2), core::State::kScheduled);
  retry.job.due = wall(3'000);
  retry.job.attempts = retry.job.raised = 1;
  core::Attempt attempt;
  attempt.number = 1;
  attempt.error = core::Bytes::copy_of("a JobError");
  attempt.error_type = "ValueError";
  retry.attempts.push_back(attempt);
  ends.jobs = {done, retry, changed(queued(3), core::State::kRunning)};
  ends.stale_notes.push_back(id(3));
  ends.removals.push_back({id(4), "images", core::State::kSucceeded});
  core::QueueDelta delta;
  delta.queue = "images";
  delta.succeeded = 1;
  ends.queues.push_back(delta);
  ends.hosts.push_back({core::HostId{}, "alpha", 1, 1, wall(1'000), false});
  broker.commit(ends);
  broker.commit(batch(3));
  core::Batch none = batch(4);
  none.removals.push_back({id(1), "images", core::State::kSucceeded});
  broker.commit(none);

  const std::string common = " queue=images type=thumbnail encoding=3 priority=4 size=9";
  EXPECT_EQ(broker.everything(),
            (std::map<std::string, std::string>{
                {"host 00000000000000000000000000000000", "here"},
                {"job " + core::to_string(id(2)),
                 "scheduled" + common +
                     " payload='payload 2' created=1002 due=3000 attempts=1 raised=1 "
                     "error='a JobError' error_type=ValueError"},
                {"job " + core::to_string(id(3)),
                 "running" + common + " payload='payload 3' created=1003"},
            }));
  this->rig_.make_room();
  core::Batch more = batch(5);
  more.jobs.push_back(queued(5));
  broker.commit(more);
}

TYPED_TEST_P(StoreContract, AFullStoreCanBeTakenOver) {
  Driver first = this->broker();
  const auto one = first.open();
  core::Batch jobs = batch(1);
  jobs.jobs.push_back(queued(1));
  first.commit(jobs);
  this->rig_.fill();
  Driver second = this->broker();
  const auto two = second.open();
  EXPECT_EQ(two.epoch, one.epoch + 1);
  EXPECT_EQ(two.last_sequence, 1U);
  core::Batch end = batch(2);
  core::JobWrite done = changed(queued(1), core::State::kSucceeded);
  done.job.finished = wall(2'000);
  end.jobs.push_back(done);
  second.commit(end);
  core::Batch late = batch(2);
  late.removals.push_back({id(1), "images", core::State::kQueued});
  first->commit(late);
  first.template next<ports::Fenced>("the fence");
  EXPECT_EQ(second.everything().count("job " + core::to_string(id(1))), 1U);
}

TYPED_TEST_P(StoreContract, AFullStoreIsJudgedBySequenceAsAnyOther) {
  Driver broker = this->broker();
  broker.open();
  core::Batch first = batch(1);
  first.jobs.push_back(queued(1));
  broker.commit(first);
  this->rig_.fill();
  std::uint64_t sequence = 1;
  for (const bool arrives : {true, false}) {
    arrives ? this->rig_.lose_next_reply() : this->rig_.lose_next_request();
    core::Batch note = batch(++sequence);
    note.stale_notes.push_back(id(1));
    broker->commit(note);
    broker.template next<ports::StoreAway>("the loss");
    this->rig_.come_back();
    broker.template next<ports::StoreBack>("its return");
    EXPECT_EQ(broker.template next<ports::Committed>("the batch").sequence, sequence);
  }
  broker.commit(batch(++sequence));
}

TYPED_TEST_P(StoreContract, AFullStoreTakesLostBatchesAgain) {
  Driver broker = this->broker();
  broker.open();
  broker.commit(batch(1));
  this->rig_.mark();
  core::Batch second = batch(2);
  second.jobs.push_back(queued(1));
  broker.commit(second);
  core::Batch third = batch(3);
  third.jobs.push_back(queued(2));
  broker.commit(third);
  const auto before = broker.everything();
  this->rig_.go_back();
  this->rig_.fill();
  broker.template next<ports::StoreAway>("the loss");
  this->rig_.come_back();
  EXPECT_EQ(broker.template next<ports::StoreBack>("its return").repaired, 2U);
  EXPECT_EQ(broker.everything(), before);
}

TYPED_TEST_P(StoreContract, LessThanTheReserveIsToldAndSoIsItsEnd) {
  Driver broker = this->broker();
  broker.open();
  broker.commit(batch(1));
  EXPECT_FALSE(broker.scarce());
  this->rig_.crowd();
  broker.until("word that there is little room", [&] { return broker.scarce(); });
  // That much is still taken, whatever it is: it is the reserve.
  core::Batch second = batch(2);
  second.jobs.push_back(queued(1));
  broker.commit(second);
  this->rig_.fill();
  this->rig_.make_room();
  broker.until("word that there is room", [&] { return !broker.scarce(); });
}

TYPED_TEST_P(StoreContract, ASecondOwnerFencesTheFirst) {
  Driver first = this->broker();
  first.open();
  Driver second = this->broker();
  second.open();
  core::Batch late = batch(1);
  late.jobs.push_back(queued(1));
  first->commit(late);
  const auto fenced = first.template next<ports::Fenced>("the fence");
  EXPECT_FALSE(fenced.message.empty());
  EXPECT_FALSE(first->ready());
  EXPECT_FALSE(first->read({1, {id(1)}, ports::ReadRequest::What::kPayload}));
  first.poll();
  EXPECT_EQ(first.events(), "");
  EXPECT_TRUE(second.everything().empty());
  second.commit(batch(1));
}

TYPED_TEST_P(StoreContract, LostReplyIsJudgedBySequence) {
  Driver broker = this->broker();
  broker.open();
  core::Batch first = batch(1);
  first.jobs.push_back(queued(1));
  broker.commit(first);
  this->rig_.lose_next_reply();
  core::Batch second = batch(2);
  second.jobs.push_back(changed(queued(1), core::State::kRunning));
  second.jobs.push_back(queued(2));
  broker->commit(second);
  broker.template next<ports::StoreAway>("the loss");
  EXPECT_FALSE(broker->ready());
  EXPECT_EQ(broker.events(), "");
  this->rig_.come_back();
  EXPECT_EQ(broker.template next<ports::StoreBack>("its return").repaired, 0U);
  EXPECT_EQ(broker.template next<ports::Committed>("the batch").sequence, 2U);
  EXPECT_EQ(broker.events(), "");
  EXPECT_TRUE(broker->ready());
  broker.commit(batch(3));
}

TYPED_TEST_P(StoreContract, LostRequestIsSentAgain) {
  Driver broker = this->broker();
  broker.open();
  this->rig_.lose_next_request();
  core::Batch first = batch(1);
  first.jobs.push_back(queued(1));
  broker->commit(first);
  broker.template next<ports::StoreAway>("the loss");
  this->rig_.come_back();
  EXPECT_EQ(broker.template next<ports::StoreBack>("its return").repaired, 0U);
  EXPECT_EQ(broker.template next<ports::Committed>("the batch").sequence, 1U);
  EXPECT_EQ(broker.everything().size(), 1U);
}

TYPED_TEST_P(StoreContract, AStoreThatIsAwayTakesNoQuestions) {
  Driver broker = this->broker();
  broker.open();
  this->rig_.lose_next_request();
  broker->commit(batch(1));
  broker.template next<ports::StoreAway>("the loss");
  EXPECT_FALSE(broker->read({1, {id(1)}, ports::ReadRequest::What::kPayload}));
  this->rig_.come_back();
  broker.template next<ports::Committed>("the batch");
  EXPECT_EQ(broker.read({id(1)}, ports::ReadRequest::What::kPayload).size(), 1U);
}

TYPED_TEST_P(StoreContract, LostBatchesAreWrittenAgain) {
  Driver broker = this->broker();
  broker.open();
  core::Batch first = batch(1);
  first.jobs.push_back(queued(1));
  broker.commit(first);
  this->rig_.mark();
  core::Batch second = batch(2);
  second.jobs.push_back(changed(queued(1), core::State::kRunning));
  broker.commit(second);
  core::Batch third = batch(3);
  third.jobs.push_back(queued(3));
  third.removals.push_back({id(9), "images", core::State::kSucceeded});
  broker.commit(third);
  const auto before = broker.everything();

  this->rig_.go_back();
  broker.template next<ports::StoreAway>("the loss");
  this->rig_.come_back();
  EXPECT_EQ(broker.template next<ports::StoreBack>("its return").repaired, 2U);
  EXPECT_EQ(broker.events(), "");
  EXPECT_EQ(broker.everything(), before);
  broker.commit(batch(4));
}

TYPED_TEST_P(StoreContract, LostBatchesThatMemoryDoesNotHoldEndEverything) {
  Driver broker(this->rig_.forgetful());
  broker.open();
  broker.commit(batch(1));
  this->rig_.mark();
  core::Batch second = batch(2);
  second.jobs.push_back(queued(1));
  broker.commit(second);
  this->rig_.go_back();
  broker.template next<ports::StoreAway>("the loss");
  this->rig_.come_back();
  const auto diverged = broker.template next<ports::StoreDiverged>("the divergence");
  EXPECT_FALSE(diverged.message.empty());
  EXPECT_FALSE(broker->ready());
}

TYPED_TEST_P(StoreContract, AnEmptiedStoreEndsEverything) {
  Driver broker = this->broker();
  broker.open();
  core::Batch first = batch(1);
  first.jobs.push_back(queued(1));
  broker.commit(first);
  this->rig_.empty();
  broker->commit(batch(2));
  broker.template next<ports::StoreDiverged>("the divergence");
  EXPECT_FALSE(broker->ready());
}

TYPED_TEST_P(StoreContract, AJobsLifeLeavesNothingBehindOfWhatIsOver) {
  Driver broker = this->broker();
  broker.open();
  core::Batch b = batch(1);
  core::JobWrite job = queued(1);
  job.job.state = core::State::kScheduled;
  job.job.due = wall(2'000);
  b.jobs.push_back(job);
  broker.commit(b);

  core::JobWrite due = changed(job, core::State::kQueued);
  due.job.due = {};
  b = batch(2);
  b.jobs.push_back(due);
  broker.commit(b);

  core::JobWrite running = changed(due, core::State::kRunning);
  running.job.token.bytes[0] = 1;
  running.job.worker = "host/1";
  running.job.started = wall(2'100);
  b = batch(3);
  b.jobs.push_back(running);
  broker.commit(b);

  core::JobWrite retry = changed(running, core::State::kScheduled);
  retry.job.token = {};
  retry.job.worker = {};
  retry.job.started = {};
  retry.job.due = wall(3'000);
  retry.job.attempts = retry.job.raised = 1;
  core::Attempt attempt;
  attempt.number = 1;
  attempt.outcome = core::Outcome::kRaised;
  attempt.error = core::Bytes::copy_of("a JobError");
  attempt.error_type = "builtins.ValueError";
  attempt.error_message = "no: such thing";
  retry.attempts.push_back(attempt);
  b = batch(4);
  b.jobs.push_back(retry);
  broker.commit(b);
  const std::string common = " queue=images type=thumbnail encoding=3 priority=4 size=9";
  const auto read = [&] {
    return describe(broker.read({id(1)}, ports::ReadRequest::What::kEverything).at(0));
  };
  EXPECT_EQ(read(), "scheduled" + common +
                        " payload='payload 1' created=1001 due=3000 attempts=1 raised=1 "
                        "error='a JobError' error_type=builtins.ValueError "
                        "error_message=no: such thing");

  core::JobWrite dead = changed(retry, core::State::kDead);
  dead.job.due = {};
  dead.job.attempts = 2;
  dead.job.crashed = 1;
  dead.job.finished = wall(4'000);
  dead.job.reason = core::DeadReason::kCrashed;
  core::Attempt crash;
  crash.number = 2;
  crash.outcome = core::Outcome::kCrashed;
  crash.error_type = "jobwire.Crashed";
  crash.error_message = "by SIGSEGV";
  dead.attempts.push_back(crash);
  b = batch(5);
  b.jobs.push_back(dead);
  broker.commit(b);
  EXPECT_EQ(read(), "dead" + common +
                        " payload='payload 1' created=1001 attempts=2 raised=1 crashed=1 "
                        "finished=4000 reason=3 error_type=jobwire.Crashed "
                        "error_message=by SIGSEGV");

  core::JobWrite replay = changed(dead, core::State::kQueued);
  replay.job.attempts = replay.job.raised = replay.job.crashed = 0;
  replay.job.generation = 1;
  replay.job.finished = {};
  replay.job.reason = core::DeadReason::kNone;
  b = batch(6);
  b.jobs.push_back(replay);
  broker.commit(b);
  EXPECT_EQ(read(), "queued" + common + " payload='payload 1' created=1001 generation=1");

  core::JobWrite done = changed(replay, core::State::kSucceeded);
  done.job.attempts = 1;
  done.job.started = wall(5'000);
  done.job.finished = wall(6'000);
  done.job.run = core::Micros(250);
  done.job.result = core::Bytes::copy_of("42");
  done.job.result_encoding = core::Encoding::kUtf8;
  done.drop_payload = true;
  b = batch(7);
  b.jobs.push_back(done);
  broker.commit(b);
  EXPECT_EQ(read(), "succeeded" + common +
                        " created=1001 attempts=1 generation=1 started=5000 finished=6000 "
                        "run=250 result_encoding=2 result='42'");
  EXPECT_EQ(broker.everything().size(), 2U);  // the job, and its place among the finished
}

TYPED_TEST_P(StoreContract, AJobThatStartsAndEndsWithinABatchIsWrittenOnce) {
  Driver broker = this->broker();
  broker.open();
  core::Batch first = batch(1);
  core::JobWrite done = queued(1);
  done.job.state = core::State::kSucceeded;
  done.job.finished = wall(1'500);
  done.job.result = core::Bytes::copy_of("");
  done.job.result_encoding = core::Encoding::kBytes;
  done.drop_payload = true;
  first.jobs.push_back(done);
  broker.commit(first);
  EXPECT_EQ(broker.everything(),
            (std::map<std::string, std::string>{
                {"final " + core::to_string(id(1)), "images succeeded 1500"},
                {"job " + core::to_string(id(1)),
                 "succeeded queue=images type=thumbnail encoding=3 priority=4 size=9 created=1001 "
                 "finished=1500 result_encoding=1 result=''"},
            }));
}

TYPED_TEST_P(StoreContract, AFinishedJobIsKeptUntilItIsRemoved) {
  Driver broker = this->broker();
  broker.open();
  core::Batch first = batch(1);
  for (const unsigned number : {1U, 2U, 3U}) {
    core::JobWrite done = queued(number);
    done.job.state = core::State::kDead;
    done.job.finished = wall(9'000 - 1'000 * number);
    first.jobs.push_back(done);
  }
  broker.commit(first);
  auto finals = broker->recover_finals();
  ASSERT_TRUE(static_cast<bool>(finals));
  ASSERT_EQ(finals->jobs.size(), 3U);
  EXPECT_EQ(finals->jobs[0].id, id(3)) << "oldest first";
  EXPECT_EQ(finals->jobs[0].finished, wall(6'000));
  EXPECT_EQ(finals->jobs[2].id, id(1));

  core::Batch second = batch(2);
  second.stale_notes.push_back(id(3));
  second.removals.push_back({id(3), "images", core::State::kDead});
  second.removals.push_back({id(2), "images", core::State::kDead});
  broker.commit(second);
  const auto left = broker.everything();
  EXPECT_EQ(left.size(), 2U);
  EXPECT_EQ(left.count("job " + core::to_string(id(1))), 1U);
  EXPECT_FALSE(broker.read({id(3)}, ports::ReadRequest::What::kEverything).at(0).found);
}

TYPED_TEST_P(StoreContract, ARunningJobsLatestWordIsKeptAndChangesNothingElse) {
  Driver broker = this->broker();
  broker.open();
  core::Batch first = batch(1);
  first.jobs.push_back(queued(1));
  broker.commit(first);
  const auto before = broker.everything();
  core::Batch second = batch(2);
  second.progress.push_back({id(1), {0.1F, wall(2'000), core::Bytes::copy_of("page 3")}});
  broker.commit(second);
  auto expected = before;
  expected["job " + core::to_string(id(1))] +=
      " progress=0.100000 progress_message='page 3' progress_at=2000";
  EXPECT_EQ(broker.everything(), expected);

  core::Batch third = batch(3);
  third.progress.push_back({id(1), {-7, wall(3'000), {}}});
  third.jobs.push_back(changed(queued(1), core::State::kSucceeded));
  third.jobs.back().job.finished = wall(3'000);
  broker.commit(third);
  const auto after = broker.everything();
  const std::string line = after.at("job " + core::to_string(id(1)));
  EXPECT_THAT(line, ::testing::HasSubstr("succeeded "));
  EXPECT_THAT(line,
              ::testing::HasSubstr(" progress=-7.000000 progress_message='' progress_at=3000"));

  core::Batch fourth = batch(4);
  fourth.removals.push_back({id(1), "images", core::State::kSucceeded});
  broker.commit(fourth);
  EXPECT_EQ(broker.everything(), (std::map<std::string, std::string>{}));
}

TYPED_TEST_P(StoreContract, ACheckpointIsKeptAndRecoveredUntilItIsTakenAway) {
  Driver broker = this->broker();
  broker.open();
  core::Batch first = batch(1);
  first.jobs = {queued(1), queued(2)};
  broker.commit(first);
  const auto before = broker.everything();
  core::Batch second = batch(2);
  const core::Bytes three = core::Bytes::copy_of(std::string_view("a\0b", 3));
  second.checkpoints.push_back({id(1), {core::Encoding::kBytes, three}});
  second.checkpoints.push_back({id(2), {core::Encoding::kJson, core::Bytes::copy_of("[1]")}});
  broker.commit(second);
  core::Batch third = batch(3);
  // An empty one is one.
  const core::Bytes empty = core::Bytes::copy_of(std::string_view());
  third.checkpoints.push_back({id(2), {core::Encoding::kUtf8, empty}});
  third.jobs.push_back(changed(queued(2), core::State::kScheduled));
  third.jobs.back().job.due = wall(9'000);
  broker.commit(third);
  const std::string name = "job " + core::to_string(id(1));
  EXPECT_EQ(broker.everything().at(name),
            before.at(name) + " checkpoint_encoding=1 checkpoint='" + std::string("a\0b", 3) + "'");

  Driver next = this->broker();
  next.open();
  auto page = next->recover_jobs();
  ASSERT_TRUE(static_cast<bool>(page));
  ASSERT_EQ(page->jobs.size(), 2U);
  for (const ports::StoredJob& job : page->jobs) {
    const bool is_first = job.id == id(1);
    EXPECT_TRUE(job.checkpoint);
    EXPECT_EQ(job.checkpoint.encoding, is_first ? core::Encoding::kBytes : core::Encoding::kUtf8);
    EXPECT_EQ(job.checkpoint.bytes.view(), is_first ? three.view() : std::string_view());
  }

  core::Batch fourth = batch(4);
  fourth.jobs.push_back(changed(queued(1), core::State::kSucceeded));
  fourth.jobs.back().job.finished = wall(3'000);
  fourth.checkpoints.push_back({id(1), {}});
  next.commit(fourth);
  EXPECT_THAT(next.everything().at(name), ::testing::Not(::testing::HasSubstr("checkpoint")));
}

TYPED_TEST_P(StoreContract, WhatWorkersDeclareOfATypeIsRecovered) {
  Driver broker = this->broker();
  broker.open();
  core::RetryPolicy policy;
  policy.attempts = 7;
  policy.crashes = 0;
  policy.backoff = core::BackoffKind::kListed;
  policy.listed = {core::Millis(10), core::Millis(20)};
  policy.fatal = {"ValueError"};
  const auto retry = std::make_shared<const core::RetryPolicy>(policy);
  core::Batch first = batch(1);
  first.types = {{"both", core::Millis(30'000), retry},
                 {"time", core::Millis(5), nullptr},
                 {"policy", core::Millis(0), retry}};
  broker.commit(first);
  core::Batch second = batch(2);
  second.types = {{"time", core::Millis(0), nullptr}};  // says nothing any more
  broker.commit(second);

  Driver next = this->broker();
  next.open();
  auto types = next->recover_types();
  ASSERT_TRUE(static_cast<bool>(types));
  std::map<std::string, ports::RecoveredType> found;
  for (const ports::RecoveredType& type : *types) found[type.type] = type;
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found["both"].timeout, core::Millis(30'000));
  ASSERT_TRUE(found["both"].retry);
  EXPECT_EQ(*found["both"].retry, policy);
  EXPECT_EQ(found["policy"].timeout, core::Millis(0));
  ASSERT_TRUE(found["policy"].retry);
}

TYPED_TEST_P(StoreContract, AFinishedJobIsRecoveredWithTheTimeAtWhichItGoesByItself) {
  Driver broker = this->broker();
  broker.open();
  core::Batch first = batch(1);
  core::JobWrite own = queued(1);
  auto options = std::make_shared<core::JobOptions>();
  options->result_ttl = core::Millis(5'000);
  own.job.options = options;
  first.jobs = {own, queued(2)};
  broker.commit(first);
  core::Batch second = batch(2);
  second.jobs = {changed(own, core::State::kSucceeded),
                 changed(queued(2), core::State::kSucceeded)};
  for (core::JobWrite& done : second.jobs) done.job.finished = wall(2'000);
  broker.commit(second);

  Driver next = this->broker();
  next.open();
  auto finals = next->recover_finals();
  ASSERT_TRUE(static_cast<bool>(finals));
  ASSERT_EQ(finals->jobs.size(), 2U);
  for (const ports::RecoveredFinal& job : finals->jobs)
    EXPECT_EQ(job.goes, job.id == id(1) ? wall(7'000) : core::Wall{});
  core::Batch third = batch(3);
  third.removals = {{id(1), "images", core::State::kSucceeded, true},
                    {id(2), "images", core::State::kSucceeded, false}};
  third.gone_before = wall(900);
  next.commit(third);
  EXPECT_EQ(next.everything(), (std::map<std::string, std::string>{}));
}

TYPED_TEST_P(StoreContract, WhatIsGoneIsRecoveredAsOfTheLastRemovals) {
  Driver broker = this->broker();
  broker.open();
  auto before = broker->recover_gone_before();
  ASSERT_TRUE(static_cast<bool>(before));
  EXPECT_EQ(*before, core::Wall{});
  core::Batch first = batch(1);
  first.jobs = {queued(1)};
  broker.commit(first);
  core::Batch second = batch(2);
  second.jobs = {changed(queued(1), core::State::kCancelled)};
  second.jobs[0].job.finished = wall(2'000);
  second.jobs[0].job.cancel_reason = core::Bytes::copy_of("no longer");
  broker.commit(second);
  EXPECT_EQ(
      broker.read({id(1)}, ports::ReadRequest::What::kEverything).at(0).job.cancel_reason.view(),
      "no longer");
  core::Batch third = batch(3);
  third.removals = {{id(1), "images", core::State::kCancelled, false}};
  third.gone_before = wall(1'500);
  broker.commit(third);
  Driver next = this->broker();
  next.open();
  auto after = next->recover_gone_before();
  ASSERT_TRUE(static_cast<bool>(after));
  EXPECT_EQ(*after, wall(1'500));
}

TYPED_TEST_P(StoreContract, DedupKeysAreRecoveredWithTheTimeThatIsLeft) {
  Driver broker = this->broker();
  broker.open();
  core::Batch first = batch(1);
  core::JobWrite job = queued(1);
  auto options = std::make_shared<core::JobOptions>();
  options->dedup_key = "nightly";
  options->dedup_window = core::Millis(60'000);
  job.job.options = options;
  first.jobs = {job, queued(2)};
  broker.commit(first);
  Driver next = this->broker();
  next.open();
  auto dedups = next->recover_dedups();
  ASSERT_TRUE(static_cast<bool>(dedups));
  ASSERT_EQ(dedups->size(), 1U);
  EXPECT_EQ((*dedups)[0].key, "nightly");
  EXPECT_EQ((*dedups)[0].job, id(1));
  EXPECT_GT((*dedups)[0].left, core::Millis(0));
  EXPECT_LE((*dedups)[0].left, core::Millis(60'001));
}

TYPED_TEST_P(StoreContract, AHostIsRecoveredUntilItHasLeft) {
  Driver broker = this->broker();
  broker.open();
  core::HostId one;
  one.bytes[0] = 1;
  core::HostId two;
  two.bytes[0] = 2;
  core::Batch first = batch(1);
  first.hosts.push_back({one, "alpha", 2, 4, wall(1'000), false});
  first.hosts.push_back({two, "beta", 1, 1, wall(1'000), false});
  broker.commit(first);
  core::Batch second = batch(2);
  second.hosts.push_back({two, "beta", 0, 0, wall(1'100), true});
  broker.commit(second);
  auto hosts = broker->recover_hosts();
  ASSERT_TRUE(static_cast<bool>(hosts));
  EXPECT_EQ(*hosts, std::vector<core::HostId>{one});
}

TYPED_TEST_P(StoreContract, ContractsThatAreKeptReplaceAllOthersAndOutliveTheBroker) {
  std::vector<ports::ContractFile> files = {{"mail", std::string("a\0b", 3)}, {"shop", "BFBS"}};
  {
    Driver broker = this->broker();
    broker.open();
    ASSERT_TRUE(static_cast<bool>(broker->keep_contracts({{"old", "gone"}, {"shop", "before"}})));
    ASSERT_TRUE(static_cast<bool>(broker->keep_contracts(files)));
  }
  Driver next = this->broker();
  next.open();
  auto kept = next->recover_contracts();
  ASSERT_TRUE(static_cast<bool>(kept));
  EXPECT_TRUE(*kept == files);
  ASSERT_TRUE(static_cast<bool>(next->keep_contracts({})));
  EXPECT_TRUE(next->recover_contracts()->empty());
}

TYPED_TEST_P(StoreContract, ContractsOfABatchAreAddedReplacedAndRemoved) {
  const std::string binary("a\0b", 3);
  {
    Driver broker = this->broker();
    broker.open();
    ASSERT_TRUE(static_cast<bool>(broker->keep_contracts({{"mail", "old"}, {"shop", "BFBS"}})));
    core::Batch change = batch(1);
    change.contracts = {{"mail", core::Bytes::copy_of(binary)}, {"shop", core::Bytes{}}};
    broker.commit(change);
    core::Batch more = batch(2);
    more.contracts = {{"late", core::Bytes::copy_of(std::string_view("BFBS"))}};
    broker.commit(more);
  }
  Driver next = this->broker();
  next.open();
  auto kept = next->recover_contracts();
  ASSERT_TRUE(static_cast<bool>(kept));
  EXPECT_TRUE((*kept == std::vector<ports::ContractFile>{{"late", "BFBS"}, {"mail", binary}}));
}

TYPED_TEST_P(StoreContract, QuestionsAreAnsweredInTheirOrder) {
  Driver broker = this->broker();
  broker.open();
  core::Batch first = batch(1);
  for (const unsigned number : {1U, 2U, 3U}) first.jobs.push_back(queued(number));
  broker.commit(first);
  using What = ports::ReadRequest::What;
  EXPECT_TRUE(broker->read({71, {id(3), id(200), id(1)}, What::kPayload}));
  EXPECT_TRUE(broker->read({72, {id(2)}, What::kEverything}));
  const auto one = broker.template next<ports::ReadDone>("the first answer");
  EXPECT_EQ(one.tag, 71U);
  ASSERT_EQ(one.jobs.size(), 3U);
  EXPECT_EQ(one.jobs[0].id, id(3));
  EXPECT_EQ(one.jobs[0].job.payload.view(), "payload 3");
  EXPECT_EQ(one.jobs[1].id, id(200));
  EXPECT_FALSE(one.jobs[1].found);
  EXPECT_TRUE(one.jobs[2].found);
  EXPECT_TRUE(one.jobs[2].queue.empty()) << "only the payload was asked for";
  const auto two = broker.template next<ports::ReadDone>("the second answer");
  EXPECT_EQ(two.tag, 72U);
  EXPECT_EQ(two.jobs.at(0).queue, "images");
}

TYPED_TEST_P(StoreContract, MoreQuestionsThanTheBoundAreTurnedAway) {
  Driver broker = this->broker();
  broker.open();
  std::uint64_t taken = 0;
  while (taken < 1'000 &&
         broker->read({taken, {id(1), id(2)}, ports::ReadRequest::What::kEverything}))
    ++taken;
  EXPECT_EQ(taken, 64U);
  for (std::uint64_t tag = 0; tag < taken; ++tag)
    EXPECT_EQ(broker.template next<ports::ReadDone>("an answer").tag, tag);
  EXPECT_TRUE(broker->read({99, {id(1)}, ports::ReadRequest::What::kPayload}));
}

TYPED_TEST_P(StoreContract, CommitsAndQuestionsGoOnSideBySide) {
  Driver broker = this->broker();
  broker.open();
  for (std::uint64_t sequence = 1; sequence <= 20; ++sequence) {
    core::Batch b = batch(sequence);
    b.jobs.push_back(queued(sequence));
    EXPECT_TRUE(broker->read({sequence, {id(sequence - 1)}, ports::ReadRequest::What::kPayload}));
    broker->commit(b);
    // Two connections: either may answer first.
    bool read = false;
    bool committed = false;
    broker.until("both", [&] {
      for (const auto& event : broker.take_events()) {
        read = read || std::holds_alternative<ports::ReadDone>(event);
        committed = committed || std::holds_alternative<ports::Committed>(event);
      }
      return read && committed;
    });
  }
}

// Dead jobs 0 … count-1 of queue "images"; each dies at 5000 + number / together.
inline core::Batch deaths(std::uint64_t sequence, std::uint64_t count, std::uint64_t together) {
  core::Batch dead = batch(sequence);
  for (std::uint64_t number = 0; number < count; ++number) {
    core::JobWrite write = queued(number);
    write.job.state = core::State::kDead;
    write.job.reason = core::DeadReason::kRaised;
    write.job.attempts = write.job.raised = 1;
    write.job.finished = wall(static_cast<std::int64_t>(5'000 + number / together));
    core::Attempt attempt;
    attempt.number = 1;
    attempt.outcome = core::Outcome::kRaised;
    attempt.error_type = "app.Bad";
    attempt.error_message = "number " + std::to_string(number);
    attempt.error = core::Bytes::copy_of(std::string_view("buffer"));
    write.attempts.push_back(attempt);
    dead.jobs.push_back(write);
  }
  return dead;
}

TYPED_TEST_P(StoreContract, AScanWalksAnIndexInItsOrderFromPageToPage) {
  Driver broker = this->broker();
  broker.open();
  // A page of 10, and 25 that died at one moment: places within it, too.
  broker.commit(deaths(1, 60, 25));
  std::vector<core::JobId> expected;
  for (std::uint64_t number = 0; number < 60; ++number) expected.push_back(id(number));
  std::sort(expected.begin(), expected.end(), [](const auto& a, const auto& b) { return a < b; });
  std::vector<core::JobId> found;
  core::IndexPlace after;
  bool last = false;
  for (int page = 0; !last; ++page) {
    ASSERT_LT(page, 30);
    const ports::ScanDone done = broker.scan("images", core::State::kDead, after, 10);
    ASSERT_TRUE(done.last || !done.jobs.empty());
    ASSERT_LE(done.jobs.size(), 10U);
    for (const ports::StoredJob& job : done.jobs) found.push_back(job.id);
    if (!done.jobs.empty()) {
      EXPECT_EQ(done.end, (core::IndexPlace{done.jobs.back().job.finished, done.jobs.back().id}));
    }
    after = done.end;
    last = done.last;
  }
  std::vector<core::JobId> in_order = found;
  std::sort(in_order.begin(), in_order.end());
  EXPECT_EQ(in_order, expected) << "each once";
  EXPECT_THAT(broker.scan("images", core::State::kDead, after, 10).jobs, ::testing::IsEmpty());
  EXPECT_TRUE(broker.scan("none", core::State::kDead, {}, 10).last);
  EXPECT_TRUE(broker.scan("images", core::State::kQueued, {}, 10).jobs.empty());
}

TYPED_TEST_P(StoreContract, AScanReadsHeadsAndAWholeReadTheAttempts) {
  Driver broker = this->broker();
  broker.open();
  broker.commit(deaths(1, 1, 1));
  const ports::ScanDone done = broker.scan("images", core::State::kDead, {}, 10);
  ASSERT_EQ(done.jobs.size(), 1U);
  EXPECT_TRUE(done.last);
  EXPECT_EQ(describe(done.jobs[0]),
            "dead queue=images type=thumbnail encoding=3 priority=4 size=9 created=1000 attempts=1 "
            "raised=1 finished=5000 reason=1 error_type=app.Bad error_message=number 0");
  EXPECT_TRUE(done.jobs[0].attempts.empty());
  const auto whole = broker.read({id(0)}, ports::ReadRequest::What::kWhole);
  ASSERT_EQ(whole.size(), 1U);
  EXPECT_EQ(whole[0].job.payload.view(), "payload 0");
  ASSERT_EQ(whole[0].attempts.size(), 1U);
  EXPECT_EQ(whole[0].attempts[0].number, 1);
  EXPECT_EQ(whole[0].attempts[0].generation, 0U);
  EXPECT_EQ(whole[0].attempts[0].outcome, core::Outcome::kRaised);
  EXPECT_EQ(whole[0].attempts[0].error.view(), "buffer");
  const auto head = broker.read({id(0), id(7)}, ports::ReadRequest::What::kHead);
  EXPECT_EQ(describe(head[0]), describe(done.jobs[0]));
  EXPECT_FALSE(head[1].found);
}

TYPED_TEST_P(StoreContract, AWalkSeesWhatStaysAlthoughTheRestLeaves) {
  Driver broker = this->broker();
  broker.open();
  broker.commit(deaths(1, 30, 1));
  const ports::ScanDone first = broker.scan("images", core::State::kDead, {}, 10);
  core::Batch gone = batch(2);
  for (std::uint64_t number = 0; number < 15; ++number)
    gone.removals.push_back({id(number), "images", core::State::kDead});
  broker.commit(gone);
  const ports::ScanDone second = broker.scan("images", core::State::kDead, first.end, 10);
  ASSERT_EQ(second.jobs.size(), 10U);
  EXPECT_EQ(second.jobs.front().id, id(15));
  EXPECT_EQ(second.jobs.back().id, id(24));
}

TYPED_TEST_P(StoreContract, AReplayMovesAJobAndLeavesNothingOfItsDeath) {
  Driver broker = this->broker();
  broker.open();
  core::Batch first = deaths(1, 1, 1);
  first.jobs[0].job.expires = wall(4'000);
  broker.commit(first);
  core::JobWrite replay = queued(0);
  replay.stored = core::State::kDead;
  replay.stored_queue = "images";
  replay.job.queue = "again";
  replay.job.origin = "images";
  replay.job.generation = 1;
  core::Batch second = batch(2);
  second.jobs.push_back(replay);
  broker.commit(second);
  const std::string head =
      "queued queue=again origin=images type=thumbnail encoding=3 priority=4 size=9";
  auto jobs = broker.read({id(0)}, ports::ReadRequest::What::kEverything);
  EXPECT_EQ(describe(jobs[0]), head + " payload='payload 0' created=1000 generation=1");
  EXPECT_TRUE(broker.scan("images", core::State::kDead, {}, 10).jobs.empty());
  EXPECT_EQ(broker.scan("again", core::State::kQueued, {}, 10).jobs.size(), 1U);

  // It dies again, and goes back to where it came from.
  core::JobWrite death = replay;
  death.stored = core::State::kQueued;
  death.stored_queue = "";
  death.job.state = core::State::kDead;
  death.job.reason = core::DeadReason::kCrashed;
  death.job.finished = wall(9'000);
  death.job.attempts = death.job.crashed = 1;
  core::Attempt attempt;
  attempt.number = 1;
  attempt.generation = 1;
  attempt.outcome = core::Outcome::kCrashed;
  attempt.error_type = "jobwire.WorkerCrashed";
  death.attempts.push_back(attempt);
  core::Batch third = batch(3);
  third.jobs.push_back(death);
  broker.commit(third);
  const auto whole = broker.read({id(0)}, ports::ReadRequest::What::kWhole);
  ASSERT_EQ(whole[0].attempts.size(), 2U);
  EXPECT_EQ(whole[0].attempts[0].generation, 0U);
  EXPECT_EQ(whole[0].attempts[1].generation, 1U);
  core::JobWrite back = replay;
  back.stored_queue = "again";
  back.job.queue = "images";
  back.job.origin = "";
  back.job.generation = 2;
  core::Batch fourth = batch(4);
  fourth.jobs.push_back(back);
  broker.commit(fourth);
  jobs = broker.read({id(0)}, ports::ReadRequest::What::kEverything);
  EXPECT_EQ(describe(jobs[0]),
            "queued queue=images type=thumbnail encoding=3 priority=4 size=9 payload='payload 0' "
            "created=1000 generation=2");
}

TYPED_TEST_P(StoreContract, AJobThatIsReplayedAndCancelledInOneBatchIsCancelled) {
  Driver broker = this->broker();
  broker.open();
  broker.commit(deaths(1, 1, 1));
  core::JobWrite write = queued(0);
  write.stored = core::State::kDead;
  write.job.state = core::State::kCancelled;
  write.job.generation = 1;
  write.job.finished = wall(6'000);
  write.drop_payload = true;
  core::Batch second = batch(2);
  second.jobs.push_back(write);
  broker.commit(second);
  const auto jobs = broker.read({id(0)}, ports::ReadRequest::What::kEverything);
  EXPECT_EQ(describe(jobs[0]),
            "cancelled queue=images type=thumbnail encoding=3 priority=4 size=9 created=1000 "
            "generation=1 finished=6000");
}

TYPED_TEST_P(StoreContract, AnImportedJobClaimsNoDedupKey) {
  Driver broker = this->broker();
  broker.open();
  core::Batch first = deaths(1, 1, 1);
  auto options = std::make_shared<core::JobOptions>();
  options->dedup_key = "used";
  options->dedup_window = core::Millis(60'000);
  first.jobs[0].job.options = options;
  broker.commit(first);
  EXPECT_EQ(broker.everything().count("dedup used"), 0U);
}

TYPED_TEST_P(StoreContract, SettingsOfQueuesAreKeptAndTakenBack) {
  Driver broker = this->broker();
  broker.open();
  core::QueueSettings paused;
  paused.weight = 7;
  paused.paused = paused.draining = true;
  paused.by = "ada";
  paused.why = "größer \n disk";
  paused.since = wall(1'000);
  paused.until = wall(2'000);
  core::Batch first = batch(1);
  first.settings = {{"images", {}}, {"images", paused}, {"mail", {}}};
  first.settings[2].settings.weight = 3;
  broker.commit(first);
  Driver next = this->broker();
  next.open();
  auto all = next.everything();
  EXPECT_EQ(all["queue images"],
            "7 paused draining by=ada why=größer \n disk since=1000 until=2000");
  EXPECT_EQ(all["queue mail"], "3 by= why= since=0 until=0");
  core::Batch second = batch(2);
  core::QueueSettings open = paused;
  open.open();
  open.weight = 1;
  second.settings = {{"images", open}};
  next.commit(second);
  EXPECT_EQ(next.everything().count("queue images"), 0U);
  auto queues = next->recover_queues();
  ASSERT_TRUE(static_cast<bool>(queues));
  ASSERT_EQ(queues->size(), 2U) << "a queue that was ever used stays known";
}

REGISTER_TYPED_TEST_SUITE_P(
    StoreContract, EachOpenRaisesTheEpochAndKeepsTheSequence, ABatchIsReadBackAsItWasWritten,
    RecoveryReadsWhatIsNotFinalWithoutPayloads, RecoveryOfManyJobsComesInPages,
    RecoveryGoesOnWhileBatchesAreCommitted, ARefusedBatchChangesNothingAndTheNextOneGoesOn,
    AFullStoreTakesWhatEndsJobsAndWhatRemovesThem, AFullStoreCanBeTakenOver,
    AFullStoreIsJudgedBySequenceAsAnyOther, AFullStoreTakesLostBatchesAgain,
    LessThanTheReserveIsToldAndSoIsItsEnd, ASecondOwnerFencesTheFirst, LostReplyIsJudgedBySequence,
    LostRequestIsSentAgain, AStoreThatIsAwayTakesNoQuestions, LostBatchesAreWrittenAgain,
    LostBatchesThatMemoryDoesNotHoldEndEverything, AnEmptiedStoreEndsEverything,
    AJobsLifeLeavesNothingBehindOfWhatIsOver, AJobThatStartsAndEndsWithinABatchIsWrittenOnce,
    AFinishedJobIsKeptUntilItIsRemoved, ARunningJobsLatestWordIsKeptAndChangesNothingElse,
    ACheckpointIsKeptAndRecoveredUntilItIsTakenAway, WhatWorkersDeclareOfATypeIsRecovered,
    AFinishedJobIsRecoveredWithTheTimeAtWhichItGoesByItself,
    WhatIsGoneIsRecoveredAsOfTheLastRemovals, DedupKeysAreRecoveredWithTheTimeThatIsLeft,
    AHostIsRecoveredUntilItHasLeft, ContractsThatAreKeptReplaceAllOthersAndOutliveTheBroker,
    ContractsOfABatchAreAddedReplacedAndRemoved, QuestionsAreAnsweredInTheirOrder,
    MoreQuestionsThanTheBoundAreTurnedAway, CommitsAndQuestionsGoOnSideBySide,
    AScanWalksAnIndexInItsOrderFromPageToPage, AScanReadsHeadsAndAWholeReadTheAttempts,
    AWalkSeesWhatStaysAlthoughTheRestLeaves, AReplayMovesAJobAndLeavesNothingOfItsDeath,
    AJobThatIsReplayedAndCancelledInOneBatchIsCancelled, AnImportedJobClaimsNoDedupKey,
    SettingsOfQueuesAreKeptAndTakenBack);

}  // namespace jobwire::testing
