// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/redis/backoff.h"
#include "adapters/redis/data_directory.h"
#include "adapters/redis/endpoint.h"
#include "core/time.h"
#include "ports/result.h"

namespace jobwire::redis {

/// When the embedded Redis asks the disk.
enum class Aof : std::uint8_t {
  kAlways,    // before every reply: nothing that was committed is lost
  kEverysec,  // once a second
  kOff,       // nothing is written: the jobs end with the process
};

struct EmbeddedOptions {
  std::filesystem::path data_directory;
  Aof aof = Aof::kAlways;
  /// A name to look for on `search_path`, or a path.
  std::string program = "redis-server";
  /// Directories, as in PATH.
  std::string search_path = "/usr/local/bin:/usr/bin:/bin";
  /// Where the socket goes when the data directory's path is too long for one; must be private.
  std::string runtime_directory;
  std::uint64_t max_memory_bytes = 0;  // 0: no limit
  /// How long start() waits for the socket, and for an earlier server to end.
  core::Millis start_timeout{10'000};
  /// How long stop() waits before it kills.
  core::Millis stop_timeout{10'000};
  /// Told about starts, ends and restarts; may be empty.
  std::function<void(std::string_view)> log;
};

/// A redis-server of the broker's own: on a unix socket, without a port, with its data in one
/// directory that no other jobwired may use at the same time. It ends with the broker, however that
/// ends: the kernel sends it SIGTERM when the thread that called start() is gone, so that must be
/// the thread that lives as long as the broker. When the server ends by itself it is started again;
/// RedisStore reconnects. Its log is redis.log in the data directory, bounded, one older file kept.
class EmbeddedRedis {
 public:
  explicit EmbeddedRedis(EmbeddedOptions options);
  /// Ends the server, as stop() does.
  ~EmbeddedRedis();
  EmbeddedRedis(const EmbeddedRedis&) = delete;
  EmbeddedRedis& operator=(const EmbeddedRedis&) = delete;

  /// Starts the server and waits until it answers (it may still be loading its data then:
  /// RedisStore::open() says so). Blocks for at most twice the start timeout. Failures name
  /// what to do: no redis-server, directory not writable or in use, an earlier server that does not
  /// end, a server that ends at once, with the end of its log.
  ports::Status start();
  /// Where it listens. Requires: start() succeeded.
  const Endpoint& endpoint() const { return endpoint_; }
  pid_t pid() const { return pid_; }

  /// Notices that the server has ended and starts it again, after a growing pause. Never blocks.
  void poll(core::Steady now);
  void descriptors(std::vector<pollfd>& out) const;
  std::optional<core::Steady> deadline() const;

  /// SIGTERM, and SIGKILL after the stop timeout. Blocks until the server is gone.
  void stop();

  /// How often the server has ended by itself.
  std::uint32_t restarts() const { return restarts_; }

 private:
  ports::Status find_program();
  ports::Status spawn();
  ports::Status wait_for_socket();
  std::vector<std::string> arguments() const;
  /// Takes notice of the end; nothing when it still runs.
  std::optional<std::string> reap(bool wait);
  void forget();
  void say(const std::string& line) const;

  EmbeddedOptions options_;
  DataDirectory directory_;
  Endpoint endpoint_;
  std::string program_;
  pid_t pid_ = -1;
  int pid_fd_ = -1;
  Backoff backoff_;
  std::optional<core::Steady> restart_at_;
  core::Steady started_{};
  core::Steady next_look_{};
  std::uint32_t restarts_ = 0;
};

}  // namespace jobwire::redis
