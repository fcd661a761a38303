// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/time.h"

namespace jobwire::ports {

/// Which door a peer came through.
enum class Side : std::uint8_t { kProducers, kWorkers };

/// A connection, as the transport names it. Never shown to another peer.
struct PeerId {
  Side side = Side::kProducers;
  std::uint64_t route = 0;

  friend bool operator==(const PeerId&, const PeerId&) = default;
};

struct PeerIdHash {
  std::size_t operator()(const PeerId& peer) const noexcept {
    return static_cast<std::size_t>((peer.route ^ static_cast<std::uint64_t>(peer.side)) *
                                    0x9e3779b97f4a7c15ULL);
  }
};

/// One received message. The bytes belong to the transport and end with the next receive(); they
/// may start at any address.
struct Received {
  PeerId peer;
  std::span<const std::uint8_t> envelope;
  std::span<const std::uint8_t> blob;
  bool has_blob = false;
  /// More frames than a message has, or a frame over its limit: the rest was dropped.
  bool malformed = false;
};

enum class Sent : std::uint8_t {
  kYes,   // taken; whether it arrives, only an answer says
  kFull,  // the peer's pipe is full: it does not read
  kGone,  // no such peer any more
};

/// Messages to and from peers. One thread; nothing blocks but wait().
class Transport {
 public:
  virtual ~Transport() = default;

  /// The next message of that side, or false when there is none now.
  virtual bool receive(Side side, Received& message) = 0;

  /// Copies envelope and blob. An empty blob is not sent as a frame.
  virtual Sent send(PeerId peer, std::span<const std::uint8_t> envelope,
                    std::span<const std::uint8_t> blob) = 0;

  /// Sleeps until a message may be there of a side that was asked since the last wait, one of
  /// `others` stirs (its revents are set), or the timeout has passed.
  virtual void wait(core::Micros timeout, std::span<pollfd> others) = 0;
};

/// Time, as the machine has it.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual core::Now now() const = 0;
};

}  // namespace jobwire::ports
