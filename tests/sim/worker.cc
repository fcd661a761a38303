// SPDX-License-Identifier: Apache-2.0
#include "sim/worker.h"

#include <algorithm>
#include <utility>

#include "sim/agent.h"

namespace jobwire::sim {

using core::LeaseToken;
using core::Micros;
using core::Millis;
using core::Outcome;

Worker::Worker(Scene& scene, Dice dice, Agent* agent, const core::HostId& host,
               std::uint64_t number)
    : scene_(scene), dice_(dice), agent_(agent), host_(host), number_(number) {
  const Plan& plan = scene_.plan;
  for (const std::string& queue : plan.queues) {
    if (dice_.chance(0.8)) queues_.push_back(queue);
  }
  for (const std::string& type : plan.types) {
    if (dice_.chance(0.8)) types_.push_back(type);
  }
  // Somebody must serve everything.
  if (queues_.empty() || number % 2 == 1 || scene_.calm) queues_ = plan.queues;
  if (types_.empty() || number % 2 == 1 || scene_.calm) types_ = plan.types;
  const bool serves_everything = number % 2 == 1 || scene_.calm;
  const std::int64_t built_with = dice_.between(0, plan.contracts);
  contract_.hash = serves_everything ? plan.contracts : static_cast<std::uint64_t>(built_with);
  for (std::uint64_t earlier = 1; earlier < contract_.hash; ++earlier) {
    if (serves_everything || dice_.chance(0.5)) contract_.accepts.push_back(earlier);
  }
  slots_ = static_cast<std::uint16_t>(dice_.between(1, 3));
  credit_ = static_cast<std::uint16_t>(slots_ + dice_.between(0, 6));
  scene_.network.connect(*this, ports::Side::kWorkers);
  if (!agent_) beat();
}

void Worker::send(Packet packet) {
  scene_.network.send(*this, std::move(packet.envelope), std::move(packet.blob));
}

void Worker::connected() {
  online_ = true;
  greet();
}

void Worker::disconnected() {
  online_ = greeted_ = false;
  if (wedged_) scene_.network.leave(*this, false);
}

void Worker::greet() {
  if (!alive_ || wedged_) return;
  greeted_ = false;
  sequence_ = acked_ = 0;
  const std::uint64_t number = ++hellos_;
  scene_.agenda.after(Millis(1'000), [this, number] {
    if (online_ && !greeted_ && number == hellos_) greet();
  });
  send(hello(core::Role::kWorker, host_, agent_ ? "host" : "", agent_ ? number_ : 0));
}

void Worker::beat() {
  scene_.agenda.after(session_timeout_ / 3, [this] {
    if (!alive_) return;
    beat();
    if (!online_ || wedged_) return;
    if (greeted_) send(heartbeat(++beats_, {}, {}));
  });
}

Worker::Held* Worker::find(const LeaseToken& token) {
  const auto found = std::find_if(held_.begin(), held_.end(),
                                  [&](const Held& held) { return held.token == token; });
  return found == held_.end() ? nullptr : &*found;
}

std::size_t Worker::count_held() const {
  return static_cast<std::size_t>(std::count_if(held_.begin(), held_.end(), [](const Held& held) {
    return held.at != At::kSent && !held.revoked;
  }));
}

std::size_t Worker::count_running() const {
  return static_cast<std::size_t>(std::count_if(
      held_.begin(), held_.end(), [](const Held& held) { return held.at == At::kRunning; }));
}

std::vector<LeaseNote> Worker::running() const {
  std::vector<LeaseNote> notes;
  for (const Held& held : held_) {
    if (held.at == At::kRunning)
      notes.push_back({held.token, held.job, number_, held.started_ms, held.attempt, false});
  }
  return notes;
}

bool Worker::runs(const LeaseToken& token) const {
  return std::any_of(held_.begin(), held_.end(), [&](const Held& held) {
    return held.token == token && held.at == At::kRunning;
  });
}

bool Worker::settled() const {
  return !alive_ || wedged_ ||
         std::none_of(held_.begin(), held_.end(), [](const Held& held) { return !held.revoked; });
}

std::string Worker::unsettled() const {
  if (settled() && greeted_) return {};
  return " worker " + std::to_string(number_) + (agent_ ? "" : " alone") + " on route " +
         std::to_string(route) + (greeted_ ? "" : " is not greeted") +
         (stopping_ ? ", stops" : "") + ", holds " + std::to_string(held_.size()) + ";";
}

void Worker::say_ready() {
  scene_.trace.note("says ready", number_, held_.size(), route);
  std::vector<LeaseNote> held;
  claims_.clear();
  const bool first = std::exchange(claimed_at_, broker_) != broker_;
  for (const Held& lease : held_) {
    if (lease.revoked) continue;
    if (first && (lease.at == At::kWaiting || lease.at == At::kRunning))
      claims_.push_back(lease.token);
    const bool finished = lease.at == At::kFinished || lease.at == At::kSent;
    held.push_back({lease.token, lease.job, number_, lease.started_ms, lease.attempt, finished});
  }
  send(ready(queues_, types_, scene_.plan.declared, contract_, slots_, credit_, held));
}

void Worker::receive(const wire::Message& message, ByteSpan blob) {
  if (!alive_ || wedged_) return;
  switch (message.body_type()) {
    case wire::Body::Welcome:
      if (!greeted_) {
        greeted_ = true;
        broker_ = id_of<core::HostId>(*message.body_as_Welcome()->broker()).bytes[15];
        session_timeout_ = Millis(message.body_as_Welcome()->limits()->session_timeout_ms());
        say_ready();
        save_again();
        for (Held& held : held_) {
          if (held.at != At::kSent) continue;
          held.at = At::kFinished;
          scene_.coverage.met(Met::kResultResent);
        }
        flush();
      }
      break;
    case wire::Body::Refused:
      switch (message.body_as_Refused()->code()) {
        case wire::Code::HelloFirst:
        case wire::Code::UnknownWorker:
        case wire::Code::SlowReader:
          scene_.coverage.met(Met::kHelloFirst);
          if (greeted_) greet();  // else it answers what was sent before the Hello
          break;
        default:
          throw Violation("a worker's message is refused: " +
                          message.body_as_Refused()->message()->str());
      }
      break;
    case wire::Body::Goodbye: {
      greeted_ = false;
      const std::uint64_t number = ++hellos_;
      scene_.agenda.after(Millis(1'000), [this, number] {
        if (online_ && !greeted_ && number == hellos_) greet();
      });
      break;
    }
    case wire::Body::Dispatch:
      take(*message.body_as_Dispatch(), blob);
      break;
    case wire::Body::ResultAck:
      if (greeted_) take(*message.body_as_ResultAck());  // else it belongs to the session before
      break;
    case wire::Body::CheckpointAck:
      take(*message.body_as_CheckpointAck());
      break;
    case wire::Body::Revoke:
      for (const wire::Id* token : *message.body_as_Revoke()->tokens()) {
        scene_.coverage.met(Met::kRevoked);
        refused_claim(id_of<LeaseToken>(*token));
        drop(id_of<LeaseToken>(*token));
      }
      break;
    case wire::Body::Recall: {
      std::vector<LeaseToken> tokens;
      for (const wire::Id* token : *message.body_as_Recall()->tokens())
        tokens.push_back(id_of<LeaseToken>(*token));
      scene_.coverage.met(Met::kRecalled);
      hand_back_waiting(tokens);
      break;
    }
    case wire::Body::CancelLease:
      ask_to_cancel(id_of<LeaseToken>(*message.body_as_CancelLease()->token()));
      break;
    default:
      break;
  }
}

void Worker::take(const wire::Dispatch& dispatch, ByteSpan) {
  for (const wire::DispatchHead* head : *dispatch.heads()) {
    const auto token = id_of<LeaseToken>(head->token());
    if (find(token)) throw Violation("a lease was dispatched twice");
    if (head->type() >= types_.size()) throw Violation("a dispatch of a type that was not offered");
    const Truth& truth = scene_.ledger.truth(id_of<core::JobId>(head->job()));
    if (types_[head->type()] != truth.spec.type) throw Violation("a dispatch under another type");
    // A replay may have moved it.
    if (truth.replays == 0 &&
        std::find(queues_.begin(), queues_.end(), truth.spec.queue) == queues_.end()) {
      throw Violation("a dispatch from a queue that is not served");
    }
    if (!contract_.takes(truth.spec.contract))
      throw Violation("a dispatch to a worker that does not take its contract");
    if (truth.spec.contract != 0 && truth.spec.contract != contract_.hash)
      scene_.coverage.met(Met::kEarlierContract);
    Held held;
    held.token = token;
    held.job = id_of<core::JobId>(head->job());
    held.attempt = head->attempt();
    held.timeout_ms = head->timeout_ms();
    held_.push_back(std::move(held));
    if (agent_) scene_.ledger.run(token).trouble_until = &agent_->trouble_until();
  }
  if (count_held() > credit_) throw Violation("a worker holds more than its credit");
  if (stopping_) {
    hand_back_waiting({});
  } else {
    start_some();
  }
}

void Worker::take(const wire::ResultAck& ack) {
  if (ack.refused()) {
    for (const wire::LeaseRefusal* refusal : *ack.refused()) {
      scene_.coverage.met(Met::kStaleResult);
      drop(id_of<LeaseToken>(refusal->token()));
    }
  }
  if (ack.through() > sequence_) throw Violation("an acknowledgement of what was not sent");
  acked_ = std::max(acked_, ack.through());
  std::erase_if(held_, [&](const Held& held) {
    if (held.at != At::kSent || held.sequence > ack.through()) return false;
    scene_.ledger.acknowledged(held.result);
    return true;
  });
  try_to_exit();
}

void Worker::refused_claim(const LeaseToken& token) {
  const Held* const held = find(token);
  const bool claimed = std::find(claims_.begin(), claims_.end(), token) != claims_.end();
  if (claimed && held && (held->at == At::kWaiting || held->at == At::kRunning))
    scene_.ledger.claim_refused(token, broker_);
}

void Worker::drop(const LeaseToken& token) {
  Held* const held = find(token);
  if (!held) return;
  if (held->at == At::kRunning) {
    held->revoked = true;
    return;
  }
  std::erase_if(held_, [&](const Held& other) { return other.token == token; });
  try_to_exit();
}

void Worker::start_some() {
  if (!alive_ || wedged_ || stopping_) return;
  for (std::size_t i = 0; i < held_.size() && count_running() < slots_; ++i) {
    if (held_[i].at == At::kWaiting && !held_[i].cancelled) start(held_[i]);
  }
}

void Worker::start(Held& held) {
  scene_.ledger.started(held.token);
  held.at = At::kRunning;
  held.started = scene_.agenda.steady();
  held.started_ms = scene_.agenda.true_wall().time_since_epoch().count();
  const Plan& plan = scene_.plan;
  const LeaseToken token = held.token;
  scene_.trace.note("started", token.tail(), held.job.tail(), number_);
  if (agent_) agent_->started(*this, token, held.timeout_ms);
  Micros takes = dice_.chance(0.3) ? dice_.span(Micros(5), Micros(2'000))
                                   : dice_.span(Micros(5), plan.run_most);
  if (dice_.chance(plan.checkpoint)) save(token);
  if (!scene_.calm && dice_.chance(plan.crash)) {
    scene_.agenda.after(takes, [this, token] {
      if (!alive_ || wedged_ || !runs(token)) return;
      scene_.coverage.met(Met::kWorkerCrash);
      die();
    });
    return;
  }
  if (dice_.chance(plan.hang))
    takes = Millis(held.timeout_ms) + dice_.span(Millis(300), Millis(4'000));
  Outcome outcome = Outcome::kSucceeded;
  if (dice_.chance(plan.fail)) {
    const Outcome failures[] = {Outcome::kRaised, Outcome::kRaised, Outcome::kRaised,
                                Outcome::kRetryAsked, Outcome::kRejected};
    outcome = failures[dice_.below(5)];
  }
  if (dice_.chance(plan.progress)) speak(token);
  scene_.agenda.after(takes, [this, token, outcome] { finish(token, outcome); });
}

void Worker::speak(const LeaseToken& token) {
  // One that floods is not held back.
  const Micros pause = dice_.chance(0.5) ? dice_.span(Micros(0), Micros(30'000))
                                         : dice_.span(Micros(0), Micros(900'000));
  scene_.agenda.after(pause, [this, token] {
    Held* const held = find(token);
    if (!alive_ || wedged_ || !held) return;
    // What is late or for nobody is said now and then as well.
    if (held->at != At::kRunning && !dice_.chance(0.3)) return;
    Run& run = scene_.ledger.run(token);
    ++run.words;
    if (greeted_) send(progress(token, run.words));
    if (agent_ && dice_.chance(0.1)) agent_->say(token, run.words);
    speak(token);
  });
}

void Worker::save(const LeaseToken& token) {
  const Micros pause = dice_.chance(0.5) ? dice_.span(Micros(0), Micros(10'000))
                                         : dice_.span(Micros(0), Micros(300'000));
  scene_.agenda.after(pause, [this, token] {
    Held* const held = find(token);
    if (!alive_ || wedged_ || !held || held->at != At::kRunning) return;
    Run& run = scene_.ledger.run(token);
    held->unsettled_save = ++run.saves;
    const SaveNote note{token, run.saves, checkpoint_bytes(token, run.saves)};
    if (greeted_) send(checkpoints({&note, 1}));
    save(token);
  });
}

void Worker::save_again() {
  std::vector<SaveNote> notes;
  for (const Held& held : held_) {
    if (held.unsettled_save != 0)
      notes.push_back(
          {held.token, held.unsettled_save, checkpoint_bytes(held.token, held.unsettled_save)});
  }
  if (!notes.empty()) send(checkpoints(notes));
}

void Worker::take(const wire::CheckpointAck& ack) {
  for (const wire::CheckpointAckHead* head : *ack.heads()) {
    Held* const held = find(id_of<LeaseToken>(head->token()));
    if (held && held->unsettled_save <= head->number()) held->unsettled_save = 0;
  }
}

void Worker::finish(const LeaseToken& token, Outcome outcome) {
  if (!alive_ || wedged_) return;
  // It may say Ready again whenever it likes; what crosses it on the way stays its own.
  if (greeted_ && !stopping_ && dice_.chance(0.03)) say_ready();
  Held* const held = find(token);
  if (!held || held->at != At::kRunning) return;
  if (held->revoked) {
    std::erase_if(held_, [&](const Held& other) { return other.token == token; });
    start_some();
    try_to_exit();
    return;
  }
  held->at = At::kFinished;
  ResultNote& note = held->result;
  note.token = token;
  note.job = held->job;
  note.outcome = outcome;
  note.started_ms = held->started_ms;
  note.run_us = static_cast<std::uint64_t>((scene_.agenda.steady() - held->started).count());
  if (outcome == Outcome::kSucceeded) {
    note.payload = result_bytes(token, held->job, dice_.below(200));
  } else if (outcome == Outcome::kRetryAsked) {
    note.retry_delay_ms = static_cast<std::uint32_t>(dice_.between(0, 500));
  } else if (dice_.chance(0.8)) {
    note.payload =
        job_error(dice_.chance(0.3) ? "app.Fatal" : "builtins.ValueError", "no", dice_.chance(0.9));
  }
  scene_.ledger.run(token).reported = outcome;
  scene_.trace.note("finished", token.tail(), static_cast<std::uint64_t>(outcome), number_);
  if (!flush_planned_) {
    flush_planned_ = true;
    scene_.agenda.after(dice_.chance(0.7) ? Micros(0) : dice_.span(Micros(0), Micros(15'000)),
                        [this] {
                          flush_planned_ = false;
                          flush();
                        });
  }
  start_some();
}

void Worker::flush() {
  if (!alive_ || wedged_ || !greeted_) return;
  std::vector<ResultNote> notes;
  for (Held& held : held_) {
    if (held.at != At::kFinished) continue;
    held.at = At::kSent;
    held.sequence = sequence_ + 1;
    notes.push_back(held.result);
  }
  if (notes.empty()) return;
  scene_.trace.note("sends results", number_, sequence_ + 1, route);
  ++sequence_;
  send(results(sequence_, notes));
  if (dice_.chance(0.02)) {
    send(results(sequence_, notes));  // the same message twice
  } else if (dice_.chance(0.02)) {
    send(results(++sequence_, notes));  // the same results again
    for (Held& held : held_) {
      if (held.at == At::kSent && held.sequence == sequence_ - 1) held.sequence = sequence_;
    }
  }
}

void Worker::hand_back_waiting(const std::vector<LeaseToken>& only) {
  std::vector<LeaseToken> tokens;
  std::erase_if(held_, [&](const Held& held) {
    if (held.at != At::kWaiting) return false;
    if (!only.empty() && std::find(only.begin(), only.end(), held.token) == only.end())
      return false;
    tokens.push_back(held.token);
    return true;
  });
  if (tokens.empty()) return;
  scene_.coverage.met(Met::kHandedBack, tokens.size());
  if (greeted_) send(hand_back(tokens));
}

void Worker::ask_to_cancel(const LeaseToken& token) {
  Held* const held = find(token);
  if (!held || !alive_ || wedged_) return;
  held->cancelled = true;
  if (held->at == At::kWaiting) return hand_back_waiting({token});
  if (held->at == At::kRunning && dice_.chance(0.6)) {
    scene_.agenda.after(dice_.span(Micros(0), Micros(40'000)),
                        [this, token] { finish(token, Outcome::kCancelled); });
  }
}

void Worker::die() {
  if (!alive_) return;
  alive_ = false;
  for (const Held& held : held_) {
    if (held.at == At::kRunning) scene_.ledger.run(held.token).died_running = true;
  }
  scene_.network.leave(*this, false);
  if (agent_) agent_->crashed(*this);
}

void Worker::stop() {
  if (!alive_ || wedged_ || stopping_) return;
  scene_.coverage.met(Met::kWorkerStopped);
  stopping_ = true;
  stop_until_ = scene_.agenda.steady() + Millis(dice_.between(100, 2'000));
  hand_back_waiting({});
  try_to_exit();
  scene_.agenda.at(stop_until_, [this] { try_to_exit(); });
}

void Worker::try_to_exit() {
  if (!stopping_ || !alive_ || wedged_) return;
  if (!held_.empty() && scene_.agenda.steady() < stop_until_) return;
  if (greeted_) send(goodbye());
  alive_ = false;
  scene_.network.leave(*this, true);
  if (agent_) agent_->exited(*this);
}

void Worker::wedge() {
  if (!alive_ || wedged_) return;
  scene_.coverage.met(Met::kWorkerWedged);
  wedged_ = true;
  scene_.network.leave(*this, false);
}

}  // namespace jobwire::sim
