// SPDX-License-Identifier: Apache-2.0
// What a broker is told when its Redis is not as it should be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <thread>

#include "redis_rig.h"
#include "store_rig.h"

namespace jobwire::testing {
namespace {

using ::testing::HasSubstr;

ports::Result<ports::StoreOpened> open(const std::string& url) {
  redis::RedisOptions options;
  options.endpoint = *redis::Endpoint::parse(url);
  options.reply_timeout = core::Millis(1'000);
  redis::RedisStore store(options);
  return store.open();
}

void expect_failure(const ports::Result<ports::StoreOpened>& opened, const std::string& text,
                    bool retryable) {
  ASSERT_FALSE(static_cast<bool>(opened));
  EXPECT_THAT(opened.failure().message, HasSubstr(text));
  EXPECT_EQ(opened.failure().retryable, retryable);
  EXPECT_THAT(opened.failure().message, ::testing::Not(HasSubstr("secret")));
}

TEST(RedisOpen, AnEvictionPolicyIsRefused) {
  RedisServer server({"--maxmemory-policy", "allkeys-lru"});
  expect_failure(open(server.url()), "maxmemory-policy is allkeys-lru, set it to noeviction",
                 false);
  EXPECT_EQ(server.command({"DBSIZE"}), "0");
}

TEST(RedisOpen, AWrongPasswordIsRefusedAndARightOneIsNot) {
  RedisServer server({"--requirepass", "secret1", "--port", "0"});
  const std::string socket = server.socket();
  expect_failure(open(server.url()), "NOAUTH", false);
  redis::RedisOptions options;
  options.endpoint.unix_path = socket;
  options.endpoint.password = "secret2";
  expect_failure(redis::RedisStore(options).open(), "WRONGPASS", false);
  options.endpoint.password = "secret1";
  EXPECT_TRUE(static_cast<bool>(redis::RedisStore(options).open()));
}

TEST(RedisOpen, NobodyThereMayBeTriedAgain) {
  expect_failure(open("unix:///tmp/jobwire-no-such.sock"), "No such file", true);
  expect_failure(open("redis://127.0.0.1:1"), "Connection refused", true);
}

TEST(RedisOpen, TheDurabilityIsWhatTheConfigurationGives) {
  const auto durability = [](std::vector<std::string> options) {
    RedisServer server(std::move(options));
    return open(server.url())->durability;
  };
  EXPECT_EQ(durability({}), core::Durability::kMemory);
  EXPECT_EQ(durability({"--appendonly", "yes", "--appendfsync", "no"}), core::Durability::kMemory);
  EXPECT_EQ(durability({"--appendonly", "yes", "--appendfsync", "everysec"}),
            core::Durability::kStored);
  EXPECT_EQ(durability({"--appendonly", "yes", "--appendfsync", "always"}),
            core::Durability::kFsynced);
}

TEST(RedisOpen, WithoutPermissionForConfigMemoryIsAllThatIsPromised) {
  RedisServer server({"--appendonly", "yes", "--appendfsync", "always"});
  server.command({"ACL", "SETUSER", "jobs", "on", ">secret", "~*", "&*", "+@all", "-config"});
  redis::RedisOptions options;
  options.endpoint.unix_path = server.socket();
  options.endpoint.user = "jobs";
  options.endpoint.password = "secret";
  auto opened = redis::RedisStore(options).open();
  ASSERT_TRUE(static_cast<bool>(opened));
  EXPECT_EQ(opened->durability, core::Durability::kMemory);
  EXPECT_THAT(opened->description, HasSubstr("CONFIG GET appendfsync is not permitted"));
}

TEST(RedisOpen, ALoadingRedisMayBeTriedAgain) {
  RedisServer server(
      {"--key-load-delay", "300", "--loading-process-events-interval-bytes", "1024"});
  server.command({"EVAL", "for i = 1, 2000 do redis.call('SET', 'key' .. i, i) end", "0"});
  server.command({"SAVE"});
  server.kill();
  server.launch();
  bool loading = false;
  const core::Steady end = steady_now() + core::Millis(20'000);
  for (bool open_at_last = false; !open_at_last && steady_now() < end;) {
    auto opened = open(server.url());
    open_at_last = static_cast<bool>(opened);
    if (open_at_last) break;
    EXPECT_TRUE(opened.failure().retryable) << opened.failure().message;
    loading = loading || opened.failure().message.find("oading") != std::string::npos;
  }
  EXPECT_TRUE(loading);
}

TEST(RedisOpen, AReplicaMayBeTriedAgain) {
  RedisServer server({"--replicaof", "127.0.0.1 1"});
  expect_failure(open(server.url()), "replica", true);
}

TEST(RedisOpen, AnEpochThatIsNoNumberIsRefused) {
  RedisServer server;
  server.command({"SET", "jw:{0}:epoch", "mine"});
  expect_failure(open(server.url()), "holds no number", false);
  EXPECT_EQ(server.command({"GET", "jw:{0}:epoch"}), "mine");
}

TEST(RedisOpen, WhatIsNotRedisIsRefused) {
  const std::string path = "/tmp/jobwire-test-" + std::to_string(::getpid()) + ".sock";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener, 4), 0);
  std::thread web([&] {
    const int peer = ::accept(listener, nullptr, nullptr);
    [[maybe_unused]] const ssize_t count =
        ::send(peer, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, MSG_NOSIGNAL);
    char bytes[4096];
    while (::recv(peer, bytes, sizeof bytes, 0) > 0) {
    }
    ::close(peer);
  });
  expect_failure(open("unix://" + path), "is not Redis", false);
  web.join();
  ::close(listener);
  ::unlink(path.c_str());
}

TEST(RedisOpen, ASilentRedisIsGivenUpInTime) {
  RedisServer server;
  server.freeze();
  const core::Steady start = steady_now();
  expect_failure(open(server.url()), "did not answer within 1000 ms", true);
  EXPECT_LT(steady_now() - start, core::Millis(3'000));
  server.thaw();
}

}  // namespace
}  // namespace jobwire::testing
