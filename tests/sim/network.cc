// SPDX-License-Identifier: Apache-2.0
#include "sim/network.h"

#include <utility>

namespace jobwire::sim {

using core::Micros;

Network::Network(Agenda& agenda, Dice dice, const Plan& plan, Trace& trace, Coverage& coverage)
    : agenda_(agenda),
      dice_(dice),
      trace_(trace),
      coverage_(coverage),
      most_(plan.latency_most),
      pipe_messages_(plan.pipe_messages) {}

void Network::connect(Peer& peer, ports::Side side) {
  agenda_.after(dice_.span(Micros(200), Micros(80'000)), [this, &peer, side] {
    if (peer.route != 0) return;
    if (!listening_) return connect(peer, side);
    auto link = std::make_shared<Link>();
    link->route = ++last_route_;
    link->side = side;
    link->endpoint = listening_;
    link->peer = &peer;
    links_.emplace(link->route, link);
    peer.route = link->route;
    trace_.note("connected", link->route);
    peer.connected();
  });
}

void Network::send(Peer& peer, Buffer envelope, Buffer blob) {
  const auto found = links_.find(peer.route);
  if (found == links_.end()) return;
  const LinkPtr link = found->second;
  auto packet = std::make_shared<Packet>(Packet{std::move(envelope), std::move(blob)});
  link->up_free = std::max(link->up_free, agenda_.steady() + latency());
  agenda_.at(link->up_free, [this, link, packet] { deliver_up(link, packet); });
}

void Network::deliver_up(const LinkPtr& link, const std::shared_ptr<Packet>& packet) {
  if (link->up_lost || !link->endpoint) {
    coverage_.met(Met::kMessageLost);
    return;
  }
  if (link->up_late.count() > 0) {
    agenda_.after(link->up_late, [this, link, packet] {
      if (!link->endpoint) return;
      coverage_.met(Met::kMessageLate);
      link->endpoint->push({link->side, link->route}, packet);
    });
    return;
  }
  link->endpoint->push({link->side, link->route}, packet);
}

ports::Sent Network::send_down(Endpoint& endpoint, ports::PeerId to, ByteSpan envelope,
                               ByteSpan blob) {
  watcher_->before_send();
  // A lease holds from when it was granted, whether the worker hears of it or not.
  const auto not_taken = [&](ports::Sent how) {
    const wire::Message& message = *wire::GetMessage(envelope.data());
    if (message.body_type() == wire::Body::Dispatch)
      watcher_->sent(endpoint.number(), message, blob);
    return how;
  };
  const auto found = links_.find(to.route);
  if (found == links_.end() || found->second->endpoint != &endpoint || found->second->broker_knows)
    return not_taken(ports::Sent::kGone);
  const LinkPtr link = found->second;
  if (!link->peer) {
    coverage_.met(Met::kHalfOpen);
    watcher_->sent(endpoint.number(), *wire::GetMessage(envelope.data()), blob);
    return ports::Sent::kYes;
  }
  if (link->unread >= pipe_messages_) {
    coverage_.met(Met::kPipeFull);
    return not_taken(ports::Sent::kFull);
  }
  ++link->unread;
  auto packet = std::make_shared<Packet>(
      Packet{Buffer(envelope.begin(), envelope.end()), Buffer(blob.begin(), blob.end())});
  const wire::Message& message = *wire::GetMessage(packet->envelope.data());
  trace_.note(wire::EnumNameBody(message.body_type()), link->route, packet->envelope.size(),
              packet->blob.size());
  watcher_->sent(endpoint.number(), message, packet->blob);
  link->down_free = std::max(link->down_free, agenda_.steady() + latency());
  agenda_.at(link->down_free, [this, link, packet] { deliver_down(link, packet); });
  return ports::Sent::kYes;
}

void Network::deliver_down(const LinkPtr& link, const std::shared_ptr<Packet>& packet) {
  if (!link->peer || link->peer->route != link->route) {
    coverage_.met(Met::kMessageLost);
    return;
  }
  if (link->reads_again > agenda_.steady()) {
    agenda_.at(link->reads_again, [this, link, packet] { deliver_down(link, packet); });
    return;
  }
  --link->unread;
  link->peer->receive(*wire::GetMessage(packet->envelope.data()), packet->blob);
}

void Network::break_link(const LinkPtr& link, bool tell_peer) {
  Peer* const peer = std::exchange(link->peer, nullptr);
  if (!peer) return;
  const std::uint64_t route = link->route;
  agenda_.after(dice_.chance(0.5) ? Micros(0) : dice_.span(Micros(1'000), Micros(3'000'000)),
                [this, link, route] {
                  link->broker_knows = true;
                  // What is late may still come.
                  agenda_.after(Micros(6'000'000), [this, route] { links_.erase(route); });
                });
  if (!tell_peer) {
    peer->route = 0;
    return;
  }
  const ports::Side side = link->side;
  agenda_.after(dice_.span(Micros(0), Micros(150'000)), [this, peer, route, side] {
    if (peer->route != route) return;
    peer->route = 0;
    peer->disconnected();
    connect(*peer, side);
  });
}

void Network::leave(Peer& peer, bool in_order) {
  const auto found = links_.find(peer.route);
  peer.route = 0;
  if (found == links_.end()) return;
  const LinkPtr link = found->second;
  if (!in_order) link->up_lost = dice_.chance(0.5);
  break_link(link, false);
}

void Network::cut(Peer& peer) {
  const auto found = links_.find(peer.route);
  if (found == links_.end() || !found->second->peer) return;
  const LinkPtr link = found->second;
  trace_.note("cut", link->route);
  coverage_.met(Met::kLinkCut);
  if (dice_.chance(0.5)) {
    link->up_lost = true;
  } else {
    link->up_late = dice_.span(Micros(0), Micros(2'000'000));
  }
  break_link(link, true);
}

void Network::stall(Peer& peer, Micros time) {
  const auto found = links_.find(peer.route);
  if (found == links_.end()) return;
  found->second->reads_again = std::max(found->second->reads_again, agenda_.steady() + time);
}

void Network::open(Endpoint& endpoint) { listening_ = &endpoint; }

void Network::supersede(Endpoint& endpoint) {
  if (listening_ == &endpoint) listening_ = nullptr;
}

void Network::close(Endpoint& endpoint) {
  supersede(endpoint);
  for (auto it = links_.begin(); it != links_.end();) {
    const LinkPtr link = it->second;
    if (link->endpoint != &endpoint) {
      ++it;
      continue;
    }
    link->endpoint = nullptr;
    // What the broker gave to the network may still arrive, up to some point.
    if (Peer* const peer = link->peer) {
      const core::Steady end = agenda_.steady() + dice_.span(Micros(0), most_);
      const std::uint64_t route = link->route;
      const ports::Side side = link->side;
      agenda_.at(end, [this, link, peer, route, side] {
        if (peer->route != route) return;
        link->peer = nullptr;
        peer->route = 0;
        peer->disconnected();
        connect(*peer, side);
      });
    }
    it = links_.erase(it);
  }
}

void Endpoint::push(ports::PeerId from, const std::shared_ptr<Packet>& packet) {
  inbox(from.side).push_back({from, packet});
}

bool Endpoint::receive(ports::Side side, ports::Received& message) {
  asked_[side == ports::Side::kWorkers ? 1 : 0] = true;
  std::deque<Waiting>& waiting = inbox(side);
  if (waiting.empty()) return false;
  held_ = std::move(waiting.front().packet);
  const ports::PeerId from = waiting.front().from;
  waiting.pop_front();
  // A received frame starts at any address.
  const std::size_t shift = from.route % 8;
  envelope_.assign(shift, 0);
  envelope_.insert(envelope_.end(), held_->envelope.begin(), held_->envelope.end());
  message.peer = from;
  message.envelope = ByteSpan(envelope_).subspan(shift);
  message.blob = held_->blob;
  message.has_blob = !held_->blob.empty();
  message.malformed = false;
  return true;
}

void Endpoint::wait(Micros timeout, std::span<pollfd>) {
  const core::Steady until = agenda_.steady() + timeout;
  const auto busy = [&] {
    return woken || (asked_[0] && !inboxes_[0].empty()) || (asked_[1] && !inboxes_[1].empty());
  };
  if (!nested) {
    while (!busy() && agenda_.step(until)) {
      if (while_waiting) while_waiting();
    }
    if (while_waiting) while_waiting();
  }
  woken = false;
  asked_[0] = asked_[1] = false;
}

}  // namespace jobwire::sim
