// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "adapters/zmq/send_budget.h"
#include "core/time.h"
#include "ports/result.h"
#include "ports/transport.h"

namespace jobwire::zmq_adapter {

struct TransportOptions {
  /// Bound in this order. "tcp://127.0.0.1:*" takes a port of the kernel's choice.
  std::string producers = "tcp://127.0.0.1:7700";
  std::string workers = "tcp://127.0.0.1:7701";
  /// Of one frame; a longer one ends its connection.
  std::uint32_t max_frame_bytes = 34'603'008;
  /// Messages queued per connection and direction.
  int send_queue = 1000;
  int receive_queue = 256;
  /// Bytes that wait for one peer, and for all: SendBudget says how they are counted.
  std::size_t send_bytes = 128U << 20;
  std::size_t send_total_bytes = 512U << 20;
  /// Allows endpoints that other machines can reach.
  bool insecure = false;
};

/// The broker's two ROUTER sockets. Peers keep their routing ids unset: the id that the library
/// then makes (a zero and 32 bits) is the PeerId. A peer that chose an id of another form is not
/// served.
///
/// One thread, the broker's, plus the library's own. The library gathers all frames of a message
/// before it shows one, so a peer that never ends a message grows this process: only authentication
/// or a limit on the process's memory helps.
class ZmqTransport : public ports::Transport {
 public:
  /// Binds both sockets, or says in one line which endpoint could not be bound and why. Seeds
  /// rand(), from which the library draws the first routing id.
  static ports::Result<std::unique_ptr<ZmqTransport>> open(const TransportOptions& options);
  ~ZmqTransport() override;
  ZmqTransport(const ZmqTransport&) = delete;
  ZmqTransport& operator=(const ZmqTransport&) = delete;

  bool receive(ports::Side side, ports::Received& message) override;
  ports::Sent send(ports::PeerId peer, std::span<const std::uint8_t> envelope,
                   std::span<const std::uint8_t> blob) override;
  /// Cheap when a message is already there: then it only looks at `others`. Timeouts have
  /// microseconds.
  void wait(core::Micros timeout, std::span<pollfd> others) override;

  /// The endpoint that peers connect to, with the port that was taken.
  const std::string& endpoint(ports::Side side) const { return doors_[index(side)].endpoint; }

  /// wait() also ends when this descriptor can be read; nothing is read from it. -1 for none.
  void wake_on(int descriptor) { wake_descriptor_ = descriptor; }

  /// Closes the sockets; what is queued for peers may still leave for so long. Nothing else may be
  /// called after it.
  void close(core::Millis linger);

  struct Counters {
    std::uint64_t received = 0;
    std::uint64_t sent = 0;
    std::uint64_t full = 0;       // not taken: the peer does not read
    std::uint64_t gone = 0;       // not taken: no such peer
    std::uint64_t malformed = 0;  // too many frames, or none
    std::uint64_t foreign = 0;    // dropped: the peer chose its routing id
  };
  const Counters& counters() const { return counters_; }
  /// Of the frames that SendBudget counts.
  std::size_t waiting_bytes() const { return budget_.waiting(); }

 private:
  struct Door {
    zmq::socket_t socket;
    int descriptor = -1;
    std::string endpoint;
    bool asked = true;  // since the last wait: what nobody asks for must not keep us awake
  };
  static std::size_t index(ports::Side side) { return static_cast<std::size_t>(side); }

  explicit ZmqTransport(const TransportOptions& options);
  ports::Status bind(ports::Side side, const std::string& endpoint,
                     const TransportOptions& options);
  bool next_frame(Door& door, zmq::message_t& frame);

  SendBudget budget_;
  zmq::context_t context_;
  std::array<Door, 2> doors_;
  zmq::message_t route_;
  zmq::message_t envelope_;
  zmq::message_t blob_;
  zmq::message_t extra_;
  std::vector<pollfd> polled_;
  int wake_descriptor_ = -1;
  Counters counters_;
};

}  // namespace jobwire::zmq_adapter
