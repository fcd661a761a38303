// SPDX-License-Identifier: Apache-2.0
#include "sim/plan.h"

namespace jobwire::sim {
namespace {

using core::Micros;
using core::Millis;

void draw_engine(core::EngineConfig& engine, Dice& dice) {
  engine.retry.attempts = static_cast<std::uint16_t>(dice.between(1, 4));
  engine.retry.timeouts = static_cast<std::uint16_t>(dice.between(1, 3));
  engine.retry.crashes = static_cast<std::uint16_t>(dice.between(1, 3));
  engine.retry.base = Millis(dice.between(10, 400));
  engine.retry.cap = Millis(2'000);
  engine.default_timeout = Millis(dice.between(800, 3'000));
  engine.heartbeat = Millis(dice.between(200, 800));
  engine.session_timeout = Millis(dice.between(2'000, 5'000));
  engine.adoption_window = Millis(dice.between(300, 2'500));
  engine.dispatch_ahead =
      dice.chance(0.5) ? Micros(5'000) : Micros(dice.between(100'000, 5'000'000));
  engine.deadline_grace = Millis(dice.between(200, 800));
  engine.cancel_grace = Millis(dice.between(50, 500));
  engine.running_mark_delay = Millis(dice.between(5, 250));
  if (dice.chance(0.3)) engine.window_jobs = static_cast<std::uint32_t>(dice.between(2, 20));
  if (dice.chance(0.2))
    engine.window_bytes = static_cast<std::uint64_t>(dice.between(6'000, 20'000));
  if (dice.chance(0.3)) engine.max_unstored_jobs = static_cast<std::uint64_t>(dice.between(4, 30));
  if (dice.chance(0.2))
    engine.max_unstored_bytes = static_cast<std::uint64_t>(dice.between(6'000, 30'000));
  if (dice.chance(0.2)) engine.max_queue_jobs = static_cast<std::uint64_t>(dice.between(5, 40));
  if (dice.chance(0.1))
    engine.max_queue_bytes = static_cast<std::uint64_t>(dice.between(5'000, 40'000));
  if (dice.chance(0.4)) engine.payload_budget = static_cast<std::uint64_t>(dice.between(0, 10'000));
  engine.keep_finished = Millis(dice.between(4'000, 20'000));
  if (dice.chance(0.2))
    engine.keep_finished_jobs = static_cast<std::uint64_t>(dice.between(20, 200));
  if (dice.chance(0.1))
    engine.keep_finished_bytes = static_cast<std::uint64_t>(dice.between(20'000, 200'000));
  engine.keep_dead = Millis(dice.between(8'000, 30'000));
  if (dice.chance(0.5)) engine.max_batch_jobs = static_cast<std::uint32_t>(dice.between(1, 40));
  if (dice.chance(0.3))
    engine.max_batch_bytes = static_cast<std::uint64_t>(dice.between(500, 20'000));
  if (dice.chance(0.3)) engine.max_batch_removals = static_cast<std::uint32_t>(dice.between(1, 20));
}

void draw_faults(Plan::Faults& faults, Dice& dice) {
  if (dice.chance(0.06)) return;
  faults.between = Millis(dice.between(60, 1'200));
  double* const all[] = {
      &faults.broker_crash, &faults.takeover,     &faults.shutdown,        &faults.store_slow,
      &faults.store_away,   &faults.store_full,   &faults.store_back,      &faults.link_cut,
      &faults.stall,        &faults.worker_crash, &faults.worker_wedge,    &faults.worker_stop,
      &faults.host_loss,    &faults.agent_mute,   &faults.producer_silent, &faults.clock_step};
  const double share = dice.chance(0.25) ? 1.0 : 0.3;
  for (double* weight : all) {
    if (dice.chance(share)) *weight = 0.2 + 2.0 * static_cast<double>(dice.between(0, 100)) / 100;
  }
}

}  // namespace

Plan draw_plan(std::uint64_t seed, bool thorough) {
  Dice dice(seed ^ 0x706c616eULL);
  Plan plan;
  plan.broker.version = "sim";
  plan.broker.shutdown_deadline = Millis(1'500);
  plan.broker.read_before_serving = Millis(0);
  if (dice.chance(0.3))
    plan.broker.messages_per_turn = static_cast<std::uint32_t>(dice.between(1, 8));
  draw_engine(plan.broker.engine, dice);
  draw_faults(plan.faults, dice);

  plan.active = Millis(dice.between(2'000, 9'000));
  plan.producers = static_cast<std::uint32_t>(dice.between(1, 3));
  plan.jobs_each = static_cast<std::uint32_t>(dice.between(5, 60));
  plan.hosts = static_cast<std::uint32_t>(dice.between(1, 2));
  plan.workers_each = static_cast<std::uint32_t>(dice.between(1, 3));
  plan.lone_workers = dice.chance(0.4) ? 1 : 0;
  if (thorough) {
    plan.active *= 4;
    plan.jobs_each *= 6;
    plan.hosts += static_cast<std::uint32_t>(dice.between(0, 2));
  }
  const char* const queues[] = {"images", "mail", "reports"};
  const char* const types[] = {"resize", "send", "render"};
  for (std::int64_t i = dice.between(1, 3); i-- > 0;) plan.queues.emplace_back(queues[i]);
  for (std::int64_t i = dice.between(1, 3); i-- > 0;) plan.types.emplace_back(types[i]);
  plan.contracts = static_cast<std::uint32_t>(dice.between(0, 3));

  for (const std::string& type : plan.types) {
    TypeDefault& declared = plan.declared[type];
    if (dice.chance(0.3))
      declared.timeout_ms = static_cast<std::uint32_t>(dice.between(300, 2'500));
    if (dice.chance(0.7)) continue;
    core::RetryPolicy& retry = declared.retry.emplace();
    retry.attempts = static_cast<std::uint16_t>(dice.between(0, 4));
    retry.timeouts = static_cast<std::uint16_t>(dice.between(0, 3));
    retry.crashes = static_cast<std::uint16_t>(dice.between(0, 3));
    retry.backoff = core::BackoffKind::kFixed;
    retry.base = Millis(dice.between(0, 300));
    retry.cap = Millis(1'000);
  }

  plan.latency_most = dice.chance(0.8) ? Micros(2'000) : Micros(dice.between(20'000, 300'000));
  if (plan.faults.stall > 0) plan.pipe_messages = static_cast<std::uint32_t>(dice.between(2, 20));
  plan.store_latency_most =
      dice.chance(0.7) ? Micros(3'000) : Micros(dice.between(10'000, 200'000));
  plan.read_latency_most =
      dice.chance(0.5) ? plan.store_latency_most : Micros(dice.between(1'000, 400'000));
  plan.recovery_page = static_cast<std::uint32_t>(dice.between(1, 60));

  plan.fail = static_cast<double>(dice.between(0, 40)) / 100;
  plan.crash = dice.chance(0.5) ? 0.0 : static_cast<double>(dice.between(1, 10)) / 100;
  plan.hang = dice.chance(0.5) ? 0.0 : static_cast<double>(dice.between(1, 8)) / 100;
  plan.delayed = static_cast<double>(dice.between(0, 40)) / 100;
  plan.expiring = static_cast<double>(dice.between(0, 25)) / 100;
  plan.cancel = static_cast<double>(dice.between(0, 15)) / 100;
  plan.progress = dice.chance(0.5) ? 0.0 : static_cast<double>(dice.between(5, 60)) / 100;
  plan.checkpoint = dice.chance(0.5) ? 0.0 : static_cast<double>(dice.between(5, 60)) / 100;
  plan.payload_most = dice.chance(0.5) ? 200 : 4'000;
  plan.run_most = Millis(dice.chance(0.6) ? dice.between(2, 60) : dice.between(60, 900));
  plan.has_operator = dice.chance(0.6);
  return plan;
}

}  // namespace jobwire::sim
