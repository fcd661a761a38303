// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "adapters/redis/redis_store.h"
#include "redis_server.h"
#include "socket_proxy.h"

namespace jobwire::testing {

/// A Redis of the test's own, a line to it that can be cut, and stores at the end of that line.
struct RedisRig {
  RedisServer server;
  SocketProxy proxy{server.directory() + "/proxy.sock", server.socket()};
  std::vector<std::string> log;

  RedisRig() = default;
  explicit RedisRig(std::vector<std::string> options) : server(std::move(options)) {}

  redis::RedisOptions options() {
    redis::RedisOptions options;
    options.endpoint = *redis::Endpoint::parse(proxy.url());
    options.reply_timeout = core::Millis(2'000);
    options.backoff_first = core::Millis(5);
    options.backoff_most = core::Millis(20);
    options.log = [this](std::string_view line) { log.emplace_back(line); };
    return options;
  }
  std::unique_ptr<ports::Store> broker() { return std::make_unique<redis::RedisStore>(options()); }
  std::unique_ptr<ports::Store> forgetful() {
    redis::RedisOptions few = options();
    few.ring_bytes = 0;
    return std::make_unique<redis::RedisStore>(few);
  }
  void lose_next_reply() { proxy.cut(SocketProxy::Cut::kReplies); }
  void lose_next_request() { proxy.cut(SocketProxy::Cut::kRequests); }
  void come_back() { proxy.cut(SocketProxy::Cut::kNone); }
  /// A third of the limit is left, and half of it is reserved.
  void crowd() {
    std::istringstream info(server.command({"INFO", "memory"}));
    std::uint64_t used = 0;
    for (std::string line; std::getline(info, line);) {
      if (line.starts_with("used_memory:")) used = std::stoull(line.substr(12));
    }
    server.command({"CONFIG", "SET", "maxmemory", std::to_string(used + used / 2)});
  }
  void fill() { server.command({"CONFIG", "SET", "maxmemory", "1"}); }
  void make_room() { server.command({"CONFIG", "SET", "maxmemory", "0"}); }
  /// The dump is what the server finds when it starts again: everything since has been lost.
  void mark() { server.command({"SAVE"}); }
  void go_back() {
    proxy.cut(SocketProxy::Cut::kAll);
    server.kill();
    server.start();
  }
  void empty() { server.command({"FLUSHALL"}); }
};

}  // namespace jobwire::testing
