// SPDX-License-Identifier: Apache-2.0
#include "adapters/zmq/send_budget.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace jobwire::zmq_adapter {
namespace {

constexpr std::size_t kCounted = 4096;

}  // namespace

struct SendBudget::Held {
  std::shared_ptr<Count> peer;
  std::shared_ptr<Count> total;
  std::size_t bytes;
};

SendBudget::SendBudget(std::size_t per_peer, std::size_t total)
    : per_peer_(per_peer), most_(total) {}

SendBudget::~SendBudget() = default;

bool SendBudget::has_room(ports::PeerId peer, std::size_t bytes) {
  if (bytes < kCounted) return true;
  const auto known = peers_.find(peer);
  const std::size_t waits = known == peers_.end() ? 0 : known->second->load();
  return waits == 0 || (waits + bytes <= per_peer_ && waiting() + bytes <= most_);
}

void SendBudget::let_go(void* bytes, void* hint) {
  const std::unique_ptr<Held> held(static_cast<Held*>(hint));
  std::free(bytes);
  held->peer->fetch_sub(held->bytes);
  held->total->fetch_sub(held->bytes);
}

void SendBudget::fill(zmq_msg_t& frame, ports::PeerId peer, std::span<const std::uint8_t> bytes) {
  if (bytes.size() < kCounted) {
    if (zmq_msg_init_size(&frame, bytes.size()) != 0) throw std::bad_alloc();
    if (!bytes.empty()) std::memcpy(zmq_msg_data(&frame), bytes.data(), bytes.size());
    return;
  }
  forget_idle();
  std::shared_ptr<Count>& count = peers_[peer];
  if (!count) count = std::make_shared<Count>(0);
  auto held = std::make_unique<Held>(Held{count, total_, bytes.size()});
  void* copy = std::malloc(bytes.size());
  if (!copy) throw std::bad_alloc();
  std::memcpy(copy, bytes.data(), bytes.size());
  if (zmq_msg_init_data(&frame, copy, bytes.size(), &SendBudget::let_go, held.get()) != 0) {
    std::free(copy);
    throw std::bad_alloc();
  }
  held.release();
  count->fetch_add(bytes.size());
  total_->fetch_add(bytes.size());
}

void SendBudget::forget_idle() {
  if (peers_.size() < next_sweep_) return;
  std::erase_if(peers_, [](const auto& peer) { return peer.second->load() == 0; });
  next_sweep_ = std::max<std::size_t>(64, 2 * peers_.size());
}

}  // namespace jobwire::zmq_adapter
