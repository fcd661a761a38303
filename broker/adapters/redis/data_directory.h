// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "core/time.h"
#include "ports/result.h"

namespace jobwire::redis {

/// The directory of an embedded Redis, held by two locks: `jobwired.lock` by the broker, so that
/// two do not share it, and `redis.lock` by the broker and the server together, so that the next
/// broker can wait for a server that outlives its own for a moment. Locks go with their processes;
/// there is nothing to clean up, and no process id to mistake for another.
class DataDirectory {
 public:
  DataDirectory() = default;
  ~DataDirectory();
  DataDirectory(const DataDirectory&) = delete;
  DataDirectory& operator=(const DataDirectory&) = delete;

  /// Makes the directory (mode 0700) when it is not there, and takes both locks; waits for the
  /// server's at most `patience`. Failures: not writable (not to be tried again), in use, an
  /// earlier server does not end.
  ports::Status take(const std::filesystem::path& path, core::Millis patience);

  /// Where the socket goes: into the directory, or, when that path is too long for a socket, into a
  /// private one (mode 0700, checked) under `runtime_directory` or /tmp. Requires: taken.
  ports::Result<std::string> socket_path(const std::string& runtime_directory) const;

  /// Absolute. Requires: taken.
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path log_file() const { return path_ / "redis.log"; }
  /// True when a server with an AOF has been here.
  bool has_aof() const;
  /// What the server's descriptor of its lock is to be a copy of.
  int server_lock() const { return server_lock_; }
  /// Notes the server's process id, for messages.
  void note_server(int pid) const;

  /// Moves the log to redis.log.1 when it has grown over a bound.
  void bound_log() const;
  /// The last lines of the log, for a message.
  std::string log_tail() const;

 private:
  ports::Status lock_server(core::Millis patience);

  std::filesystem::path path_;
  int broker_lock_ = -1;
  int server_lock_ = -1;
};

}  // namespace jobwire::redis
