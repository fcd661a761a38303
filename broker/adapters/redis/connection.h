// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/redis/endpoint.h"
#include "adapters/redis/reply_reader.h"
#include "core/time.h"

namespace jobwire::redis {

/// One socket to Redis and the replies that come over it. Never blocks, except for the name lookup
/// of the first start() and in call(). Keeps no time: its user decides how long is too long.
class Connection {
 public:
  explicit Connection(Endpoint endpoint) : endpoint_(std::move(endpoint)) {}
  ~Connection() { close(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Begins to connect; a later pump() finds out how that ended. False with error() when it could
  /// not even begin. Requires: closed.
  bool start();
  void close();
  bool closed() const { return fd_ < 0; }
  /// Connected, so that bytes can flow.
  bool open() const { return fd_ >= 0 && !connecting_; }

  /// Sends what the socket takes now and the rest in pump(). The bytes must stay where they are
  /// until sent() or closed(). Requires: open() and sent().
  void send(std::string_view bytes);
  bool sent() const { return unsent_.empty(); }

  /// Moves bytes both ways and calls `on_reply` for each whole reply, until there is no more, a
  /// bounded share has been read, or `on_reply` answers false (stop; the rest comes next time).
  /// False, with error() set and the socket closed, when the connection is lost.
  bool pump(const std::function<bool(const Reply&)>& on_reply);
  /// Replies may already be here: pump() again without waiting for the socket.
  bool more() const { return more_; }

  /// Why the connection was lost, or could not be made.
  const std::string& error() const { return error_; }
  /// True when waiting cannot help: permissions, a wrong path, not Redis.
  bool hopeless() const { return hopeless_; }

  pollfd descriptor() const;
  const Endpoint& endpoint() const { return endpoint_; }

  /// The blocking forms, for the time before the broker serves. connect() starts and waits until
  /// the connection is open. call() sends and waits for `replies` replies. False, closed, error()
  /// set, when that has not happened within `timeout`.
  bool connect(core::Millis timeout);
  bool call(std::string_view bytes, std::size_t replies, core::Millis timeout,
            const std::function<void(const Reply&)>& on_reply);

 private:
  struct Address {
    int family;
    std::vector<std::uint8_t> bytes;
  };
  bool resolve();
  bool fail(std::string message);
  bool fail_errno(const std::string& doing, int code);
  bool finish_connecting();
  bool flush();
  bool wait_until(std::chrono::steady_clock::time_point end);

  Endpoint endpoint_;
  std::vector<Address> addresses_;
  std::size_t next_address_ = 0;
  int fd_ = -1;
  bool connecting_ = false;
  bool more_ = false;
  bool hopeless_ = false;
  std::string_view unsent_;
  ReplyReader reader_;
  std::string error_;
};

}  // namespace jobwire::redis
