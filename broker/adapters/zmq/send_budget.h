// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <zmq.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>

#include "ports/transport.h"

namespace jobwire::zmq_adapter {

/// Bounds the bytes that wait for peers, which the library bounds by number only: 1,000 messages
/// of 32 MiB would be 31 GiB for one peer that does not read. A frame counts from the moment it is
/// made until the library lets go of it, because it has reached the kernel or its connection has
/// ended. Frames under 4 KiB are not counted; with the library's bound they are 8 MiB a peer.
///
/// One thread makes frames; the library's own thread lets go of them.
class SendBudget {
 public:
  /// Bytes for one peer, and for all of them together.
  SendBudget(std::size_t per_peer, std::size_t total);
  ~SendBudget();
  SendBudget(const SendBudget&) = delete;
  SendBudget& operator=(const SendBudget&) = delete;

  /// Whether a message of so many bytes may be sent. A peer for whom nothing waits may always be
  /// sent one.
  bool has_room(ports::PeerId peer, std::size_t bytes);

  /// Makes `frame` a copy of the bytes, counted for that peer. The library, or zmq_msg_close(),
  /// ends the count.
  void fill(zmq_msg_t& frame, ports::PeerId peer, std::span<const std::uint8_t> bytes);

  /// Counted bytes that wait for all peers.
  std::size_t waiting() const { return total_->load(std::memory_order_relaxed); }

 private:
  using Count = std::atomic<std::size_t>;
  struct Held;
  static void let_go(void* bytes, void* held);
  void forget_idle();

  std::size_t per_peer_;
  std::size_t most_;
  // Shared with the frames, which may outlive this object.
  std::shared_ptr<Count> total_ = std::make_shared<Count>(0);
  std::unordered_map<ports::PeerId, std::shared_ptr<Count>, ports::PeerIdHash> peers_;
  std::size_t next_sweep_ = 64;  // peers
};

}  // namespace jobwire::zmq_adapter
