// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "deadline.h"
#include "jobwire/result.h"
#include "outbound.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// The DEALER socket and its monitor: the only place that knows ZeroMQ. Connects and reconnects by
/// itself. Used by one thread (open may be on another, before). Never blocks but in wait().
class Link {
 public:
  /// Error: InvalidArgument for an endpoint that cannot be one.
  static Result<std::unique_ptr<Link>> open(const std::string& endpoint,
                                            std::size_t max_message_bytes);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  enum class Event { None, Up, Down };
  /// The next change of the connection. May lag behind the messages: a hint, not an order.
  Event next_event();

  /// False when there is no connection or its buffer is full; nothing was sent then. True promises
  /// nothing: only a receipt does.
  bool send(std::span<const std::uint8_t> envelope, const Blob& blob);
  bool send(std::span<const std::uint8_t> envelope) { return send(envelope, Blob{}); }
  /// A send would be taken now.
  [[nodiscard]] bool writable();

  struct Message {
    std::span<const std::byte> envelope;
    std::span<const std::byte> blob;
    std::size_t frames = 0;
  };
  /// The next message, if there is one. Valid until the next call.
  bool receive(Message& message);

  /// Sleeps until there may be something to receive, an event, `wake_fd` is readable, room to send
  /// when `want_room`, or `until`.
  void wait(TimePoint until, int wake_fd, bool want_room);

  /// Breaks the connection and makes a new one, for a peer that is there and does not answer.
  void reconnect();

  /// Gives what was sent last so long to leave when the link is closed; nothing otherwise.
  void linger(std::chrono::milliseconds linger);

 private:
  struct Sockets;
  explicit Link(std::unique_ptr<Sockets> sockets);
  std::unique_ptr<Sockets> sockets_;
};

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
