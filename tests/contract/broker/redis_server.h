// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace jobwire::testing {

/// A redis-server of the test's own: on a unix socket in a temporary directory, gone with this
/// object. Not the product's EmbeddedRedis: tests want it dead, frozen, full or set wrongly.
class RedisServer {
 public:
  /// Starts it, with these options after the usual ones, and waits until it answers.
  explicit RedisServer(std::vector<std::string> options = {});
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  std::string socket() const { return directory_ + "/redis.sock"; }
  std::string url() const { return "unix://" + socket(); }
  const std::string& directory() const { return directory_; }

  /// Sends one command and waits: strings as they are, numbers in digits, arrays' elements in
  /// lines, nil as "(nil)", errors with "(error) " before them.
  std::string command(const std::vector<std::string>& words) const;

  /// Starts it again where it was, and waits until it answers.
  void start();
  /// Does not wait.
  void launch();
  void kill();  // SIGKILL, and waits for its end
  /// Bytes in the AOF, and cuts it down to so many. Requires for the cut: killed.
  std::uintmax_t aof_size() const;
  void cut_aof(std::uintmax_t size) const;
  void freeze();  // SIGSTOP
  void thaw();    // SIGCONT

 private:
  std::filesystem::path aof() const;

  std::vector<std::string> options_;
  std::string directory_;
  pid_t pid_ = -1;
};

}  // namespace jobwire::testing
