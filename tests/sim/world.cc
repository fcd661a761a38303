// SPDX-License-Identifier: Apache-2.0
#include "sim/world.h"

#include <algorithm>
#include <utility>

#include "sim/audit.h"

namespace jobwire::sim {

using core::Micros;
using core::Millis;

namespace {

constexpr Millis kDrainTime{240'000};  // of calm, until everything must have ended

std::array<std::uint8_t, 16> broker_id(std::uint64_t number) {
  std::array<std::uint8_t, 16> id{};
  id[15] = static_cast<std::uint8_t>(number);
  return id;
}

}  // namespace

World::Incarnation::Incarnation(World& world, std::uint64_t number)
    : endpoint(world.network_, world.agenda_, number),
      store(world.agenda_, world.disk_, world.weather_, world.assassin_, world.dice_.fork(),
            world.plan_, world.trace_, world.coverage_),
      broker(world.plan_.broker, store, endpoint, world.agenda_, world.log_, broker_id(number),
             world.dice_.next()) {
  store.wake = [this] { endpoint.woken = true; };
}

World::World(std::uint64_t seed, bool thorough, bool loud)
    : dice_(seed),
      plan_(draw_plan(seed, thorough)),
      trace_(agenda_, loud),
      ledger_(agenda_, plan_.broker.engine, trace_, coverage_),
      disk_(agenda_, ledger_, plan_.broker.engine, trace_, coverage_),
      log_(trace_),
      network_(agenda_, dice_.fork(), plan_, trace_, coverage_),
      scene_{agenda_, network_, ledger_, plan_, trace_, coverage_} {
  network_.set_watcher(this);
  ledger_.declared = plan_.declared;
  ledger_.truth_may_be_gone = plan_.broker.engine.keep_finished_jobs < 1'000 ||
                              plan_.broker.engine.keep_finished_bytes < 1'000'000;
  calm_at_ = agenda_.steady() + plan_.active;
  start_at_ = agenda_.steady();
  for (std::uint32_t i = 0; i < plan_.producers; ++i)
    producers_.push_back(std::make_unique<Producer>(scene_, dice_.fork(), i));
  for (std::uint32_t i = 0; i < plan_.hosts; ++i) {
    agents_.push_back(std::make_unique<Agent>(scene_, dice_.fork(), i, plan_.workers_each));
  }
  keep_lone_workers();
  if (plan_.has_operator) operator_ = std::make_unique<Operator>(scene_, dice_.fork());
  plan_fault();
}

World::~World() = default;

RunReport World::run() {
  RunReport report;
  try {
    live();
    report.passed = true;
  } catch (const Violation& violation) {
    report.violation = violation.what();
  } catch (const std::exception& error) {
    report.violation = std::string("an exception: ") + error.what();
  }
  report.hash = trace_.hash();
  report.notes = trace_.notes();
  report.turns = turns_;
  report.coverage = coverage_;
  return report;
}

void World::live() {
  agenda_.at(calm_at_, [this] { become_calm(); });
  core::Steady limit = calm_at_ + kDrainTime;
  // What was to start at a time of day may have to wait until the clock gets there.
  if (plan_.faults.clock_step > 0) limit += Millis(2 * 3'600'000 + 600'000);
  while (!(scene_.calm && all_settled())) {
    if (agenda_.steady() > limit) throw Violation("it does not drain:" + why_not_settled());
    turn();
  }
  settle_end();
}

void World::turn() {
  ++turns_;
  if (std::exchange(take_over_asked_, false)) take_over();
  if (!broker_) {
    if (agenda_.steady() >= start_at_) {
      start_broker();
    } else {
      agenda_.step(start_at_);
    }
    return;
  }
  try {
    broker_->broker.turn();
    agenda_.spend(dice_.span(Micros(5), Micros(150)));
    after_turn();
  } catch (const BrokerKilled&) {
    trace_.note("broker killed", static_cast<std::uint64_t>(assassin_.killed_at));
    switch (assassin_.killed_at) {
      case Moment::kBeforeCommit:
        coverage_.met(Met::kCrashBeforeCommit);
        break;
      case Moment::kAfterCommit:
        coverage_.met(Met::kCrashAfterCommit);
        break;
      case Moment::kBeforeReply:
        coverage_.met(Met::kCrashBeforeReply);
        break;
      case Moment::kBetweenSends:
        coverage_.met(Met::kCrashBetweenSends);
        break;
      case Moment::kIdle:
        coverage_.met(Met::kCrashIdle);
        break;
      case Moment::kInRecovery:
        coverage_.met(Met::kCrashInRecovery);
        break;
      case Moment::kNever:
        break;
    }
    bury(dice_.span(Micros(1'000), Micros(1'200'000)));
  }
}

void World::start_broker() {
  auto next = std::make_unique<Incarnation>(*this, ++incarnations_);
  trace_.note("broker starts", incarnations_);
  if (std::exchange(crash_in_recovery_, false))
    assassin_.arm(Moment::kInRecovery, static_cast<std::uint32_t>(dice_.below(3)));
  try {
    if (auto status = next->broker.recover(); !status) {
      if (!status.failure().retryable)
        throw Violation("recovery fails: " + status.failure().message);
      start_at_ = agenda_.steady() + Millis(100);
      next->store.broker_gone();
      buried_.push_back(std::move(next));
      return;
    }
  } catch (const BrokerKilled&) {
    coverage_.met(Met::kCrashInRecovery);
    start_at_ = agenda_.steady() + Millis(50);
    next->store.broker_gone();
    buried_.push_back(std::move(next));
    return;
  }
  ledger_.set_owner(incarnations_);
  ledger_.know_settings();
  for (Agent* agent : agents()) agent->expect_trouble();
  broker_ = std::move(next);
  check_recovery();
  network_.open(broker_->endpoint);
  broker_->endpoint.while_waiting = [this] { assassin_.pass(Moment::kIdle); };
  audit(broker_->broker);
}

void World::check_recovery() {
  if (broker_->knows_all) return;
  if (broker_->broker.recovering()) return coverage_.met(Met::kServedUnknown);
  broker_->knows_all = true;
  for (const auto& [id, job] : disk_.jobs()) {
    if (broker_->broker.engine().state_of(id).has_value()) continue;
    ledger_.violated("recovery did not find a stored job", id);
  }
}

void World::bury(Micros back_after) {
  network_.close(broker_->endpoint);
  broker_->store.broker_gone();
  assassin_.disarm();
  buried_.push_back(std::move(broker_));
  start_at_ = agenda_.steady() + back_after;
}

void World::after_turn() {
  runtime::Broker& broker = broker_->broker;
  check_recovery();
  if (turns_ % 4 == 0 || broker.end() != runtime::End::kRunning) audit(broker);
  switch (broker.end()) {
    case runtime::End::kRunning:
      return;
    case runtime::End::kDrained:
    case runtime::End::kTimedOut:
      if (!broker_->asked_to_stop)
        throw Violation("the broker ended by itself: " + broker.end_reason());
      coverage_.met(Met::kShutdown);
      trace_.note("broker ended", static_cast<std::uint64_t>(broker.end()));
      bury(dice_.span(Micros(1'000), Micros(800'000)));
      return;
    case runtime::End::kFenced:
      throw Violation("the shard's owner is fenced off");
    case runtime::End::kDiverged:
      throw Violation("the store diverged: " + broker.end_reason());
  }
}

void World::audit(runtime::Broker& broker) {
  auto& engine = const_cast<core::Engine&>(broker.engine());
  if (const std::string wrong = core::EngineAudit(engine).check(); !wrong.empty())
    throw Violation("audit: " + wrong);
  // Between two looks that lie apart nobody knows what was.
  if (agenda_.steady() - last_look_ > plan_.broker.engine.recall_after) held_up_.clear();
  last_look_ = agenda_.steady();
  std::map<core::LeaseToken, core::Steady> held_up;
  for (const core::LeaseToken& token : core::EngineAudit(engine).held_up()) {
    const auto since = held_up_.try_emplace(token, agenda_.steady()).first->second;
    held_up.emplace(token, since);
    if (agenda_.steady() - since > 3 * plan_.broker.engine.recall_after)
      ledger_.violated("a job waits behind another while a worker that serves it is idle",
                       ledger_.run(token).job);
  }
  held_up_.swap(held_up);
}

bool World::all_settled() const {
  if (!broker_ || zombie_ || broker_->broker.engine().counts().jobs != 0) return false;
  if (ready_workers() != workers().size()) return false;
  if (!std::all_of(producers_.begin(), producers_.end(),
                   [](const auto& p) { return p->settled(); }))
    return false;
  if (operator_ && !operator_->settled()) return false;
  if (!std::all_of(agents_.begin(), agents_.end(), [](const auto& a) { return a->settled(); }))
    return false;
  return std::all_of(lone_workers_.begin(), lone_workers_.end(),
                     [](const auto& w) { return w->settled(); });
}

std::size_t World::ready_workers() const {
  return core::EngineAudit(const_cast<core::Engine&>(broker_->broker.engine())).ready_workers();
}

std::string World::why_not_settled() const {
  std::string text;
  if (!broker_) text += " no broker;";
  if (broker_) {
    const auto counts = broker_->broker.engine().counts();
    text += " " + std::to_string(counts.jobs) + " jobs, " + std::to_string(counts.leases) +
            " leases, " + std::to_string(counts.unstored_jobs) + " unstored, " +
            std::to_string(ready_workers()) + " of " + std::to_string(workers().size()) +
            " workers ready;";
  }
  for (const Worker* worker : workers()) text += worker->unsettled();
  for (const auto& producer : producers_) text += producer->unsettled();
  if (operator_) text += operator_->unsettled();
  for (const auto& agent : agents_)
    text += agent->settled() ? "" : " a worker has results that are not acknowledged;";
  for (const auto& worker : lone_workers_)
    text += worker->settled() ? "" : " a lone worker has unacknowledged results;";
  return text;
}

void World::settle_end() {
  for (auto& [id, truth] : ledger_.jobs()) {
    if (truth.receipted && truth.end == core::State::kNone)
      ledger_.violated("a receipted job has no end", id);
    if (truth.stored && truth.end == core::State::kNone)
      ledger_.violated("a stored job has no end", id);
  }
  const auto counts = broker_->broker.engine().counts();
  if (counts.leases != 0 || counts.unstored_jobs != 0 || counts.resident_bytes != 0)
    throw Violation("something is left when all has ended");
  // What ended under a clock that was ahead is kept until that time comes.
  if (ledger_.wall_was_stepped) agenda_.step_wall(Millis(36'000'000));
  // Nobody asks any more; everything is kept for its time, then goes.
  const auto& engine = plan_.broker.engine;
  const core::Steady limit =
      agenda_.steady() + std::max(engine.keep_dead, engine.keep_finished) + Millis(60'000);
  // Late messages may still bring a job back.
  const core::Steady quiet = agenda_.steady() + Millis(5'000);
  while (agenda_.steady() < quiet) turn();
  while (agenda_.steady() < limit &&
         (!disk_.jobs().empty() || broker_->broker.engine().counts().finished > 0))
    turn();
  for (int i = 0; i < 100; ++i) turn();
  check_nothing_left();
}

void World::check_nothing_left() {
  if (!disk_.jobs().empty())
    ledger_.violated("a job is kept for ever", disk_.jobs().begin()->first);
  auto& engine = const_cast<core::Engine&>(broker_->broker.engine());
  if (const std::string left = core::EngineAudit(engine).check_idle(); !left.empty())
    throw Violation("at the end " + left);
  disk_.check_counters();
}

std::vector<Agent*> World::agents() const {
  std::vector<Agent*> out;
  for (const auto& agent : agents_) {
    if (agent->alive()) out.push_back(agent.get());
  }
  return out;
}

std::vector<Worker*> World::workers() const {
  std::vector<Worker*> out;
  for (Agent* agent : agents()) {
    for (Worker* worker : agent->living()) out.push_back(worker);
  }
  for (const auto& worker : lone_workers_) {
    if (worker->alive()) out.push_back(worker.get());
  }
  return out;
}

void World::keep_lone_workers() {
  const auto living =
      static_cast<std::uint32_t>(std::count_if(lone_workers_.begin(), lone_workers_.end(),
                                               [](const auto& worker) { return worker->alive(); }));
  for (std::uint32_t i = living; i < plan_.lone_workers; ++i) {
    lone_workers_.push_back(std::make_unique<Worker>(scene_, dice_.fork(), nullptr, core::HostId{},
                                                     lone_workers_.size()));
  }
  if (plan_.lone_workers > 0) agenda_.after(Millis(400), [this] { keep_lone_workers(); });
}

void World::sent(std::uint64_t endpoint, const wire::Message& message, ByteSpan blob) {
  switch (message.body_type()) {
    case wire::Body::Receipts:
      for (const wire::ReceiptHead* head : *message.body_as_Receipts()->heads())
        ledger_.receipt_sent(*head);
      break;
    case wire::Body::ResultPush:
      for (const wire::ResultView* view : *message.body_as_ResultPush()->results())
        ledger_.view_sent(endpoint, *view, blob);
      break;
    case wire::Body::ProgressPush:
      for (const wire::ProgressView* view : *message.body_as_ProgressPush()->views())
        ledger_.progress_sent(endpoint, *view, blob);
      break;
    case wire::Body::Recall:
      for (const wire::Id* token : *message.body_as_Recall()->tokens())
        ledger_.recall_sent(id_of<core::LeaseToken>(*token));
      break;
    case wire::Body::CancelReply:
      for (const wire::CancelHead* head : *message.body_as_CancelReply()->heads())
        ledger_.cancel_reply_sent(endpoint, *head);
      break;
    case wire::Body::QueueReply: {
      const wire::QueueReply& reply = *message.body_as_QueueReply();
      if (endpoint != ledger_.owner()) break;
      if (reply.code() != wire::Code::Unspecified) ledger_.command_refused(reply.request());
      if (!reply.queues()) break;
      for (const wire::QueueView* queue : *reply.queues())
        ledger_.queue_told(queue->name()->str(), queue->paused(),
                           core::Wall(Millis(queue->since_ms())));
      break;
    }
    case wire::Body::CheckpointAck:
      for (const wire::CheckpointAckHead* head : *message.body_as_CheckpointAck()->heads())
        ledger_.checkpoint_acknowledged(endpoint, *head);
      break;
    case wire::Body::Dispatch: {
      const wire::Dispatch& dispatch = *message.body_as_Dispatch();
      for (const wire::DispatchHead* head : *dispatch.heads()) {
        const wire::DispatchExtra* extra =
            head->extra() == 0 ? nullptr : dispatch.extras()->Get(head->extra() - 1U);
        ledger_.dispatched(endpoint, *head, extra, blob);
      }
      break;
    }
    default:
      break;
  }
}

}  // namespace jobwire::sim
