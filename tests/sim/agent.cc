// SPDX-License-Identifier: Apache-2.0
#include "sim/agent.h"

#include <algorithm>
#include <utility>

namespace jobwire::sim {

using core::LeaseToken;
using core::Micros;
using core::Millis;

Agent::Agent(Scene& scene, Dice dice, std::uint32_t number, std::uint32_t workers)
    : scene_(scene),
      dice_(dice),
      host_(dice_.id<core::HostId>()),
      name_("host-" + std::to_string(number)) {
  keeps_deadlines_ = dice_.chance(0.8);
  scene_.network.connect(*this, ports::Side::kWorkers);
  for (std::uint32_t i = 0; i < workers; ++i) spawn();
  beat();
}

void Agent::spawn() {
  if (!alive_) return;
  workers_.push_back(std::make_unique<Worker>(scene_, dice_.fork(), this, host_, ++last_worker_));
}

std::vector<Worker*> Agent::living() const {
  std::vector<Worker*> out;
  for (const auto& worker : workers_) {
    if (worker->alive()) out.push_back(worker.get());
  }
  return out;
}

void Agent::expect_trouble(Micros extra) {
  trouble_until_ =
      std::max(trouble_until_, scene_.agenda.steady() + extra +
                                   3 * scene_.plan.broker.engine.heartbeat + Millis(6'000));
}

void Agent::send(Packet packet) {
  if (muted_until_ > scene_.agenda.steady()) return;
  scene_.network.send(*this, std::move(packet.envelope), std::move(packet.blob));
}

void Agent::connected() {
  online_ = true;
  greet();
}

void Agent::disconnected() {
  online_ = greeted_ = false;
  expect_trouble();
}

void Agent::greet() {
  greeted_ = false;
  hello_sent_ = scene_.agenda.steady();
  send(hello(core::Role::kAgent, host_, name_, 0));
}

void Agent::beat() {
  scene_.agenda.after(scene_.plan.broker.engine.heartbeat, [this] {
    if (!alive_) return;
    beat();
    if (!online_) return;
    if (!greeted_) {
      if (scene_.agenda.steady() - hello_sent_ > Millis(1'000)) greet();
      return;
    }
    std::vector<std::uint64_t> numbers;
    std::vector<LeaseNote> running;
    for (const Worker* worker : living()) {
      numbers.push_back(worker->number());
      for (const LeaseNote& note : worker->running()) running.push_back(note);
    }
    send(heartbeat(++beats_, numbers, running));
  });
}

void Agent::receive(const wire::Message& message, ByteSpan) {
  if (!alive_ || muted_until_ > scene_.agenda.steady()) return;
  switch (message.body_type()) {
    case wire::Body::Welcome:
      greeted_ = true;
      for (Report& report : reports_) {
        report.after = beats_ + 1;
        send(report.packet);
      }
      break;
    case wire::Body::Refused:
      if (message.body_as_Refused()->code() != wire::Code::HelloFirst &&
          message.body_as_Refused()->code() != wire::Code::SlowReader)
        throw Violation("an agent's message is refused");
      scene_.coverage.met(Met::kHelloFirst);
      if (greeted_) greet();  // else it answers what was sent before the Hello
      break;
    case wire::Body::Goodbye:
      greeted_ = false;
      break;
    case wire::Body::Heartbeat: {
      const std::uint64_t echo = message.body_as_Heartbeat()->sequence();
      std::erase_if(reports_, [&](const Report& report) { return report.after <= echo; });
      break;
    }
    case wire::Body::CancelLease: {
      const wire::CancelLease& cancel = *message.body_as_CancelLease();
      const auto token = id_of<LeaseToken>(*cancel.token());
      for (Worker* worker : living()) {
        if (worker->number() != cancel.worker()) continue;
        worker->ask_to_cancel(token);
        scene_.agenda.after(Millis(cancel.grace_ms()), [this, worker, token] {
          if (alive_ && worker->alive() && worker->runs(token))
            kill(*worker, core::WorkerEnd::kCancelled, token);
        });
      }
      break;
    }
    default:
      break;
  }
}

void Agent::started(Worker& worker, const LeaseToken& token, std::uint32_t timeout_ms) {
  if (!keeps_deadlines_) return;
  scene_.agenda.after(Millis(timeout_ms) + dice_.span(Micros(0), Micros(100'000)),
                      [this, &worker, token] {
                        if (alive_ && worker.alive() && worker.runs(token))
                          kill(worker, core::WorkerEnd::kTimedOut, token);
                      });
}

void Agent::kill(Worker& worker, core::WorkerEnd end, const LeaseToken& token) {
  std::vector<LeaseNote> running;
  for (const LeaseNote& note : worker.running()) {
    if (note.token == token) running.push_back(note);
  }
  if (end == core::WorkerEnd::kCancelled)
    scene_.ledger.run(token).reported = core::Outcome::kCancelled;
  report(worker, end, running);
  killing_ = true;
  worker.die();
  killing_ = false;
}

void Agent::report(const Worker& worker, core::WorkerEnd end,
                   const std::vector<LeaseNote>& running) {
  scene_.trace.note("worker down", worker.number(), static_cast<std::uint64_t>(end),
                    running.size());
  Packet packet = worker_down(worker.number(), end, running);
  reports_.push_back({beats_ + 1, packet});
  if (greeted_) send(std::move(packet));
  scene_.agenda.after(dice_.span(Micros(5'000), Micros(300'000)), [this] { spawn(); });
}

void Agent::crashed(Worker& worker) {
  if (!alive_ || killing_) return;
  report(worker, core::WorkerEnd::kCrashed, worker.running());
}

void Agent::exited(Worker& worker) {
  if (alive_) report(worker, core::WorkerEnd::kStopped, {});
}

void Agent::lose_host() {
  if (!alive_) return;
  scene_.coverage.met(Met::kHostLost);
  alive_ = false;
  expect_trouble();
  scene_.network.leave(*this, false);
  for (Worker* worker : living()) worker->die();
}

void Agent::mute(Micros time) {
  scene_.coverage.met(Met::kAgentMute);
  muted_until_ = scene_.agenda.steady() + time;
  expect_trouble(time);
}

bool Agent::settled() const {
  return !alive_ || std::all_of(workers_.begin(), workers_.end(),
                                [](const auto& worker) { return worker->settled(); });
}

}  // namespace jobwire::sim
