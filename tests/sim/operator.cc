// SPDX-License-Identifier: Apache-2.0
#include "sim/operator.h"

#include <utility>

namespace jobwire::sim {

using core::Micros;
using core::Millis;

namespace {

constexpr Micros kTick{150'000};

}  // namespace

Operator::Operator(Scene& scene, Dice dice) : scene_(scene), dice_(dice) {
  scene_.network.connect(*this, ports::Side::kProducers);
  scene_.agenda.after(dice_.span(Micros(0), kTick), [this] { tick(); });
}

void Operator::connected() {
  online_ = true;
  greet();
}

void Operator::disconnected() {
  online_ = false;
  lose_session();
}

void Operator::lose_session() {
  greeted_ = false;
  if (!sweeps_.empty()) scene_.coverage.met(Met::kSweepStopped);
  for (const auto& [request, sweep] : sweeps_) scene_.ledger.sweep_over(request);
  sweeps_.clear();  // a sweep is its session's
  all_open_ = false;
}

void Operator::send(Packet packet) {
  last_sent_ = scene_.agenda.steady();
  scene_.network.send(*this, std::move(packet.envelope), std::move(packet.blob));
}

void Operator::greet() {
  lose_session();
  hello_sent_ = scene_.agenda.steady();
  send(hello(core::Role::kOperator, {}, "", 0));
}

void Operator::tick() {
  const core::Steady now = scene_.agenda.steady();
  scene_.agenda.after(dice_.span(kTick / 2, kTick), [this] { tick(); });
  if (!online_) return;
  if (!greeted_) {
    if (now - hello_sent_ > Millis(1'000)) greet();
    return;
  }
  if (scene_.calm) {
    open_all();
  } else {
    if (dice_.chance(0.01)) return greet();
    if (dice_.chance(0.25)) set_a_queue();
    if (dice_.chance(0.25)) sweep();
    if (dice_.chance(0.1)) read_dead();
  }
  if (now - last_sent_ > session_timeout_ / 3) send(heartbeat(++request_, {}, {}));
}

const std::string& Operator::some_queue() {
  return scene_.plan.queues[dice_.below(scene_.plan.queues.size())];
}

void Operator::set_a_queue() {
  QueueOrder order;
  order.request = ++request_;
  order.action = static_cast<core::QueueAction>(dice_.between(1, 5));
  order.queue = some_queue();
  order.why = "request " + std::to_string(order.request);
  if (order.action == core::QueueAction::kPause || order.action == core::QueueAction::kDrain) {
    if (dice_.chance(0.7))
      order.until_ms = scene_.agenda.wall().time_since_epoch().count() + dice_.between(-50, 1'500);
  } else if (order.action == core::QueueAction::kSetWeight) {
    order.weight = static_cast<std::uint32_t>(dice_.between(0, 5));
  }
  send(queue_command(order));
}

void Operator::sweep() {
  SweepOrder order;
  order.request = ++request_;
  order.action = static_cast<core::SweepAction>(dice_.between(1, 3));
  order.dry_run = dice_.chance(0.3);
  if (order.action == core::SweepAction::kPurge || dice_.chance(0.5)) order.queue = some_queue();
  if (dice_.chance(0.3)) order.type = scene_.plan.types[dice_.below(scene_.plan.types.size())];
  const bool purges = order.action == core::SweepAction::kPurge;
  // Slow ones, so that jobs come in between.
  if (dice_.chance(purges ? 0.8 : 0.4))
    order.rate_per_s = static_cast<std::uint32_t>(dice_.between(1, purges ? 20 : 60));
  if (dice_.chance(0.2)) order.limit = static_cast<std::uint64_t>(dice_.between(1, 10));
  if (order.action == core::SweepAction::kReplay && dice_.chance(0.3))
    order.to_queue = some_queue();
  // One that takes everything leaves nothing to look at.
  if (purges && order.rate_per_s == 0 && !order.dry_run && dice_.chance(0.5)) return;
  sweeps_[order.request] = {order.action, order.queue, order.dry_run, 0};
  scene_.ledger.sweep_sent(order.request, order.action, order.queue, order.dry_run);
  send(sim::sweep(order));
}

void Operator::read_dead() {
  send(dead_query(++request_, 1 + static_cast<std::uint32_t>(dice_.below(20)), dice_.chance(0.5)));
}

void Operator::open_all() {
  if (opening_ != 0) return;
  // A look shows what is stored: a pause that is on its way there comes to light in a later one.
  if (!all_open_) {
    for (const std::string& queue : scene_.plan.queues) {
      QueueOrder order;
      order.request = ++request_;
      order.action = core::QueueAction::kResume;
      order.queue = queue;
      send(queue_command(order));
    }
  }
  QueueOrder look;
  opening_ = look.request = ++request_;
  look.action = core::QueueAction::kLook;
  send(queue_command(look));
  scene_.agenda.after(Millis(1'500), [this] { opening_ = 0; });
}

void Operator::receive(const wire::Message& message, ByteSpan blob) {
  switch (message.body_type()) {
    case wire::Body::Welcome:
      greeted_ = true;
      session_timeout_ = Millis(message.body_as_Welcome()->limits()->session_timeout_ms());
      break;
    case wire::Body::Refused:
      if (message.body_as_Refused()->code() == wire::Code::HelloFirst ||
          message.body_as_Refused()->code() == wire::Code::SlowReader) {
        if (greeted_) greet();
      }
      break;
    case wire::Body::Goodbye:
      lose_session();
      break;
    case wire::Body::QueueReply:
      take(*message.body_as_QueueReply());
      break;
    case wire::Body::SweepReport:
      take(*message.body_as_SweepReport());
      break;
    case wire::Body::DeadPage:
      take(*message.body_as_DeadPage(), blob);
      break;
    default:
      break;
  }
}

void Operator::take(const wire::QueueReply& reply) {
  if (reply.code() != wire::Code::Unspecified) {
    scene_.coverage.met(Met::kQueueCommandRefused);
    return;
  }
  if (reply.request() != opening_ || !reply.queues()) return;
  all_open_ = true;
  for (const wire::QueueView* queue : *reply.queues())
    all_open_ = all_open_ && !queue->paused() && !queue->draining();
}

void Operator::take(const wire::SweepReport& report) {
  const auto found = sweeps_.find(report.request());
  if (found == sweeps_.end()) return;  // of a session that is over
  Sweep& sweep = found->second;
  if (report.matched() < sweep.matched || report.done() + report.failed() > report.matched())
    throw Violation("a sweep's counts do not fit");
  if (sweep.dry && report.done() != 0) throw Violation("a dry run has done something");
  sweep.matched = report.matched();
  if (report.code() == wire::Code::Unspecified) {
    scene_.ledger.sweep_known(report.request());
  } else {
    scene_.ledger.sweep_over(report.request());
  }
  if (!report.finished()) return;
  if (report.code() == wire::Code::Unspecified) {
    scene_.coverage.met(sweep.dry ? Met::kDryRun : Met::kSweepEnded);
    if (!sweep.dry && report.done() + report.failed() != report.matched())
      throw Violation("a sweep has ended, and does not know what came of all");
  }
  sweeps_.erase(found);
}

void Operator::take(const wire::DeadPage& page, ByteSpan) {
  if (page.code() != wire::Code::Unspecified || !page.jobs()) return;
  for (const wire::DeadJob* dead : *page.jobs()) {
    scene_.coverage.met(Met::kDeadRead);
    scene_.ledger.dead_shown(id_of<core::JobId>(*dead->job()->id()), dead->generation());
  }
}

std::string Operator::unsettled() const {
  if (settled()) return {};
  return " the operator has " + std::to_string(sweeps_.size()) + " sweeps, " +
         (all_open_ ? "all open;" : "queues that may be closed;");
}

}  // namespace jobwire::sim
