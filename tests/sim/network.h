// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "jobwire/wire/message_generated.h"
#include "ports/transport.h"
#include "sim/agenda.h"
#include "sim/coverage.h"
#include "sim/dice.h"
#include "sim/plan.h"
#include "sim/trace.h"

namespace jobwire::sim {

using ByteSpan = std::span<const std::uint8_t>;
using Buffer = std::vector<std::uint8_t>;

/// One message as it travels.
struct Packet {
  Buffer envelope;
  Buffer blob;
};

/// One end of a connection that is not the broker's: a producer, a worker, an agent. It lives as
/// long as the world; whether its process does is its own business.
class Peer {
 public:
  virtual ~Peer() = default;
  virtual void connected() = 0;
  virtual void disconnected() = 0;
  virtual void receive(const wire::Message& message, ByteSpan blob) = 0;

  std::uint64_t route = 0;  // of its connection; 0 none. The network's.
};

class Endpoint;

/// Sees each message that a broker gives to the network, at that moment.
class SendWatcher {
 public:
  virtual ~SendWatcher() = default;
  virtual void sent(std::uint64_t endpoint, const wire::Message& message, ByteSpan blob) = 0;
  /// Before a broker's send; may end the broker by an exception.
  virtual void before_send() = 0;
};

/// Connections between peers and brokers. Within one direction of one connection nothing is
/// reordered; between connections everything may be. A connection that breaks loses what is on its
/// way, or delivers it late on the old route.
class Network {
 public:
  Network(Agenda& agenda, Dice dice, const Plan& plan, Trace& trace, Coverage& coverage);

  void set_watcher(SendWatcher* watcher) { watcher_ = watcher; }

  // ---- a peer's side

  /// Keeps trying until a broker listens, then calls connected().
  void connect(Peer& peer, ports::Side side);
  /// Dropped when there is no connection.
  void send(Peer& peer, Buffer envelope, Buffer blob = {});
  /// The peer's end is gone: closed in order (what was sent arrives), or like a pulled cable.
  void leave(Peer& peer, bool in_order);

  // ---- faults

  /// The connection breaks; the peer learns of it and connects again.
  void cut(Peer& peer);
  /// The peer does not read for so long.
  void stall(Peer& peer, core::Micros time);

  // ---- a broker's side

  /// New connections go to this broker from now on.
  void open(Endpoint& endpoint);
  /// The broker is gone: all its connections break.
  void close(Endpoint& endpoint);
  /// No new connections to it, but the old ones stay for a while.
  void supersede(Endpoint& endpoint);

  ports::Sent send_down(Endpoint& endpoint, ports::PeerId to, ByteSpan envelope, ByteSpan blob);

 private:
  struct Link {
    std::uint64_t route = 0;
    ports::Side side{};
    Endpoint* endpoint = nullptr;  // null: the broker's end is gone
    Peer* peer = nullptr;          // null: the peer's end is gone
    bool broker_knows = false;     // that the peer's end is gone
    bool up_lost = false;
    core::Micros up_late{0};
    core::Steady up_free{};
    core::Steady down_free{};
    core::Steady reads_again{};
    std::uint32_t unread = 0;
  };
  using LinkPtr = std::shared_ptr<Link>;

  void break_link(const LinkPtr& link, bool tell_peer);
  void deliver_up(const LinkPtr& link, const std::shared_ptr<Packet>& packet);
  void deliver_down(const LinkPtr& link, const std::shared_ptr<Packet>& packet);
  core::Micros latency() { return dice_.span(core::Micros(20), most_); }

  Agenda& agenda_;
  Dice dice_;
  Trace& trace_;
  Coverage& coverage_;
  core::Micros most_;
  std::uint32_t pipe_messages_;
  SendWatcher* watcher_ = nullptr;
  Endpoint* listening_ = nullptr;
  std::uint64_t last_route_ = 0;
  std::map<std::uint64_t, LinkPtr> links_;
};

/// The broker's end of the network: the transport that it is given. One for each start of a broker.
class Endpoint : public ports::Transport {
 public:
  Endpoint(Network& network, Agenda& agenda, std::uint64_t number)
      : network_(network), agenda_(agenda), number_(number) {}

  bool receive(ports::Side side, ports::Received& message) override;
  ports::Sent send(ports::PeerId peer, ByteSpan envelope, ByteSpan blob) override {
    return network_.send_down(*this, peer, envelope, blob);
  }
  /// Lets the world go on until there is something to do, unless `nested`.
  void wait(core::Micros timeout, std::span<pollfd> others) override;

  std::uint64_t number() const { return number_; }
  void push(ports::PeerId from, const std::shared_ptr<Packet>& packet);

  bool nested = false;                  // the world is not to be moved by this broker
  bool woken = false;                   // somebody wants the broker's turn now
  std::function<void()> while_waiting;  // may throw: the broker dies

 private:
  struct Waiting {
    ports::PeerId from;
    std::shared_ptr<Packet> packet;
  };
  std::deque<Waiting>& inbox(ports::Side side) {
    return inboxes_[side == ports::Side::kWorkers ? 1 : 0];
  }

  Network& network_;
  Agenda& agenda_;
  std::uint64_t number_;
  std::deque<Waiting> inboxes_[2];
  bool asked_[2] = {true, true};  // since the last wait
  Buffer envelope_;
  std::shared_ptr<Packet> held_;
};

}  // namespace jobwire::sim
