// SPDX-License-Identifier: Apache-2.0
// What goes wrong in a world, and when.
#include <algorithm>
#include <utility>

#include "sim/world.h"

namespace jobwire::sim {

using core::Micros;
using core::Millis;

void World::plan_fault() {
  if (plan_.faults.between.count() == 0) return;
  const Micros mean = plan_.faults.between;
  agenda_.after(dice_.span(Micros(0), 2 * mean), [this] {
    if (scene_.calm) return;
    fault();
    plan_fault();
  });
}

Peer* World::some_peer() {
  std::vector<Peer*> peers;
  for (const auto& producer : producers_) peers.push_back(producer.get());
  for (Agent* agent : agents()) peers.push_back(agent);
  for (Worker* worker : workers()) peers.push_back(worker);
  return peers[dice_.below(peers.size())];
}

void World::fault() {
  const Plan::Faults& f = plan_.faults;
  const double weights[] = {f.broker_crash, f.takeover,     f.shutdown,        f.store_slow,
                            f.store_away,   f.store_full,   f.store_back,      f.link_cut,
                            f.stall,        f.worker_crash, f.worker_wedge,    f.worker_stop,
                            f.host_loss,    f.agent_mute,   f.producer_silent, f.clock_step};
  double sum = 0;
  for (const double weight : weights) sum += weight;
  if (sum == 0) return;
  double left = sum * static_cast<double>(dice_.between(0, 1'000'000)) / 1e6;
  std::size_t which = 0;
  while (which + 1 < std::size(weights) && left >= weights[which]) left -= weights[which++];
  if (weights[which] == 0) return;
  trace_.note("fault", which);
  // Any of them may keep beats away, for as long as it lasts.
  for (Agent* agent : agents()) agent->expect_trouble(Millis(4'000));
  const auto living = workers();
  const auto hosts = agents();
  switch (which) {
    case 0:
      crash_broker();
      break;
    case 1:
      ask_take_over();
      break;
    case 2:
      if (broker_ && !broker_->asked_to_stop && !broker_->store.repairing()) {
        broker_->asked_to_stop = true;
        broker_->broker.begin_shutdown();
      }
      break;
    case 3:
      weather_.slow_until = agenda_.steady() + Millis(dice_.between(100, 1'500));
      break;
    case 4:
      if (broker_) {
        broker_->store.go_away(Millis(dice_.between(10, 2'500)));
      } else {
        weather_.down = true;
        agenda_.after(Millis(dice_.between(10, 1'500)), [this] { weather_.down = false; });
      }
      break;
    case 5:
      weather_.full_until = agenda_.steady() + Millis(dice_.between(50, 1'500));
      weather_.refuse = dice_.chance(0.5) ? 1.0 : 0.5;
      weather_.full_is_told = dice_.chance(0.5);
      break;
    case 6:
      if (broker_ && !zombie_ && !broker_->asked_to_stop && !take_over_asked_ &&
          assassin_.armed() == Moment::kNever) {
        broker_->store.lose_batches(Millis(dice_.between(10, 1'500)));
      }
      break;
    case 7:
      network_.cut(*some_peer());
      break;
    case 8:
      network_.stall(*some_peer(), Millis(dice_.between(100, 2'500)));
      break;
    case 9:
      if (!living.empty()) {
        coverage_.met(Met::kWorkerCrash);
        living[dice_.below(living.size())]->die();
      }
      break;
    case 10:
      if (!living.empty()) living[dice_.below(living.size())]->wedge();
      break;
    case 11:
      if (!living.empty()) living[dice_.below(living.size())]->stop();
      break;
    case 12:
      if (!hosts.empty() && dice_.chance(0.5)) {
        hosts[dice_.below(hosts.size())]->lose_host();
        agenda_.after(Millis(dice_.between(100, 3'000)), [this] {
          agents_.push_back(std::make_unique<Agent>(scene_, dice_.fork(),
                                                    static_cast<std::uint32_t>(agents_.size()),
                                                    plan_.workers_each));
        });
      }
      break;
    case 13:
      if (!hosts.empty()) hosts[dice_.below(hosts.size())]->mute(Millis(dice_.between(300, 4'000)));
      break;
    case 14:
      coverage_.met(Met::kProducerSilent);
      producers_[dice_.below(producers_.size())]->be_silent(Millis(dice_.between(500, 7'000)));
      break;
    default:
      coverage_.met(Met::kClockStep);
      ledger_.wall_was_stepped = true;
      // To an hour before or after the true time, or less.
      agenda_.restore_wall();
      agenda_.step_wall((dice_.chance(0.5) ? 1 : -1) *
                        Millis(dice_.chance(0.3) ? 3'600'000 : dice_.between(0, 120'000)));
      break;
  }
}

void World::crash_broker() {
  // The store would have lost what only this broker can repair: two failures at once, which
  // `stored` does not promise.
  if (!broker_ || broker_->store.repairing()) return;
  const Moment moments[] = {Moment::kBeforeCommit, Moment::kAfterCommit, Moment::kBeforeReply,
                            Moment::kBetweenSends, Moment::kIdle,        Moment::kInRecovery};
  Moment moment = moments[dice_.below(6)];
  if (moment == Moment::kInRecovery) {
    crash_in_recovery_ = true;
    moment = Moment::kIdle;
  }
  assassin_.arm(moment,
                moment == Moment::kBetweenSends ? static_cast<std::uint32_t>(dice_.below(8)) : 0);
}

void World::ask_take_over() {
  if (!broker_ || zombie_ || broker_->asked_to_stop || broker_->store.repairing() ||
      assassin_.armed() != Moment::kNever)
    return;
  take_over_asked_ = true;
}

void World::take_over() {
  if (!broker_ || zombie_ || broker_->store.repairing() ||
      broker_->broker.end() != runtime::End::kRunning)
    return;
  coverage_.met(Met::kTakeover);
  // The old one was stopped for a while and does not know; peers find the new one by and by.
  zombie_ = std::move(broker_);
  zombie_->endpoint.nested = true;
  zombie_->endpoint.while_waiting = nullptr;
  network_.supersede(zombie_->endpoint);
  start_at_ = agenda_.steady() + dice_.span(Micros(0), Micros(300'000));
  agenda_.after(dice_.span(Micros(0), Micros(1'000'000)), [this] { zombie_turn(60); });
  for (int i = 0; i < 20; ++i) {
    agenda_.after(dice_.span(Micros(0), Micros(1'500'000)), [this] { network_.cut(*some_peer()); });
  }
}

void World::zombie_turn(std::uint32_t left) {
  if (!zombie_) return;
  const Moment armed = assassin_.armed();
  assassin_.disarm();
  zombie_->broker.turn();
  if (armed != Moment::kNever) assassin_.arm(armed, 0);
  const runtime::End end = zombie_->broker.end();
  if (end == runtime::End::kFenced) coverage_.met(Met::kFenced);
  if (end == runtime::End::kDiverged)
    throw Violation("a superseded broker thinks that the store diverged");
  if (left == 0 || end != runtime::End::kRunning) {
    network_.close(zombie_->endpoint);
    zombie_->store.broker_gone();
    buried_.push_back(std::move(zombie_));
    return;
  }
  agenda_.after(dice_.span(Micros(500), Micros(40'000)), [this, left] { zombie_turn(left - 1); });
}

void World::become_calm() {
  trace_.note("calm");
  scene_.calm = true;
  assassin_.disarm();
  weather_ = StoreWeather{};
  for (Agent* agent : agents()) {
    for (Worker* worker : agent->living()) worker->end_if_wedged();
  }
  for (const auto& worker : lone_workers_) worker->end_if_wedged();
  // These serve everything.
  agents_.push_back(std::make_unique<Agent>(scene_, dice_.fork(), 99, plan_.workers_each));
}

}  // namespace jobwire::sim
