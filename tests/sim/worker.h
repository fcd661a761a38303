// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "sim/dice.h"
#include "sim/messages.h"
#include "sim/scene.h"

namespace jobwire::sim {

class Agent;

/// One worker process: runs jobs for drawn times with drawn outcomes, keeps each result until it is
/// acknowledged. It may hang, crash, be told to stop, or lose its connection and never come back.
class Worker : public Peer {
 public:
  /// Without an agent it stands alone and beats for itself.
  Worker(Scene& scene, Dice dice, Agent* agent, const core::HostId& host, std::uint64_t number);

  void connected() override;
  void disconnected() override;
  void receive(const wire::Message& message, ByteSpan blob) override;

  bool alive() const { return alive_; }
  std::uint64_t number() const { return number_; }
  std::vector<LeaseNote> running() const;

  /// The process is gone at once, whatever it did.
  void die();
  /// SIGTERM: hand back what has not begun, finish what runs, wait for the acknowledgements, say
  /// goodbye.
  void stop();
  /// It loses its connection and does nothing any more, but lives.
  void wedge();
  /// Somebody kills it, if it is.
  void end_if_wedged() {
    if (wedged_) die();
  }
  /// The agent's flag: end this run if it is running, do not begin it if it is not.
  void ask_to_cancel(const core::LeaseToken& token);
  bool runs(const core::LeaseToken& token) const;
  bool settled() const;
  std::string unsettled() const;

 private:
  enum class At : std::uint8_t { kWaiting, kRunning, kFinished, kSent };
  struct Held {
    core::LeaseToken token;
    core::JobId job;
    At at = At::kWaiting;
    std::uint16_t attempt = 0;
    std::uint32_t timeout_ms = 0;
    core::Steady started{};
    std::int64_t started_ms = 0;
    bool revoked = false;  // runs on, for nobody
    bool cancelled = false;
    ResultNote result;
    std::uint64_t sequence = 0;
    std::uint32_t unsettled_save = 0;  // its latest checkpoint, until it is acknowledged
  };

  void greet();
  void send(Packet packet);
  void say_ready();
  void take(const wire::Dispatch& dispatch, ByteSpan blob);
  void take(const wire::ResultAck& ack);
  void refused_claim(const core::LeaseToken& token);
  void drop(const core::LeaseToken& token);
  void start_some();
  void start(Held& held);
  void speak(const core::LeaseToken& token);
  /// Saves checkpoint after checkpoint for as long as the run lasts.
  void save(const core::LeaseToken& token);
  void save_again();
  void take(const wire::CheckpointAck& ack);
  void finish(const core::LeaseToken& token, core::Outcome outcome);
  void flush();
  void hand_back_waiting(const std::vector<core::LeaseToken>& only);
  void beat();
  void try_to_exit();
  Held* find(const core::LeaseToken& token);
  std::size_t count_held() const;
  std::size_t count_running() const;

  Scene& scene_;
  Dice dice_;
  Agent* agent_;
  core::HostId host_;
  std::uint64_t number_;
  std::vector<std::string> queues_;
  std::vector<std::string> types_;
  core::Contract contract_;  // the same for each type
  std::uint16_t slots_;
  std::uint16_t credit_;
  bool alive_ = true;
  bool wedged_ = false;
  bool online_ = false;
  bool greeted_ = false;
  bool stopping_ = false;
  core::Steady stop_until_{};
  std::uint64_t hellos_ = 0;
  core::Millis session_timeout_{2'000};
  std::uint64_t sequence_ = 0;
  std::uint64_t beats_ = 0;
  std::uint64_t acked_ = 0;
  std::uint64_t broker_ = 0;              // the number of its start
  std::uint64_t claimed_at_ = 0;          // the broker that got claims_
  std::vector<core::LeaseToken> claims_;  // what was not finished at the first Ready to that broker
  bool flush_planned_ = false;
  std::deque<Held> held_;  // in the order in which they came
};

}  // namespace jobwire::sim
