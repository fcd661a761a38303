// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "sim/dice.h"
#include "sim/messages.h"
#include "sim/scene.h"
#include "sim/worker.h"

namespace jobwire::sim {

/// The host agent of one machine: starts workers and replaces those that end, beats, reports each
/// end until that has surely arrived, stops runs that take too long or are cancelled.
class Agent : public Peer {
 public:
  Agent(Scene& scene, Dice dice, std::uint32_t number, std::uint32_t workers);

  void connected() override;
  void disconnected() override;
  void receive(const wire::Message& message, ByteSpan blob) override;

  /// From its workers.
  /// A word of one of its workers, read in memory that they share.
  void say(const core::LeaseToken& token, std::uint32_t word) {
    if (alive_ && greeted_) send(progress(token, word));
  }
  void started(Worker& worker, const core::LeaseToken& token, std::uint32_t timeout_ms);
  void crashed(Worker& worker);
  void exited(Worker& worker);

  /// The machine is gone, without a word.
  void lose_host();
  /// The agent is cut off for so long; its workers are not.
  void mute(core::Micros time);
  bool alive() const { return alive_; }
  /// Something happened after which its beats may stay away long enough to count as lost.
  void expect_trouble(core::Micros extra = core::Micros{0});
  const core::Steady& trouble_until() const { return trouble_until_; }
  std::vector<Worker*> living() const;
  bool settled() const;

 private:
  struct Report {
    std::uint64_t after;  // arrived when the echo of this heartbeat comes
    Packet packet;
  };

  void greet();
  void send(Packet packet);
  void beat();
  void spawn();
  void report(const Worker& worker, core::WorkerEnd end, const std::vector<LeaseNote>& running);
  void kill(Worker& worker, core::WorkerEnd end, const core::LeaseToken& token);

  Scene& scene_;
  Dice dice_;
  core::HostId host_;
  std::string name_;
  bool alive_ = true;
  bool online_ = false;
  bool greeted_ = false;
  bool killing_ = false;  // a child ends by our own hand
  bool keeps_deadlines_;  // now and then an agent does not
  core::Steady muted_until_{};
  core::Steady trouble_until_{};
  core::Steady hello_sent_{};
  std::uint64_t beats_ = 0;
  std::uint64_t last_worker_ = 0;
  std::deque<Report> reports_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace jobwire::sim
