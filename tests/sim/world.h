// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ports/log.h"
#include "runtime/broker.h"
#include "sim/agent.h"
#include "sim/disk.h"
#include "sim/network.h"
#include "sim/operator.h"
#include "sim/producer.h"
#include "sim/scene.h"
#include "sim/sim_store.h"
#include "sim/worker.h"

namespace jobwire::sim {

struct RunReport {
  bool passed = false;
  std::string violation;
  std::uint64_t hash = 0;
  std::uint64_t notes = 0;
  std::uint64_t turns = 0;
  Coverage coverage;
};

/// One run: a whole jobwire in one thread, from one seed. Faults and new jobs for some seconds of
/// simulated time, then calm until everything has ended, then until nothing is kept any more.
class World : private SendWatcher {
 public:
  World(std::uint64_t seed, bool thorough, bool loud);
  ~World() override;

  RunReport run();

 private:
  class Quiet : public ports::Log {
   public:
    explicit Quiet(Trace& trace) : trace_(trace) {}
    void write(ports::Level, const char*, std::string_view text) override {
      trace_.line(std::string(text));
    }

   private:
    Trace& trace_;
  };
  /// One start of a broker, with its ends of the network and the store.
  struct Incarnation {
    Incarnation(World& world, std::uint64_t number);
    Endpoint endpoint;
    SimStore store;
    runtime::Broker broker;
    bool asked_to_stop = false;
    bool knows_all = false;
  };

  void live();
  void turn();
  void start_broker();
  void bury(core::Micros back_after);
  void after_turn();
  void check_recovery();
  void audit(runtime::Broker& broker);
  void settle_end();
  void plan_fault();
  void fault();
  void crash_broker();
  void ask_take_over();
  void take_over();
  void zombie_turn(std::uint32_t left);
  void keep_lone_workers();
  void become_calm();
  bool all_settled() const;
  std::size_t ready_workers() const;
  std::string why_not_settled() const;
  void check_nothing_left();
  std::vector<Worker*> workers() const;
  std::vector<Agent*> agents() const;
  Peer* some_peer();

  void sent(std::uint64_t endpoint, const wire::Message& message, ByteSpan blob) override;
  void before_send() override { assassin_.pass(Moment::kBetweenSends); }

  Dice dice_;
  Plan plan_;
  Agenda agenda_;
  Trace trace_;
  Coverage coverage_;
  Ledger ledger_;
  Disk disk_;
  StoreWeather weather_;
  Assassin assassin_;
  Quiet log_;
  Network network_;
  Scene scene_;
  std::vector<std::unique_ptr<Producer>> producers_;
  std::unique_ptr<Operator> operator_;
  std::vector<std::unique_ptr<Agent>> agents_;
  std::vector<std::unique_ptr<Worker>> lone_workers_;
  std::unique_ptr<Incarnation> broker_;
  std::unique_ptr<Incarnation> zombie_;
  std::vector<std::unique_ptr<Incarnation>>
      buried_;  // what is on its way may still point at their endpoints
  std::uint64_t incarnations_ = 0;
  bool take_over_asked_ = false;
  bool crash_in_recovery_ = false;
  core::Steady last_look_{};
  std::map<core::LeaseToken, core::Steady> held_up_;  // since when each waits for no reason
  core::Steady start_at_{};
  core::Steady calm_at_{};
  std::uint64_t turns_ = 0;
};

}  // namespace jobwire::sim
