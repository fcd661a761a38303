// SPDX-License-Identifier: Apache-2.0
#include "sim/producer.h"

#include <algorithm>
#include <utility>

namespace jobwire::sim {

using core::JobId;
using core::Micros;
using core::Millis;

namespace {

constexpr Micros kTick{60'000};

bool may_pass(wire::Code code) {
  switch (code) {
    case wire::Code::QueueFull:
    case wire::Code::WindowFull:
    case wire::Code::StoreUnavailable:
    case wire::Code::StoreFull:
    case wire::Code::ShuttingDown:
    case wire::Code::QueuePaused:
    case wire::Code::QuotaExceeded:
      return true;
    default:
      return false;
  }
}

Met met_by(wire::Code code) {
  switch (code) {
    case wire::Code::QueueFull:
      return Met::kQueueFull;
    case wire::Code::WindowFull:
      return Met::kWindowFull;
    case wire::Code::StoreUnavailable:
      return Met::kStoreUnavailable;
    case wire::Code::StoreFull:
      return Met::kStoreFull;
    case wire::Code::ShuttingDown:
      return Met::kShuttingDown;
    case wire::Code::QueuePaused:
      return Met::kQueuePaused;
    default:
      return Met::kInvalidRefused;
  }
}

}  // namespace

Producer::Producer(Scene& scene, Dice dice, std::uint32_t number)
    : scene_(scene), dice_(dice), number_(number) {
  scene_.network.connect(*this, ports::Side::kProducers);
  scene_.agenda.after(dice_.span(Micros(0), kTick), [this] { tick(); });
}

void Producer::connected() {
  online_ = true;
  greet();
}

void Producer::disconnected() { online_ = greeted_ = false; }

void Producer::send(Packet packet) {
  last_sent_ = scene_.agenda.steady();
  scene_.network.send(*this, std::move(packet.envelope), std::move(packet.blob));
}

void Producer::greet() {
  greeted_ = false;
  hello_sent_ = scene_.agenda.steady();
  send(hello(core::Role::kProducer, {}, "", 0));
}

void Producer::tick() {
  const core::Steady now = scene_.agenda.steady();
  scene_.agenda.after(dice_.span(kTick / 2, kTick), [this] { tick(); });
  if (!online_ || silent_until_ > now) return;
  if (!greeted_) {
    if (now - hello_sent_ > Millis(1'000)) greet();
    return;
  }
  if (!scene_.calm) {
    invent();
    if (dice_.chance(0.005)) return greet();  // anew, in the open session
    if (dice_.chance(0.003)) {
      send(goodbye());
      greeted_ = false;
      return;
    }
  }
  submit_waiting(false);
  ask();
  if (!scene_.calm) cancel_some();
  if (now - last_sent_ > session_timeout_ / 3) send(heartbeat(++request_, {}, {}));
}

core::RetryPolicy Producer::draw_retry() {
  core::RetryPolicy retry;
  retry.attempts = static_cast<std::uint16_t>(dice_.between(0, 3));
  retry.timeouts = static_cast<std::uint16_t>(dice_.between(0, 2));
  retry.crashes = static_cast<std::uint16_t>(dice_.between(0, 3));
  retry.backoff = static_cast<core::BackoffKind>(dice_.between(1, 3));
  retry.base = Millis(dice_.between(0, 300));
  retry.cap = Millis(dice_.between(0, 1'000));
  retry.jitter = dice_.chance(0.5);
  if (retry.backoff == core::BackoffKind::kListed) retry.listed = {Millis(5), Millis(100)};
  if (dice_.chance(0.2)) retry.fatal = {"Fatal"};
  return retry;
}

JobSpec Producer::draw_job(bool& invalid) {
  const Plan& plan = scene_.plan;
  JobSpec job;
  job.id = dice_.job_id(scene_.agenda.true_wall());
  job.queue = plan.queues[dice_.below(plan.queues.size())];
  job.type = plan.types[dice_.below(plan.types.size())];
  job.payload.resize(dice_.chance(0.1) ? 0 : dice_.below(plan.payload_most));
  std::fill(job.payload.begin(), job.payload.end(), job.id.bytes[15]);
  job.encoding = static_cast<core::Encoding>(dice_.between(1, 5));
  job.priority = static_cast<std::uint8_t>(dice_.between(0, 9));
  if (dice_.chance(0.3)) job.timeout_ms = static_cast<std::uint32_t>(dice_.between(50, 1'500));
  if (dice_.chance(plan.delayed))
    job.delay_ms = static_cast<std::uint64_t>(dice_.between(1, 2'000));
  const std::int64_t today = scene_.agenda.wall().time_since_epoch().count();
  if (dice_.chance(plan.delayed / 4)) job.not_before_ms = today + dice_.between(-100, 1'000);
  if (dice_.chance(plan.expiring)) {
    job.expires_at_ms = today + static_cast<std::int64_t>(job.delay_ms) + dice_.between(200, 5'000);
  }
  if (dice_.chance(0.1))
    job.result_ttl_ms = static_cast<std::uint64_t>(dice_.between(2'000, 20'000));
  if (dice_.chance(plan.dedup)) {
    job.dedup_key = "key-" + std::to_string(dice_.below(4));
    job.dedup_window_ms = static_cast<std::uint64_t>(dice_.between(50, 3'000));
  }
  if (dice_.chance(0.1)) job.headers = {{"trace", "t-" + std::to_string(made_)}};
  if (dice_.chance(plan.own_retry)) job.retry = draw_retry();
  if (dice_.chance(0.5))
    job.contract = static_cast<std::uint64_t>(dice_.between(0, plan.contracts));
  job.watch = dice_.chance(0.5);
  job.keep_payload = dice_.chance(0.2);
  invalid = dice_.chance(plan.invalid);
  if (invalid) {
    switch (dice_.below(4)) {
      case 0:
        job.priority = 11;
        break;
      case 1:
        job.queue = "no good name";
        break;
      case 2:
        job.encoding = core::Encoding::kNone;
        break;
      default:
        job.delay_ms = 400ULL * 24 * 3'600'000;
        break;
    }
  }
  return job;
}

void Producer::invent() {
  const Plan& plan = scene_.plan;
  // Spread over the active time, in bursts.
  if (made_ >= plan.jobs_each || !dice_.chance(0.25)) return;
  const double ticks = static_cast<double>(plan.active.count()) * 1'000 /
                       (static_cast<double>(kTick.count()) * 0.75);
  const auto most =
      static_cast<std::int64_t>(static_cast<double>(plan.jobs_each) / (ticks * 0.25 * 0.7)) + 1;
  for (std::int64_t count = dice_.between(1, 2 * most); count > 0 && made_ < plan.jobs_each;
       --count, ++made_) {
    Own own;
    bool invalid = false;
    own.spec = draw_job(invalid);
    own.job = own.spec.id;
    own.cancels = dice_.chance(plan.cancel);
    scene_.ledger.submitted(own.spec, invalid);
    order_.push_back(own.spec.id);
    jobs_.emplace(own.spec.id, std::move(own));
  }
}

void Producer::submit_waiting(bool all) {
  const core::Steady now = scene_.agenda.steady();
  std::vector<const JobSpec*> group;
  const auto flush = [&] {
    if (group.empty()) return;
    send(submit(++request_, group));
    group.clear();
  };
  for (const JobId& id : order_) {
    Own& own = jobs_.at(id);
    const bool first = own.sent == core::Steady{};
    const bool due = first || all || now - own.sent > Millis(900);
    const bool spare = own.at == Own::At::kReceipted && !scene_.calm && dice_.chance(0.002);
    if (!spare && (own.at != Own::At::kWaiting || !due || own.again > now)) continue;
    if (!first) scene_.coverage.met(Met::kResubmitted);
    own.sent = now;
    ++scene_.ledger.truth(id).sent;
    group.push_back(&own.spec);
    if (group.size() >= 16 || dice_.chance(0.2)) flush();
  }
  flush();
}

void Producer::ask() {
  const core::Steady now = scene_.agenda.steady();
  std::vector<JobId> wait;
  std::vector<JobId> look;
  for (const JobId& id : order_) {
    Own& own = jobs_.at(id);
    if (own.at == Own::At::kRefused || own.at == Own::At::kGone) continue;
    if (!scene_.calm && dice_.chance(0.004)) look.push_back(own.job);
    if (own.ended || own.at != Own::At::kReceipted || now - own.asked < Millis(1'200)) continue;
    own.asked = now;
    (scene_.calm || dice_.chance(0.7) ? wait : look).push_back(own.job);
  }
  if (!scene_.calm && dice_.chance(0.01)) look.push_back(dice_.job_id(scene_.agenda.true_wall()));
  if (!scene_.calm && dice_.chance(0.01))
    look.push_back(dice_.job_id(scene_.agenda.true_wall() - Millis(7'200'000)));
  for (const JobId& id : look) {
    // Ids that nobody submitted: known to the ledger as never sent.
    if (!scene_.ledger.jobs().contains(id)) scene_.ledger.jobs()[id].spec.id = id;
  }
  if (!wait.empty()) send(result_request(++request_, wait, true));
  if (!look.empty()) send(result_request(++request_, look, false));
}

void Producer::cancel_some() {
  std::vector<JobId> ids;
  for (const JobId& id : order_) {
    Own& own = jobs_.at(id);
    if (own.cancels && own.sent != core::Steady{} && dice_.chance(0.1)) {
      ids.push_back(id);
      scene_.ledger.truth(id).cancel_asked = true;
      own.cancels = dice_.chance(0.3);
    }
  }
  if (!ids.empty()) send(cancel(++request_, ids, dice_.chance(0.5) ? "no longer" : ""));
}

void Producer::receive(const wire::Message& message, ByteSpan) {
  switch (message.body_type()) {
    case wire::Body::Welcome:
      greeted_ = true;
      session_timeout_ = Millis(message.body_as_Welcome()->limits()->session_timeout_ms());
      for (auto& [id, own] : jobs_) own.asked = core::Steady{};
      submit_waiting(true);
      break;
    case wire::Body::Refused:
      if (message.body_as_Refused()->code() == wire::Code::HelloFirst ||
          message.body_as_Refused()->code() == wire::Code::SlowReader) {
        scene_.coverage.met(Met::kHelloFirst);
        if (greeted_) greet();  // else it answers what was sent before the Hello
      }
      break;
    case wire::Body::Goodbye:
      greeted_ = false;
      break;
    case wire::Body::Receipts:
      take(*message.body_as_Receipts());
      break;
    case wire::Body::ResultPush:
      take(*message.body_as_ResultPush());
      break;
    case wire::Body::CancelReply:
      take(*message.body_as_CancelReply());
      break;
    default:
      break;
  }
}

void Producer::take(const wire::Receipts& receipts) {
  for (const wire::ReceiptHead* head : *receipts.heads()) {
    const auto found = jobs_.find(id_of<JobId>(head->id()));
    if (found == jobs_.end()) throw Violation("a receipt for another producer's job");
    Own& own = found->second;
    Truth& truth = scene_.ledger.truth(own.spec.id);
    if (head->code() == wire::Code::Unspecified) {
      truth.receipted = truth.receipted || id_of<JobId>(head->job()) == own.spec.id;
      truth.stands_for = id_of<JobId>(head->job());
      if (own.at == Own::At::kRefused) own.ended = false;
      own.at = Own::At::kReceipted;
      own.job = id_of<JobId>(head->job());
      continue;
    }
    ++truth.refused;
    scene_.coverage.met(met_by(head->code()));
    if (own.at != Own::At::kWaiting) continue;
    if (!may_pass(head->code()) || (dice_.chance(0.1) && truth.refused >= truth.sent)) {
      if (may_pass(head->code())) scene_.coverage.met(Met::kGaveUp);
      own.at = Own::At::kRefused;
    } else {
      own.again = scene_.agenda.steady() + Millis(head->retry_after_ms());
    }
  }
}

void Producer::note_end(const JobId& job) {
  for (auto& [id, own] : jobs_) {
    if (own.job == job) own.ended = true;
  }
}

void Producer::take(const wire::ResultPush& push) {
  for (const wire::ResultView* view : *push.results()) {
    const auto id = id_of<JobId>(view->id());
    if (view->known() == wire::Known::Final || view->known() == wire::Known::Gone) note_end(id);
    // Removed, and forgotten at a restart.
    if (view->known() == wire::Known::Unknown && scene_.ledger.truth(id).removed) note_end(id);
  }
}

void Producer::take(const wire::CancelReply& reply) {
  for (const wire::CancelHead* head : *reply.heads()) {
    if (head->code() == wire::Code::Unspecified || head->code() == wire::Code::AlreadyFinal)
      note_end(id_of<JobId>(head->id()));
  }
}

bool Producer::settled() const {
  return std::all_of(jobs_.begin(), jobs_.end(), [](const auto& entry) {
    const Own& own = entry.second;
    return own.at == Own::At::kRefused || own.at == Own::At::kGone ||
           (own.at == Own::At::kReceipted && own.ended);
  });
}

std::string Producer::unsettled() const {
  std::string text;
  for (const auto& [id, own] : jobs_) {
    if (own.at == Own::At::kRefused || (own.at == Own::At::kReceipted && own.ended)) continue;
    text += " producer " + std::to_string(number_) + " " + core::to_string(id) +
            (own.at == Own::At::kWaiting ? " has no receipt;" : " has no end;");
  }
  return text;
}

}  // namespace jobwire::sim
