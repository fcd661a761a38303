// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/embedded_redis.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "adapters/redis/redis_store.h"
#include "store_rig.h"

namespace jobwire::testing {
namespace {

using ::testing::HasSubstr;

class EmbeddedRedisTest : public ::testing::Test {
 protected:
  EmbeddedRedisTest() {
    char pattern[] = "/tmp/jobwire-test-XXXXXX";
    directory_ = ::mkdtemp(pattern);
  }
  ~EmbeddedRedisTest() override { std::filesystem::remove_all(directory_); }

  redis::EmbeddedOptions options() {
    redis::EmbeddedOptions options;
    options.data_directory = directory_ / "data";
    return options;
  }
  static Driver store(const redis::EmbeddedRedis& server) {
    redis::RedisOptions options;
    options.endpoint = server.endpoint();
    options.backoff_first = core::Millis(10);
    return Driver(std::make_unique<redis::RedisStore>(options));
  }
  static std::string failure(redis::EmbeddedRedis& server) {
    auto status = server.start();
    EXPECT_FALSE(static_cast<bool>(status));
    if (status) return {};
    EXPECT_FALSE(status.failure().retryable);
    return status.failure().message;
  }
  static core::Batch one_job(std::uint64_t sequence) {
    core::Batch b = batch(sequence);
    b.jobs.push_back(queued(sequence));
    return b;
  }

  std::filesystem::path directory_;
};

TEST_F(EmbeddedRedisTest, JobsOutliveTheServer) {
  {
    redis::EmbeddedRedis server(options());
    ASSERT_TRUE(static_cast<bool>(server.start()));
    Driver broker = store(server);
    EXPECT_EQ(broker.open().durability, core::Durability::kFsynced);
    broker.commit(one_job(1));
    server.stop();
    EXPECT_FALSE(std::filesystem::exists(directory_ / "data/redis.sock"));
  }
  redis::EmbeddedRedis server(options());
  ASSERT_TRUE(static_cast<bool>(server.start()));
  Driver broker = store(server);
  EXPECT_EQ(broker.open().last_sequence, 1U);
  EXPECT_EQ(broker.everything().size(), 1U);
}

TEST_F(EmbeddedRedisTest, AKilledServerIsStartedAgainAndNothingIsLost) {
  redis::EmbeddedRedis server(options());
  ASSERT_TRUE(static_cast<bool>(server.start()));
  Driver broker = store(server);
  broker.open();
  std::uint64_t sequence = 0;
  for (int kill = 0; kill < 3; ++kill) {
    for (int i = 0; i < 10; ++i) broker.commit(one_job(++sequence));
    broker->commit(one_job(++sequence));
    ::kill(server.pid(), SIGKILL);
    bool committed = false;
    broker.until("the batch under way", [&] {
      server.poll(steady_now());
      for (const auto& event : broker.take_events())
        committed = committed || std::holds_alternative<ports::Committed>(event);
      return committed;
    });
  }
  // The last batch may have been answered before the kill was noticed.
  broker.until("the last restart", [&] {
    server.poll(steady_now());
    return server.restarts() == 3 && server.pid() > 0 && broker->ready();
  });
  EXPECT_EQ(broker.everything().size(), sequence);
}

TEST_F(EmbeddedRedisTest, ADataDirectoryHasOneBroker) {
  redis::EmbeddedRedis first(options());
  ASSERT_TRUE(static_cast<bool>(first.start()));
  redis::EmbeddedRedis second(options());
  EXPECT_THAT(failure(second),
              HasSubstr("is in use by jobwired with pid " + std::to_string(::getpid())));
}

TEST_F(EmbeddedRedisTest, TheServerEndsWithItsBrokerAndTheNextOneWaitsForThat) {
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const pid_t broker = ::fork();
  if (broker == 0) {
    redis::EmbeddedRedis server(options());
    const pid_t pid = server.start() ? server.pid() : -1;
    [[maybe_unused]] const ssize_t count = ::write(pipe[1], &pid, sizeof pid);
    ::pause();
  }
  pid_t orphan = -1;
  ASSERT_EQ(::read(pipe[0], &orphan, sizeof orphan), static_cast<ssize_t>(sizeof orphan));
  ASSERT_GT(orphan, 0);
  ::kill(broker, SIGKILL);
  ::waitpid(broker, nullptr, 0);
  redis::EmbeddedRedis next(options());
  const auto status = next.start();
  EXPECT_TRUE(static_cast<bool>(status)) << status.failure().message;
  EXPECT_NE(next.pid(), orphan);
  ::close(pipe[0]);
  ::close(pipe[1]);
}

TEST_F(EmbeddedRedisTest, AnEarlierServerThatDoesNotEndIsNamed) {
  // What an earlier server leaves while it lives: its lock, and its number in that file.
  std::filesystem::create_directories(directory_ / "data");
  const int lock = ::open((directory_ / "data/redis.lock").c_str(), O_RDWR | O_CREAT, 0600);
  ASSERT_EQ(::flock(lock, LOCK_EX), 0);
  ASSERT_EQ(::write(lock, "4711\n", 5), 5);
  redis::EmbeddedOptions impatient = options();
  impatient.start_timeout = core::Millis(100);
  redis::EmbeddedRedis next(impatient);
  EXPECT_THAT(failure(next), HasSubstr("(pid 4711) still runs"));
  ::close(lock);
}

TEST_F(EmbeddedRedisTest, AMissingProgramIsNamed) {
  redis::EmbeddedOptions missing = options();
  missing.search_path = "/nowhere:/tmp";
  redis::EmbeddedRedis server(missing);
  EXPECT_THAT(failure(server), HasSubstr("no redis-server found in /nowhere:/tmp; install it"));
  EXPECT_FALSE(std::filesystem::exists(directory_ / "data"));
}

TEST_F(EmbeddedRedisTest, ADirectoryThatCannotBeMadeIsNamed) {
  std::ofstream(directory_ / "file") << "x";
  redis::EmbeddedOptions wrong = options();
  wrong.data_directory = directory_ / "file/data";
  redis::EmbeddedRedis server(wrong);
  EXPECT_THAT(failure(server), HasSubstr("cannot make data directory " + directory_.string()));
}

TEST_F(EmbeddedRedisTest, AServerThatEndsAtOnceShowsItsLog) {
  std::filesystem::create_directories(directory_ / "data/appendonlydir");
  std::ofstream(directory_ / "data/appendonlydir/appendonly.aof.manifest") << "garbage\n";
  redis::EmbeddedRedis server(options());
  EXPECT_THAT(failure(server), HasSubstr("ended with exit code 1"));
}

TEST_F(EmbeddedRedisTest, WithoutAofItDoesNotStartOnADirectoryThatHasOne) {
  {
    redis::EmbeddedRedis server(options());
    ASSERT_TRUE(static_cast<bool>(server.start()));
  }
  redis::EmbeddedOptions off = options();
  off.aof = redis::Aof::kOff;
  redis::EmbeddedRedis server(off);
  EXPECT_THAT(failure(server), HasSubstr("would start empty"));
}

TEST_F(EmbeddedRedisTest, APathTooLongForASocketGetsAPrivatePlace) {
  redis::EmbeddedOptions deep = options();
  deep.data_directory = directory_ / std::string(120, 'd') / "a b";
  deep.runtime_directory = directory_.string();
  redis::EmbeddedRedis server(deep);
  ASSERT_TRUE(static_cast<bool>(server.start()));
  EXPECT_LT(server.endpoint().unix_path.size(), 108U);
  const auto place = std::filesystem::path(server.endpoint().unix_path).parent_path();
  EXPECT_EQ(std::filesystem::status(place).permissions(), std::filesystem::perms::owner_all);
  Driver broker = store(server);
  broker.open();
  broker.commit(one_job(1));
  server.stop();
  EXPECT_FALSE(std::filesystem::exists(place));
}

}  // namespace
}  // namespace jobwire::testing
