// SPDX-License-Identifier: Apache-2.0
// The common suite on a real Redis, and what its keys look like to others.
#include "adapters/redis/redis_store.h"

#include <fstream>

#include "redis_rig.h"
#include "store_contract.h"

namespace jobwire::testing {
namespace {

INSTANTIATE_TYPED_TEST_SUITE_P(Redis, StoreContract, RedisRig);

class RedisLayout : public ::testing::Test {
 protected:
  RedisRig rig_;
  std::string redis(const std::vector<std::string>& words) { return rig_.server.command(words); }
};

TEST_F(RedisLayout, AJobIsAHashThatPeopleCanRead) {
  Driver broker(rig_.broker());
  broker.open();
  core::Batch first = batch(1);
  first.jobs.push_back(queued(1));
  first.queues.push_back({"images", 1});
  broker.commit(first);
  EXPECT_EQ(redis({"HGETALL", "jw:{0}:job:0190a6f2-0000-7000-8000-000000000001"}),
            "state\nqueued\nqueue\nimages\ntype\nthumbnail\ncreated_ms\n1001\nencoding\njson\n"
            "size\n9\npayload\npayload 1");
  EXPECT_EQ(redis({"ZRANGE", "jw:{0}:idx:images:queued", "0", "-1", "WITHSCORES"}),
            "0190a6f2-0000-7000-8000-000000000001\n1001");
  EXPECT_EQ(redis({"HGETALL", "jw:{0}:queue:images"}), "submitted\n1");
  EXPECT_EQ(redis({"SMEMBERS", "jw:{0}:queues"}), "images");
  EXPECT_EQ(redis({"GET", "jw:{0}:seq"}), "1");
  EXPECT_EQ(redis({"GET", "jw:{0}:epoch"}), "1");
  EXPECT_THAT(redis({"XRANGE", "jw:{0}:events", "-", "+"}),
              ::testing::EndsWith("seq\n1\nqueue:images\nqueued=1"));
}

TEST_F(RedisLayout, WhatIsUsualIsLeftOutAndReadBack) {
  Driver broker(rig_.broker());
  broker.open();
  core::Batch first = batch(1);
  first.jobs = {queued(1), queued(2)};
  first.jobs[1].job.timeout = core::Millis(600'000);
  broker.commit(first);
  const std::string usual = "jw:{0}:job:" + core::to_string(id(1));
  const std::string other = "jw:{0}:job:" + core::to_string(id(2));
  EXPECT_EQ(redis({"HEXISTS", usual, "timeout_ms"}), "0");
  EXPECT_EQ(redis({"HGET", other, "timeout_ms"}), "600000");
  auto page = broker->recover_jobs();
  ASSERT_TRUE(static_cast<bool>(page));
  ASSERT_EQ(page->jobs.size(), 2U);
  EXPECT_EQ(page->jobs[0].job.timeout, core::Millis(0)) << "its type's";
  EXPECT_EQ(page->jobs[1].job.timeout, core::Millis(600'000));

  core::Batch second = batch(2);
  for (const unsigned number : {1U, 2U}) {
    core::JobWrite done = changed(queued(number), core::State::kSucceeded);
    done.job.finished = wall(2'000);
    done.job.result = core::Bytes::copy_of("{}");
    done.job.result_encoding = number == 1 ? core::Encoding::kJson : core::Encoding::kBytes;
    second.jobs.push_back(done);
  }
  broker.commit(second);
  EXPECT_EQ(redis({"HEXISTS", usual, "result_encoding"}), "0");
  EXPECT_EQ(redis({"HGET", other, "result_encoding"}), "bytes");
  const auto jobs = broker.read({id(1), id(2)}, ports::ReadRequest::What::kEverything);
  EXPECT_EQ(jobs.at(0).job.result_encoding, core::Encoding::kJson);
  EXPECT_EQ(jobs.at(1).job.result_encoding, core::Encoding::kBytes);
  EXPECT_EQ(jobs.at(0).job.timeout, core::Millis(0));
}

TEST_F(RedisLayout, AttemptsKeepTheirFieldsThroughAReplay) {
  Driver broker(rig_.broker());
  broker.open();
  core::JobWrite job = queued(1);
  job.job.state = core::State::kDead;
  job.job.attempts = 1;
  core::Attempt attempt;
  attempt.number = 1;
  attempt.error_type = "ValueError";
  attempt.error_message = "two\nlines";
  job.attempts.push_back(attempt);
  core::Batch first = batch(1);
  first.jobs.push_back(job);
  broker.commit(first);
  core::JobWrite again = changed(job, core::State::kDead);
  again.stored = core::State::kRunning;
  again.job.generation = 1;
  attempt.generation = 1;
  again.attempts.push_back(attempt);
  core::Batch second = batch(2);
  second.jobs.push_back(again);
  broker.commit(second);
  const std::string key = "jw:{0}:job:" + core::to_string(id(1));
  EXPECT_EQ(redis({"HEXISTS", key, "attempt:1"}), "1");
  EXPECT_EQ(redis({"HEXISTS", key, "attempt:1.1"}), "1");
  EXPECT_EQ(redis({"HGET", key, "error"}), "ValueError: two lines");
}

TEST_F(RedisLayout, AllKeysOfAShardShareOneHashTag) {
  redis::RedisOptions options = rig_.options();
  options.shard = "eu-1";
  Driver broker(std::make_unique<redis::RedisStore>(options));
  broker.open();
  core::Batch first = batch(1);
  core::JobWrite job = queued(1);
  auto dedup = std::make_shared<core::JobOptions>();
  dedup->dedup_key = "k";
  dedup->dedup_window = core::Millis(1'000);
  job.job.options = dedup;
  first.jobs.push_back(job);
  first.hosts.push_back({core::HostId{}, "alpha", 1, 1, wall(1'000), false});
  first.queues.push_back({"images", 1});
  broker.commit(first);
  std::istringstream keys(redis({"KEYS", "*"}));
  std::size_t count = 0;
  for (std::string key; std::getline(keys, key); ++count)
    EXPECT_TRUE(key.starts_with("jw:{eu-1}:")) << key;
  EXPECT_EQ(count, 12U);
}

TEST_F(RedisLayout, HostsAndDedupKeysExpireByThemselves) {
  Driver broker(rig_.broker());
  broker.open();
  core::Batch first = batch(1);
  first.hosts.push_back({core::HostId{}, "alpha", 1, 1, wall(1'000), false});
  broker.commit(first);
  const std::string ttl = redis({"PTTL", "jw:{0}:host:" + std::string(32, '0')});
  EXPECT_GT(std::stol(ttl), 50'000);
  EXPECT_LE(std::stol(ttl), 60'000);
}

TEST_F(RedisLayout, TheDocumentNamesEveryField) {
  std::ifstream file(JOBWIRE_REDIS_MD);
  ASSERT_TRUE(file) << JOBWIRE_REDIS_MD;
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  for (const redis::Bulk& field : redis::kFieldNames)
    EXPECT_THAT(text, ::testing::HasSubstr("| `" + std::string(field.name()) + "` |"));
}

TEST_F(RedisLayout, ADamagedJobIsLeftOutAndTold) {
  {
    Driver broker(rig_.broker());
    broker.open();
    core::Batch first = batch(1);
    for (const unsigned number : {1U, 2U, 3U, 4U}) first.jobs.push_back(queued(number));
    broker.commit(first);
  }
  redis({"DEL", "jw:{0}:job:" + core::to_string(id(1))});
  redis({"HSET", "jw:{0}:job:" + core::to_string(id(2)), "created_ms", "yesterday"});
  redis({"HSET", "jw:{0}:job:" + core::to_string(id(3)), "state", "succeeded"});
  redis({"ZADD", "jw:{0}:idx:images:queued", "1", "not an id"});
  Driver next(rig_.broker());
  next.open();
  auto page = next->recover_jobs();
  ASSERT_TRUE(static_cast<bool>(page));
  ASSERT_EQ(page->jobs.size(), 1U);
  EXPECT_EQ(page->jobs[0].id, id(4));
  EXPECT_EQ(rig_.log.size(), 4U);
}

TEST_F(RedisLayout, AForeignKeyInTheWayEndsEverythingInsteadOfHalfABatch) {
  Driver broker(rig_.broker());
  broker.open();
  redis({"SET", "jw:{0}:queue:images", "not a hash"});
  core::Batch first = batch(1);
  first.jobs.push_back(queued(1));
  first.queues.push_back({"images", 1});
  broker->commit(first);
  const auto diverged = broker.next<ports::StoreDiverged>("the divergence");
  EXPECT_THAT(diverged.message, ::testing::HasSubstr("WRONGTYPE"));
}

}  // namespace
}  // namespace jobwire::testing
