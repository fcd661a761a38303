// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sim/dice.h"
#include "sim/messages.h"
#include "sim/scene.h"

namespace jobwire::sim {

/// Pauses, drains, weights and resumes queues; purges, replays and drops, for real and dry; and
/// reads dead jobs.
class Operator : public Peer {
 public:
  Operator(Scene& scene, Dice dice);

  void connected() override;
  void disconnected() override;
  void receive(const wire::Message& message, ByteSpan blob) override;

  /// Every queue is open, and no sweep is under way.
  bool settled() const { return all_open_ && sweeps_.empty(); }
  std::string unsettled() const;

 private:
  struct Sweep {
    core::SweepAction action = core::SweepAction::kNone;
    std::string queue;
    bool dry = false;
    std::uint64_t matched = 0;
  };

  void tick();
  void greet();
  void lose_session();
  void send(Packet packet);
  void set_a_queue();
  void sweep();
  void read_dead();
  void open_all();
  void take(const wire::QueueReply& reply);
  void take(const wire::SweepReport& report);
  void take(const wire::DeadPage& page, ByteSpan blob);
  const std::string& some_queue();

  Scene& scene_;
  Dice dice_;
  bool online_ = false;
  bool greeted_ = false;
  core::Steady hello_sent_{};
  core::Steady last_sent_{};
  core::Millis session_timeout_{2'000};
  std::uint64_t request_ = 0;
  std::map<std::uint64_t, Sweep> sweeps_;
  std::uint64_t opening_ = 0;  // the look that follows on resuming everything
  bool all_open_ = false;
};

}  // namespace jobwire::sim
