// SPDX-License-Identifier: Apache-2.0
#include "testing/fake_core.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "connect_through.h"
#include "jobwire/wire/error_generated.h"
#include "read_job.h"
#include "request.h"

JOBWIRE_NAMESPACE_BEGIN
namespace testing {
namespace {

using client_detail::finish_message;
using client_detail::from_wire;
using client_detail::to_wire;
using Builder = flatbuffers::FlatBufferBuilder;
using Event = client_detail::Link::Event;

constexpr std::uint32_t kMaxPayload = 33'554'432;
constexpr int kDefaultAttempts = 4;

std::span<const std::uint8_t> bytes_of(const Builder& builder) {
  return {builder.GetBufferPointer(), builder.GetSize()};
}

std::int64_t wall_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

/// The rest before attempt `raised` + 1, without jitter: a test wants to know when.
std::int64_t rest_ms(const RetryPolicy& retry, int raised) {
  switch (retry.backoff()) {
    case RetryPolicy::Backoff::Fixed:
      return retry.base().count();
    case RetryPolicy::Backoff::Listed: {
      const auto& rests = retry.rests();
      if (rests.empty()) return 0;
      return rests[std::min(static_cast<std::size_t>(raised - 1), rests.size() - 1)].count();
    }
    case RetryPolicy::Backoff::Exponential:
    case RetryPolicy::Backoff::Default:
      break;
  }
  const bool set = retry.backoff() == RetryPolicy::Backoff::Exponential;
  const double base = set ? static_cast<double>(retry.base().count()) : 1'000.0;
  const double cap = set ? static_cast<double>(retry.cap().count()) : 600'000.0;
  const double factor = set ? static_cast<double>(retry.factor()) : 2.0;
  return static_cast<std::int64_t>(std::min(cap, base * std::pow(factor, raised - 1)));
}

bool is_fatal(const RetryPolicy& retry, const std::string& type) {
  return std::any_of(retry.fatal().begin(), retry.fatal().end(), [&](const std::string& name) {
    return name == type || name == type.substr(type.rfind('.') + 1);
  });
}

std::string error_buffer(const std::string& type, const std::string& message) {
  Builder builder;
  const auto error = wire::CreateJobErrorDirect(builder, type.c_str(), message.c_str());
  wire::FinishJobErrorBuffer(builder, error);
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

wire::Code to_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::TooLarge:
      return wire::Code::TooLarge;
    case ErrorCode::Conflict:
      return wire::Code::DuplicateMismatch;
    case ErrorCode::Full:
      return wire::Code::QueueFull;
    case ErrorCode::Unavailable:
      return wire::Code::StoreUnavailable;
    case ErrorCode::Paused:
      return wire::Code::QueuePaused;
    case ErrorCode::NotPermitted:
      return wire::Code::NotPermitted;
    case ErrorCode::Incompatible:
      return wire::Code::IncompatibleContract;
    default:  // what no broker says about a submit
      return wire::Code::InvalidArgument;
  }
}

}  // namespace

FakeBroker::Core::Core() : now_(wall_ms()), thread_([this] { run(); }) {}

FakeBroker::Core::~Core() { close(); }

void FakeBroker::Core::close() {
  go_away();
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

FakeLink::Door FakeBroker::Core::door() {
  // A client that outlives the broker keeps its inside alive, away.
  const auto core = shared_from_this();
  FakeLink::Door door;
  door.knock = [core](const Peer& peer) {
    const std::lock_guard lock(core->mutex_);
    if (core->away_) return peer->post_event(Event::Down);
    core->connected_.insert(peer);
    peer->post_event(Event::Up);
  };
  door.send = [core](const Peer& peer, FakeWire::Message message) {
    const std::lock_guard lock(core->mutex_);
    if (!core->connected_.contains(peer)) return;
    core->mail_.push_back({peer, std::move(message)});
    core->changed_.notify_all();
  };
  door.leave = [core](const Peer& peer) {
    const std::lock_guard lock(core->mutex_);
    core->connected_.erase(peer);
    core->sessions_.erase(peer);
    for (auto& [id, kept] : core->jobs_) kept.watchers.erase(peer);
  };
  return door;
}

// ---------------------------------------------------------------- the thread

void FakeBroker::Core::run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (!mail_.empty()) {
      const Mail mail = std::move(mail_.front());
      mail_.pop_front();
      read(mail);
      continue;
    }
    move_due();
    const Kept* due = away_ ? nullptr : next();
    if (!due) {
      changed_.notify_all();
      changed_.wait(lock, [this] { return stop_ || !mail_.empty() || (!away_ && next()); });
      continue;
    }
    const JobId id = due->job.id;
    Kept& kept = jobs_.at(id);
    kept.state = wire::State::Running;
    kept.started = now_;
    ++kept.job.attempt;
    const Handler handler = handlers_.find(kept.job.type)->second;
    const FakeJob job = snapshot(kept);
    running_ = true;
    lock.unlock();
    const FakeOutcome outcome = handler(job);  // may call this broker
    lock.lock();
    running_ = false;
    Kept& after = jobs_.at(id);
    if (after.state == wire::State::Running) conclude(after, outcome);
  }
}

void FakeBroker::Core::move_due() {
  for (auto& [id, kept] : jobs_) {
    const bool waits = kept.state == wire::State::Scheduled || kept.state == wire::State::Queued;
    if (waits && kept.expires != 0 && kept.expires <= now_) {
      finish(kept, wire::State::Expired);
    } else if (kept.state == wire::State::Scheduled && kept.due <= now_) {
      kept.state = wire::State::Queued;
    }
  }
}

const FakeBroker::Core::Kept* FakeBroker::Core::next() const {
  const Kept* best = nullptr;
  for (const auto& [id, kept] : jobs_) {
    if (kept.state != wire::State::Queued || !handlers_.contains(kept.job.type)) continue;
    const auto rank = [](const Kept& one) { return std::pair(-one.job.priority, one.order); };
    if (!best || rank(kept) < rank(*best)) best = &kept;
  }
  return best;
}

void FakeBroker::Core::conclude(Kept& kept, const FakeOutcome& outcome) {
  kept.progress.reset();
  if (outcome.kind() == FakeOutcome::Kind::Succeed) {
    kept.result = outcome.text();
    kept.result_is_error = false;
    kept.encoding = outcome.encoding();
    return finish(kept, wire::State::Succeeded);
  }
  kept.result = error_buffer(outcome.error_type(), outcome.text());
  kept.result_is_error = true;
  if (outcome.kind() == FakeOutcome::Kind::Reject) {
    kept.reason = wire::DeadReason::Rejected;
    return finish(kept, wire::State::Dead);
  }
  ++kept.raised;
  const int attempts = kept.retry.sets_attempts() ? kept.retry.attempts() : kDefaultAttempts;
  if (kept.raised >= attempts || is_fatal(kept.retry, outcome.error_type())) {
    kept.reason = wire::DeadReason::Raised;
    return finish(kept, wire::State::Dead);
  }
  kept.state = wire::State::Scheduled;
  kept.due = now_ + rest_ms(kept.retry, kept.raised);
}

void FakeBroker::Core::finish(Kept& kept, wire::State state) {
  kept.state = state;
  kept.finished = now_;
  const auto watchers = std::exchange(kept.watchers, {});
  for (const Peer& peer : watchers) send_view(peer, kept.job.id, 0, true);
}

// ---------------------------------------------------------------- messages

void FakeBroker::Core::read(const Mail& mail) {
  const Peer& peer = mail.peer;
  if (!connected_.contains(peer)) return;
  const auto* message = wire::GetMessage(mail.message.envelope.data());
  if (message->body_type() == wire::Body::Hello) return welcome(peer);
  if (message->body_type() == wire::Body::Goodbye) {
    sessions_.erase(peer);
    return;
  }
  Builder builder;
  if (!sessions_.contains(peer)) {
    finish_message(builder, wire::CreateRefused(builder, wire::Code::HelloFirst));
    return peer->deliver(bytes_of(builder), {});
  }
  if (const auto* submit = message->body_as_Submit()) return take(peer, *submit, mail.message.blob);
  if (const auto* request = message->body_as_ResultRequest()) return answer(peer, *request);
  if (const auto* request = message->body_as_Cancel()) return cancel(peer, *request);
  if (const auto* heartbeat = message->body_as_Heartbeat()) {
    wire::HeartbeatBuilder echo(builder);
    echo.add_sequence(heartbeat->sequence());
    finish_message(builder, echo.Finish());
    return peer->deliver(bytes_of(builder), {});
  }
  finish_message(builder, wire::CreateRefused(builder, wire::Code::UnknownKind));
  peer->deliver(bytes_of(builder), {});
}

void FakeBroker::Core::welcome(const Peer& peer) {
  sessions_.insert(peer);
  Builder builder;
  wire::LimitsBuilder limits(builder);
  limits.add_max_payload_bytes(kMaxPayload);
  limits.add_max_message_bytes(kMaxPayload + (1U << 20));
  limits.add_max_jobs_per_message(1024);
  limits.add_window_jobs(16'384);
  limits.add_window_bytes(64U << 20);
  const auto limits_offset = limits.Finish();
  JobId::Bytes broker{};
  broker[0] = incarnation_;
  const wire::Id broker_id = to_wire(JobId(broker));
  wire::WelcomeBuilder welcome(builder);
  welcome.add_protocol(1);
  welcome.add_broker(&broker_id);
  welcome.add_session(++sessions_made_);
  welcome.add_durability(wire::Durability::Memory);
  welcome.add_limits(limits_offset);
  welcome.add_now_ms(now_);
  finish_message(builder, welcome.Finish());
  peer->deliver(bytes_of(builder), {});
}

void FakeBroker::Core::take(const Peer& peer, const wire::Submit& submit,
                            std::span<const std::byte> blob) {
  std::vector<wire::ReceiptHead> heads;
  std::vector<JobId> watched_ends;
  for (const wire::JobSpec* spec : *submit.jobs()) {
    const auto job = client_detail::read_job(*spec, blob);
    if (!job) continue;
    heads.push_back(take_one(peer, *job, *spec));
    const auto kept = jobs_.find(from_wire(heads.back().job()));
    if (spec->watch() && kept != jobs_.end() && is_final(kept->second)) {
      watched_ends.push_back(kept->first);
    }
  }
  Builder builder;
  const auto list = builder.CreateVectorOfStructs(heads);
  finish_message(builder, wire::CreateReceipts(builder, list));
  peer->deliver(bytes_of(builder), {});
  for (const JobId& id : watched_ends) send_view(peer, id, 0, true);
}

wire::ReceiptHead FakeBroker::Core::take_one(const Peer& peer, const Job& job,
                                             const wire::JobSpec& spec) {
  const JobId id = *job.id();
  const wire::Id wire_id = to_wire(id);
  const auto receipt = [&](wire::Code code, bool duplicate, wire::State state) {
    return wire::ReceiptHead(wire_id, wire_id, 0, code, duplicate, state);
  };
  if (refusals_ > 0) {
    --refusals_;
    return {wire_id, wire_id, refusal_retry_ms_, refusal_, false, wire::State::Unspecified};
  }
  if (const auto known = jobs_.find(id); known != jobs_.end()) {
    Kept& kept = known->second;
    if (kept.job.queue != job.queue() || kept.job.type != job.type()) {
      return receipt(wire::Code::DuplicateMismatch, false, wire::State::Unspecified);
    }
    if (job.is_watched() && !is_final(kept)) kept.watchers.insert(peer);
    return receipt(wire::Code::Unspecified, true, kept.state);
  }
  if (!job.dedup_key().empty()) {
    const auto held = dedup_.find(job.dedup_key());
    if (held != dedup_.end() && held->second.until > now_) {
      const Kept& leader = jobs_.at(held->second.id);
      return {wire_id, to_wire(leader.job.id), 0, wire::Code::Unspecified, true, leader.state};
    }
    dedup_[job.dedup_key()] = {id, now_ + job.dedup_window().count()};
  }
  Kept& kept = jobs_[id];
  kept.job.id = id;
  kept.job.queue = job.queue();
  kept.job.type = job.type();
  kept.job.payload.assign(reinterpret_cast<const char*>(job.payload().data()),
                          job.payload().size());
  kept.job.encoding = job.encoding();
  kept.job.priority = job.priority();
  for (const auto& [key, value] : job.headers()) kept.job.headers[key] = value;
  if (job.retry()) kept.retry = *job.retry();
  kept.order = next_order_++;
  kept.created = now_;
  kept.due = std::max(now_ + static_cast<Millis>(spec.delay_ms()), spec.not_before_ms());
  kept.expires = spec.expires_at_ms();
  kept.state = kept.due > now_ ? wire::State::Scheduled : wire::State::Queued;
  if (job.is_watched()) kept.watchers.insert(peer);
  return receipt(wire::Code::Unspecified, false, kept.state);
}

void FakeBroker::Core::send_view(const Peer& peer, const JobId& id, std::uint64_t request,
                                 bool pushed) {
  const auto found = jobs_.find(id);
  Builder builder;
  std::string_view blob;
  wire::ResultView view;
  if (found == jobs_.end()) {
    view = wire::ResultView(to_wire(id), 0, 0, 0, 0, 0, 0, 0, wire::Known::Unknown,
                            wire::State::Unspecified, wire::DeadReason::Unspecified,
                            wire::Encoding::Unspecified, pushed, false);
  } else {
    const Kept& kept = found->second;
    const bool final = is_final(kept);
    if (final) blob = kept.result;
    view = wire::ResultView(
        to_wire(id), 0, static_cast<std::uint32_t>(blob.size()), kept.created, kept.started,
        kept.finished, 0, static_cast<std::uint16_t>(kept.job.attempt),
        final                                ? wire::Known::Final
        : kept.state == wire::State::Running ? wire::Known::Running
                                             : wire::Known::Waiting,
        kept.state, kept.reason, to_wire(kept.encoding), pushed, kept.result_is_error);
  }
  const auto list = builder.CreateVectorOfStructs(&view, 1);
  finish_message(builder, wire::CreateResultPush(builder, request, list));
  peer->deliver(bytes_of(builder), blob);
}

void FakeBroker::Core::send_progress(const Peer& peer, const Kept& kept) {
  const auto& [value, message] = *kept.progress;
  Builder builder;
  const wire::ProgressView view(to_wire(kept.job.id), now_, value, 0,
                                static_cast<std::uint32_t>(message.size()));
  const auto list = builder.CreateVectorOfStructs(&view, 1);
  finish_message(builder, wire::CreateProgressPush(builder, list));
  peer->deliver(bytes_of(builder), message);
}

void FakeBroker::Core::answer(const Peer& peer, const wire::ResultRequest& request) {
  for (const wire::Id* wire_id : *request.ids()) {
    const JobId id = from_wire(*wire_id);
    send_view(peer, id, request.request(), false);
    const auto found = jobs_.find(id);
    if (found == jobs_.end() || is_final(found->second)) continue;
    if (request.wait()) found->second.watchers.insert(peer);
    if (found->second.progress) send_progress(peer, found->second);
  }
}

void FakeBroker::Core::cancel(const Peer& peer, const wire::Cancel& cancel) {
  std::vector<wire::CancelHead> heads;
  for (const wire::Id* wire_id : *cancel.ids()) {
    const auto found = jobs_.find(from_wire(*wire_id));
    if (found == jobs_.end()) {
      heads.emplace_back(*wire_id, wire::Code::UnknownJob, wire::State::Unspecified);
    } else if (is_final(found->second)) {
      heads.emplace_back(*wire_id, wire::Code::AlreadyFinal, found->second.state);
    } else {
      finish(found->second, wire::State::Cancelled);
      heads.emplace_back(*wire_id, wire::Code::Unspecified, wire::State::Cancelled);
    }
  }
  Builder builder;
  const auto list = builder.CreateVectorOfStructs(heads);
  finish_message(builder, wire::CreateCancelReply(builder, cancel.request(), list));
  peer->deliver(bytes_of(builder), {});
}

// ---------------------------------------------------------------- the test's hand

void FakeBroker::Core::handle(std::string_view type, Handler handler) {
  const std::lock_guard lock(mutex_);
  handlers_[std::string(type)] = std::move(handler);
  changed_.notify_all();
}

void FakeBroker::Core::advance(std::chrono::milliseconds time) {
  const std::lock_guard lock(mutex_);
  now_ += time.count();
  move_due();
  changed_.notify_all();
}

bool FakeBroker::Core::end(const JobId& id, const FakeOutcome& outcome) {
  const std::lock_guard lock(mutex_);
  const auto found = jobs_.find(id);
  if (found == jobs_.end() || is_final(found->second)) return false;
  if (found->second.state != wire::State::Running) ++found->second.job.attempt;
  found->second.started = now_;
  conclude(found->second, outcome);
  changed_.notify_all();
  return true;
}

bool FakeBroker::Core::progress(const JobId& id, float value, std::string_view message) {
  const std::lock_guard lock(mutex_);
  const auto found = jobs_.find(id);
  if (found == jobs_.end() || is_final(found->second)) return false;
  Kept& kept = found->second;
  if (kept.state != wire::State::Running) ++kept.job.attempt;
  kept.state = wire::State::Running;
  kept.progress.emplace(value, message);
  for (const Peer& peer : kept.watchers) send_progress(peer, kept);
  return true;
}

void FakeBroker::Core::refuse(int jobs, ErrorCode code, std::chrono::milliseconds retry_after) {
  const std::lock_guard lock(mutex_);
  refusals_ = jobs;
  refusal_ = to_code(code);
  refusal_retry_ms_ = static_cast<std::uint32_t>(retry_after.count());
}

void FakeBroker::Core::go_away() {
  const std::lock_guard lock(mutex_);
  away_ = true;
  ++incarnation_;
  for (const Peer& peer : connected_) peer->post_event(Event::Down);
  connected_.clear();
  sessions_.clear();
  mail_.clear();
  for (auto& [id, kept] : jobs_) kept.watchers.clear();
}

void FakeBroker::Core::come_back() {
  const std::lock_guard lock(mutex_);
  away_ = false;
  changed_.notify_all();
}

FakeJob FakeBroker::Core::snapshot(const Kept& kept) const {
  FakeJob job = kept.job;
  job.state = from_wire(kept.state);
  return job;
}

std::vector<FakeJob> FakeBroker::Core::jobs() const {
  const std::lock_guard lock(mutex_);
  std::vector<const Kept*> order;
  for (const auto& [id, kept] : jobs_) order.push_back(&kept);
  std::sort(order.begin(), order.end(),
            [](const Kept* a, const Kept* b) { return a->order < b->order; });
  std::vector<FakeJob> all;
  for (const Kept* kept : order) all.push_back(snapshot(*kept));
  return all;
}

std::optional<FakeJob> FakeBroker::Core::job(const JobId& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return std::nullopt;
  return snapshot(found->second);
}

bool FakeBroker::Core::settle(std::chrono::milliseconds timeout) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, client_detail::deadline_in(timeout), [this] {
    return mail_.empty() && !running_ && (away_ || next() == nullptr);
  });
}

// ---------------------------------------------------------------- the public face

FakeBroker::FakeBroker() : core_(std::make_shared<Core>()) {}
FakeBroker::~FakeBroker() { core_->close(); }

Result<Client> FakeBroker::connect(ClientOptions options) {
  return client_detail::connect_through(std::make_unique<FakeLink>(core_->door()),
                                        std::move(options));
}

void FakeBroker::handle(std::string_view type, Handler handler) {
  core_->handle(type, std::move(handler));
}
void FakeBroker::advance(std::chrono::milliseconds time) { core_->advance(time); }
bool FakeBroker::end(const JobId& id, const FakeOutcome& outcome) {
  return core_->end(id, outcome);
}
bool FakeBroker::progress(const JobId& id, float value, std::string_view message) {
  return core_->progress(id, value, message);
}
void FakeBroker::refuse(int jobs, ErrorCode code, std::chrono::milliseconds retry_after) {
  core_->refuse(jobs, code, retry_after);
}
void FakeBroker::go_away() { core_->go_away(); }
void FakeBroker::come_back() { core_->come_back(); }
std::vector<FakeJob> FakeBroker::jobs() const { return core_->jobs(); }
std::optional<FakeJob> FakeBroker::job(const JobId& id) const { return core_->job(id); }
bool FakeBroker::settle(std::chrono::milliseconds timeout) const { return core_->settle(timeout); }

}  // namespace testing
JOBWIRE_NAMESPACE_END
