// SPDX-License-Identifier: Apache-2.0
// Redis killed, frozen, full, in foreign hands: what was committed stays, and counts once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <sstream>
#include <thread>

#include "redis_rig.h"
#include "store_rig.h"

namespace jobwire::testing {
namespace {

core::Batch counted(std::uint64_t sequence) {
  core::Batch b = batch(sequence);
  b.jobs.push_back(queued(sequence));
  b.queues.push_back({"images", 1});
  return b;
}

std::string submitted(const RedisRig& rig) {
  return rig.server.command({"HGET", "jw:{0}:queue:images", "submitted"});
}

TEST(RedisFaults, ALostReplyCountsOnce) {
  RedisRig rig;
  Driver broker(rig.broker());
  broker.open();
  rig.lose_next_reply();
  broker->commit(counted(1));
  broker.next<ports::StoreAway>("the loss");
  rig.come_back();
  broker.next<ports::Committed>("the batch");
  EXPECT_EQ(submitted(rig), "1");
  EXPECT_EQ(rig.server.command({"XLEN", "jw:{0}:events"}), "1");
}

// A frozen Redis runs what it was sent once it thaws, even if the sender has hung up by then.
TEST(RedisFaults, WhatAnAbandonedConnectionSentHasNoEffectAnyMore) {
  RedisRig rig;
  redis::RedisOptions options = rig.options();
  options.reply_timeout = core::Millis(100);
  Driver broker(std::make_unique<redis::RedisStore>(options));
  broker.open();
  broker.commit(counted(1));
  rig.proxy.cut(SocketProxy::Cut::kHold);
  broker->commit(counted(2));
  broker.next<ports::StoreAway>("the silence");
  EXPECT_EQ(broker.next<ports::Committed>("the batch, sent again").sequence, 2U);
  broker.commit(counted(3));
  rig.proxy.release();
  EXPECT_EQ(submitted(rig), "3");
  EXPECT_EQ(rig.server.command({"XLEN", "jw:{0}:events"}), "3");
  EXPECT_EQ(rig.server.command({"GET", "jw:{0}:seq"}), "3");
  broker.commit(counted(4));
}

TEST(RedisFaults, AFrozenRedisAppliesABatchOnceWhenItThaws) {
  for (int round = 0; round < 5; ++round) {
    RedisRig rig;
    redis::RedisOptions options = rig.options();
    options.endpoint = *redis::Endpoint::parse(rig.server.url());
    options.reply_timeout = core::Millis(100);
    Driver broker(std::make_unique<redis::RedisStore>(options));
    broker.open();
    broker.commit(counted(1));
    core::Batch large = counted(2);
    for (std::uint64_t number = 1'000; number < 1'300; ++number)
      large.jobs.push_back(queued(number));
    rig.server.freeze();
    broker->commit(large);
    broker.next<ports::StoreAway>("the silence");
    const core::Steady end = steady_now() + core::Millis(50 + 23 * round);
    broker.until("some vain attempts", [&] { return steady_now() >= end; });
    rig.server.thaw();
    EXPECT_EQ(broker.next<ports::Committed>("the batch").sequence, 2U);
    for (std::uint64_t sequence = 3; sequence < 20; ++sequence) broker.commit(counted(sequence));
    EXPECT_EQ(submitted(rig), "19");
    EXPECT_EQ(rig.server.command({"XLEN", "jw:{0}:events"}), "19");
    EXPECT_EQ(rig.server.command({"GET", "jw:{0}:seq"}), "19");
  }
}

/// Kills Redis again and again with a batch under way; every batch must count once.
void kill_between_commits(RedisRig& rig, Driver& broker, int kills) {
  std::uint64_t sequence = 0;
  for (int kill = 0; kill < kills; ++kill) {
    for (int i = 0; i < 25; ++i) broker.commit(counted(++sequence));
    broker->commit(counted(++sequence));
    rig.server.kill();
    rig.server.start();
    EXPECT_EQ(broker.next<ports::Committed>("the batch under way").sequence, sequence);
    // Its reply may have been here before the kill was noticed.
    core::Batch next = counted(++sequence);
    broker.until("a store that is ready", [&] { return broker->ready(); });
    broker->commit(next);
    EXPECT_EQ(broker.next<ports::Committed>("the next batch").sequence, sequence);
    EXPECT_EQ(submitted(rig), std::to_string(sequence));
  }
  EXPECT_EQ(rig.server.command({"XLEN", "jw:{0}:events"}), std::to_string(sequence));
}

TEST(RedisFaults, KilledInTheMidstOfCommitsWithAofAlwaysLosesNothing) {
  RedisRig rig({"--appendonly", "yes", "--appendfsync", "always"});
  redis::RedisOptions options = rig.options();
  options.ring_bytes = 0;  // without help from memory
  Driver broker(std::make_unique<redis::RedisStore>(options));
  EXPECT_EQ(broker.open().durability, core::Durability::kFsynced);
  kill_between_commits(rig, broker, 8);
}

TEST(RedisFaults, KilledInTheMidstOfCommitsWithAofEverysecIsRepaired) {
  RedisRig rig({"--appendonly", "yes", "--appendfsync", "everysec"});
  Driver broker(rig.broker());
  EXPECT_EQ(broker.open().durability, core::Durability::kStored);
  kill_between_commits(rig, broker, 8);
}

// What everysec may lose: the file ends some transactions earlier, the last one cut in two.
TEST(RedisFaults, ATornAofIsRepairedFromMemory) {
  RedisRig rig({"--appendonly", "yes", "--appendfsync", "always"});
  Driver broker(rig.broker());
  broker.open();
  for (std::uint64_t sequence = 1; sequence <= 10; ++sequence) broker.commit(counted(sequence));
  const std::uintmax_t kept = rig.server.aof_size() + 100;
  for (std::uint64_t sequence = 11; sequence <= 30; ++sequence) broker.commit(counted(sequence));
  const auto before = broker.everything();
  rig.server.kill();
  rig.server.cut_aof(kept);
  rig.server.start();
  EXPECT_EQ(rig.server.command({"GET", "jw:{0}:seq"}), "10");
  EXPECT_EQ(broker.next<ports::StoreBack>("the repair").repaired, 20U);
  EXPECT_EQ(broker.everything(), before);
  EXPECT_EQ(submitted(rig), "30");
  broker.commit(counted(31));
}

TEST(RedisFaults, AYoungRedisThatLostEverythingInACrashIsRepairedWhole) {
  RedisRig rig;
  Driver broker(rig.broker());
  EXPECT_EQ(broker.open().epoch, 1U);
  broker.commit(counted(1));
  broker.commit(counted(2));
  const auto before = broker.everything();
  rig.server.kill();  // without AOF
  rig.server.start();
  EXPECT_EQ(rig.server.command({"DBSIZE"}), "0");
  EXPECT_EQ(broker.next<ports::StoreBack>("the repair").repaired, 2U);
  EXPECT_EQ(broker.everything(), before);
  EXPECT_EQ(rig.server.command({"GET", "jw:{0}:epoch"}), "1");
}

TEST(RedisFaults, AnOlderRedisThatLostEverythingEndsEverything) {
  RedisRig rig;
  {
    Driver earlier(rig.broker());
    earlier.open();
    earlier.commit(counted(1));
  }
  Driver broker(rig.broker());
  broker.open();
  broker.commit(counted(2));
  rig.server.kill();
  rig.server.start();
  EXPECT_THAT(broker.next<ports::StoreDiverged>("the divergence").message,
              ::testing::HasSubstr("empty"));
  EXPECT_EQ(rig.server.command({"DBSIZE"}), "0");
}

TEST(RedisFaults, TheOldEpochComesBackWithTheOldDataAndIsRaisedAgain) {
  RedisRig rig;
  {
    Driver first(rig.broker());
    first.open();
    first.commit(counted(1));
  }
  rig.mark();
  Driver second(rig.broker());
  EXPECT_EQ(second.open().epoch, 2U);
  second.commit(counted(2));
  rig.go_back();
  EXPECT_EQ(rig.server.command({"GET", "jw:{0}:epoch"}), "1");
  rig.come_back();
  EXPECT_EQ(second.next<ports::StoreBack>("the repair").repaired, 1U);
  EXPECT_EQ(rig.server.command({"GET", "jw:{0}:epoch"}), "2");
  EXPECT_EQ(submitted(rig), "2");
}

TEST(RedisFaults, TwoBrokersOfOneEpochAreToldApart) {
  RedisRig rig;
  {
    Driver earlier(rig.broker());
    earlier.open();
    earlier.commit(counted(1));
  }
  rig.mark();
  Driver first(rig.broker());
  EXPECT_EQ(first.open().epoch, 2U);
  rig.go_back();
  // Redis has forgotten the first; another broker counts up to the same number.
  redis::RedisOptions direct = rig.options();
  direct.endpoint = *redis::Endpoint::parse(rig.server.url());
  Driver second(std::make_unique<redis::RedisStore>(direct));
  EXPECT_EQ(second.open().epoch, 2U);
  rig.come_back();
  first.next<ports::Fenced>("the fence");
  second.commit(counted(2));
}

TEST(RedisFaults, ABrokerWhoseShardWasTakenWhileItWasAwayIsFenced) {
  RedisRig rig;
  Driver first(rig.broker());
  first.open();
  rig.lose_next_request();
  first->commit(counted(1));
  first.next<ports::StoreAway>("the loss");
  redis::RedisOptions direct = rig.options();
  direct.endpoint = *redis::Endpoint::parse(rig.server.url());
  Driver second(std::make_unique<redis::RedisStore>(direct));
  second.open();
  rig.come_back();
  first.next<ports::Fenced>("the fence");
  EXPECT_EQ(submitted(rig), "(nil)");
}

TEST(RedisFaults, FlushallWhileAwayEndsEverything) {
  RedisRig rig;
  Driver broker(rig.broker());
  broker.open();
  broker.commit(counted(1));
  rig.lose_next_request();
  broker->commit(counted(2));
  broker.next<ports::StoreAway>("the loss");
  rig.empty();
  rig.come_back();
  EXPECT_THAT(broker.next<ports::StoreDiverged>("the divergence").message,
              ::testing::HasSubstr("empty"));
}

TEST(RedisFaults, SomebodyWhoTouchesTheEpochDoesNotStopTheBroker) {
  RedisRig rig;
  Driver broker(rig.broker());
  const auto opened = broker.open();
  rig.server.command({"SET", "jw:{0}:epoch", std::to_string(opened.epoch)});
  broker->commit(counted(1));
  EXPECT_EQ(broker.next<ports::Committed>("the batch").sequence, 1U);
  EXPECT_EQ(submitted(rig), "1");
}

TEST(RedisFaults, AReplicaIsAwayUntilItIsAMasterAgain) {
  RedisRig rig;
  Driver broker(rig.broker());
  broker.open();
  rig.server.command({"REPLICAOF", "127.0.0.1", "1"});
  broker->commit(counted(1));
  const auto away = broker.next<ports::StoreAway>("the refusal");
  EXPECT_THAT(away.message,
              ::testing::AnyOf(::testing::HasSubstr("READONLY"), ::testing::HasSubstr("closed")));
  rig.server.command({"REPLICAOF", "NO", "ONE"});
  EXPECT_EQ(broker.next<ports::Committed>("the batch").sequence, 1U);
  EXPECT_EQ(submitted(rig), "1");
}

TEST(RedisFaults, AFullRedisTakesNothingInHalvesHoweverOften) {
  RedisRig rig;
  Driver broker(rig.broker());
  broker.open();
  broker.commit(counted(1));
  const auto before = broker.everything();
  rig.server.command({"CONFIG", "SET", "maxmemory", "2mb"});
  int refused = 0;
  std::uint64_t sequence = 1;
  for (int i = 0; i < 200 && refused < 5; ++i) {
    core::Batch big = counted(sequence + 1);
    big.jobs[0].job.payload = core::Bytes::copy_of(std::string(100'000, 'x'));
    broker->commit(big);
    bool answered = false;
    broker.until("an answer", [&] {
      for (const auto& event : broker.take_events()) {
        answered = true;
        if (std::holds_alternative<ports::Committed>(event)) ++sequence;
        if (const auto* refusal = std::get_if<ports::BatchRefused>(&event)) {
          EXPECT_EQ(refusal->code, core::Code::kStoreFull);
          ++refused;
        }
      }
      return answered;
    });
  }
  EXPECT_EQ(refused, 5);
  EXPECT_EQ(submitted(rig), std::to_string(sequence));
  EXPECT_EQ(rig.server.command({"ZCARD", "jw:{0}:idx:images:queued"}), std::to_string(sequence));
  // Full, it can still be judged: a lost line does not turn "full" into "away".
  rig.lose_next_request();
  broker->commit(counted(sequence + 1));
  broker.next<ports::StoreAway>("the loss");
  rig.come_back();
  broker.next<ports::StoreBack>("its return");
}

// Batches that add, end and remove jobs, at a Redis that is full every few of them.
TEST(RedisFaults, AroundItsLimitARedisTakesEachBatchWholeOrNotAtAll) {
  RedisRig rig;
  Driver broker(rig.broker());
  broker.open();
  broker.commit(batch(1));
  rig.crowd();
  constexpr int kTrials = 1'000;
  std::uint64_t sequence = 1;
  std::uint64_t added = 0;
  std::deque<std::uint64_t> waiting;
  std::deque<std::uint64_t> ended;
  int refused = 0;
  int scripted = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    core::Batch b = batch(sequence + 1);
    core::JobWrite job = queued(added % 60'000);
    job.job.payload = core::Bytes::copy_of(std::string(20'000, 'x'));
    b.jobs.push_back(job);
    b.queues.push_back({"images", 1});
    if (trial % 2 == 0 && !waiting.empty()) {
      b.jobs.push_back(changed(queued(waiting.front()), core::State::kSucceeded));
      b.jobs.back().drop_payload = trial % 4 == 0;
      b.queues.back().succeeded = 1;
    }
    if (ended.size() > 5)
      b.removals.push_back({id(ended.front()), "images", core::State::kSucceeded});
    const bool ends = b.jobs.size() > 1;
    broker->commit(b);
    bool taken = false;
    broker.until("an answer", [&] {
      for (const auto& event : broker.take_events()) {
        taken = std::holds_alternative<ports::Committed>(event);
        if (taken || std::holds_alternative<ports::BatchRefused>(event)) return true;
      }
      return false;
    });
    if (taken) {
      waiting.push_back(added++ % 60'000);
    } else {
      ++refused;
      if (b.removals.empty() && !ends) continue;
      b.jobs.erase(b.jobs.begin());
      b.queues.back().submitted = 0;
      scripted += rig.server.command({"SET", "more", std::string(100'000, 'x')}) != "OK";
      broker.commit(b);
    }
    sequence = b.sequence;
    if (!b.removals.empty()) ended.pop_front();
    if (ends) {
      ended.push_back(waiting.front());
      waiting.pop_front();
    }
    if (trial % 20 != 0) continue;
    ASSERT_EQ(submitted(rig), std::to_string(added));
    ASSERT_EQ(rig.server.command({"GET", "jw:{0}:seq"}), std::to_string(sequence));
    ASSERT_EQ(rig.server.command({"ZCARD", "jw:{0}:idx:images:queued"}),
              std::to_string(waiting.size()));
    ASSERT_EQ(rig.server.command({"ZCARD", "jw:{0}:idx:images:succeeded"}),
              std::to_string(ended.size()));
    std::istringstream keys(rig.server.command({"KEYS", "jw:{0}:job:*"}));
    std::size_t jobs = 0;
    for (std::string key; std::getline(keys, key);) ++jobs;
    ASSERT_EQ(jobs, waiting.size() + ended.size());
  }
  EXPECT_GT(refused, kTrials / 20);
  EXPECT_GT(scripted, kTrials / 50);
}

TEST(RedisFaults, AFullRedisRemovesTheLargestBatchAndIsNoLongerFull) {
  RedisRig rig;
  Driver broker(rig.broker());
  broker.open();
  constexpr std::uint64_t kJobs = 7'800;
  core::Batch first = batch(1);
  core::Batch removal = batch(2);
  for (std::uint64_t number = 0; number < kJobs; ++number) {
    core::JobWrite done = queued(number);
    done.job.state = core::State::kSucceeded;
    first.jobs.push_back(done);
    removal.removals.push_back({id(number), "images", core::State::kSucceeded});
  }
  broker.commit(first);
  rig.fill();
  broker.commit(removal);
  EXPECT_EQ(rig.server.command({"DBSIZE"}), "5");  // epoch, owner, seq, queues, events
}

TEST(RedisFaults, WithoutPermissionForScriptsAFullRedisIsFullAndNotAway) {
  RedisRig rig;
  rig.server.command(
      {"ACL", "SETUSER", "jobs", "on", ">secret", "~*", "&*", "+@all", "-@scripting"});
  redis::RedisOptions options = rig.options();
  options.endpoint.user = "jobs";
  options.endpoint.password = "secret";
  Driver broker(std::make_unique<redis::RedisStore>(options));
  broker.open();
  broker.commit(counted(1));
  rig.fill();
  core::Batch note = batch(2);
  note.stale_notes.push_back(id(1));
  broker->commit(note);
  EXPECT_EQ(broker.next<ports::BatchRefused>("the refusal").code, core::Code::kStoreFull);
  rig.make_room();
  broker.commit(note);
}

TEST(RedisFaults, ABigAnswerDoesNotHoldUpACommit) {
  RedisRig rig;
  Driver broker(rig.broker());
  broker.open();
  core::Batch first = batch(1);
  for (const unsigned number : {1U, 2U, 3U, 4U}) {
    core::JobWrite job = queued(number);
    job.job.payload = core::Bytes::copy_of(std::string(8 << 20, 'x'));
    first.jobs.push_back(job);
  }
  broker.commit(first);
  EXPECT_TRUE(broker->read({5, {id(1), id(2), id(3), id(4)}, ports::ReadRequest::What::kPayload}));
  core::Batch second = batch(2);
  second.jobs.push_back(queued(9));
  broker->commit(second);
  const auto read = broker.next<ports::ReadDone>("the answer");
  ASSERT_EQ(read.jobs.size(), 4U);
  for (const auto& job : read.jobs) EXPECT_EQ(job.job.payload.size(), 8U << 20);
}

TEST(RedisFaults, QuestionsSurviveALostLine) {
  RedisRig rig;
  Driver broker(rig.broker());
  broker.open();
  broker.commit(counted(1));
  broker.read({id(1)}, ports::ReadRequest::What::kPayload);  // the line for reads is up
  rig.lose_next_reply();
  EXPECT_TRUE(broker->read({7, {id(1)}, ports::ReadRequest::What::kPayload}));
  broker.next<ports::StoreAway>("the loss");
  rig.come_back();
  const auto read = broker.next<ports::ReadDone>("the answer");
  EXPECT_EQ(read.tag, 7U);
  EXPECT_EQ(read.jobs.at(0).job.payload.view(), "payload 1");
}

}  // namespace
}  // namespace jobwire::testing
