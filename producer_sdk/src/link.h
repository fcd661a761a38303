// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "deadline.h"
#include "jobwire/export.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// The second frame of a message, as the pieces that make it up.
struct Blob {
  std::vector<std::span<const std::byte>> pieces;
  std::size_t size = 0;
  /// Keeps a single piece alive; when set, the piece is sent from where it lies.
  std::shared_ptr<const void> owner;
};

/// Messages to one broker and back: a ZeroMQ socket (zmq_link.h), or a FakeBroker in this process.
/// Used by one thread. Never blocks but in wait(). Exported, hidden as its header is, because
/// jobwire::testing brings one of its own.
class JOBWIRE_EXPORT Link {
 public:
  Link() = default;
  virtual ~Link() = default;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  /// Drops the connection there is, with everything that was not sent or read, and begins a new
  /// one, which next_event() tells about. False when that is not possible now.
  virtual bool connect(const std::string& endpoint) = 0;
  virtual void disconnect() = 0;

  enum class Event { None, Up, Down };
  /// The next change of the connection. May lag behind the messages: a hint, not an order.
  virtual Event next_event() = 0;

  /// False when there is no connection or its buffer is full; nothing was sent then. True promises
  /// nothing: only a receipt does.
  virtual bool send(std::span<const std::uint8_t> envelope, const Blob& blob) = 0;
  /// A send would be taken now.
  [[nodiscard]] virtual bool writable() = 0;

  struct Message {
    std::span<const std::byte> envelope;
    std::span<const std::byte> blob;
    std::size_t frames = 0;
  };
  /// The next message, if there is one. Valid until the next call.
  virtual bool receive(Message& message) = 0;

  /// Sleeps until there may be something to receive, an event, `wake_fd` is readable, room to send
  /// when `want_room`, or `until`.
  virtual void wait(TimePoint until, int wake_fd, bool want_room) = 0;

  /// Gives what was sent last so long to leave when the link is closed; nothing otherwise.
  virtual void linger(std::chrono::milliseconds linger) = 0;
};

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
