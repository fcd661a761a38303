// SPDX-License-Identifier: Apache-2.0
#include "scripted_broker.h"

#include <gtest/gtest.h>
#include <zmq.h>

#include <chrono>
#include <condition_variable>
#include <cstring>

namespace jobwire::testing_detail {
namespace {

JobId to_id(const wire::Id& id) {
  JobId::Bytes bytes;
  std::memcpy(bytes.data(), &id, bytes.size());
  return JobId(bytes);
}

wire::Id to_wire(const JobId& id) {
  return wire::Id(flatbuffers::span<const std::uint8_t, 16>(id.bytes().data(), 16));
}

template <class T>
std::span<const std::uint8_t> finish_message(flatbuffers::FlatBufferBuilder& builder,
                                             flatbuffers::Offset<T> body) {
  wire::FinishMessageBuffer(
      builder, wire::CreateMessage(builder, wire::BodyTraits<T>::enum_value, body.Union()));
  return {builder.GetBufferPointer(), builder.GetSize()};
}

}  // namespace

ScriptedBroker::ScriptedBroker() : context_(zmq_ctx_new()) {
  open_socket();
  thread_ = std::thread([this] { run(); });
}

ScriptedBroker::~ScriptedBroker() {
  stop_ = true;
  thread_.join();
  close_socket();
  zmq_ctx_term(context_);
}

std::string ScriptedBroker::endpoint() const { return "tcp://127.0.0.1:" + std::to_string(port_); }

void ScriptedBroker::open_socket() {
  router_ = zmq_socket(context_, ZMQ_ROUTER);
  const int zero = 0;
  zmq_setsockopt(router_, ZMQ_LINGER, &zero, sizeof zero);
  zmq_setsockopt(router_, ZMQ_SNDHWM, &zero, sizeof zero);
  zmq_setsockopt(router_, ZMQ_RCVHWM, &zero, sizeof zero);
  if (port_ == 0) {
    ASSERT_EQ(zmq_bind(router_, "tcp://127.0.0.1:*"), 0);
    char bound[64];
    std::size_t size = sizeof bound;
    zmq_getsockopt(router_, ZMQ_LAST_ENDPOINT, bound, &size);
    port_ = std::stoi(std::string(bound).substr(std::string(bound).rfind(':') + 1));
    return;
  }
  // The old socket's descriptor may take a moment to go.
  ASSERT_TRUE(eventually([this] { return zmq_bind(router_, endpoint().c_str()) == 0; }));
}

void ScriptedBroker::close_socket() {
  if (router_) zmq_close(router_);
  router_ = nullptr;
}

void ScriptedBroker::run() {
  while (!stop_) {
    std::deque<std::function<void()>> tasks;
    {
      const std::lock_guard lock(mutex_);
      tasks.swap(tasks_);
    }
    for (const auto& task : tasks) task();
    if (!router_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    zmq_pollitem_t item{router_, 0, ZMQ_POLLIN, 0};
    if (zmq_poll(&item, 1, 1) > 0) read_one();
  }
}

void ScriptedBroker::on_thread(const std::function<void()>& task) {
  std::mutex mutex;
  std::condition_variable done;
  bool is_done = false;
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back([&] {
      task();
      const std::lock_guard inner(mutex);
      is_done = true;
      done.notify_one();
    });
  }
  std::unique_lock lock(mutex);
  done.wait(lock, [&] { return is_done; });
}

void ScriptedBroker::read_one() {
  std::vector<std::string> frames;
  int more = 1;
  while (more) {
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    zmq_msg_recv(&frame, router_, 0);
    frames.emplace_back(static_cast<char*>(zmq_msg_data(&frame)), zmq_msg_size(&frame));
    more = zmq_msg_more(&frame);
    zmq_msg_close(&frame);
  }
  ASSERT_GE(frames.size(), 2U);
  ASSERT_LE(frames.size(), 3U);
  std::vector<std::uint64_t> memory(frames[1].size() / 8 + 1);
  std::memcpy(memory.data(), frames[1].data(), frames[1].size());
  const auto* buffer = reinterpret_cast<const std::uint8_t*>(memory.data());
  // What a broker checks, so that the client is known to keep to it.
  ASSERT_LE(frames[1].size(), 1U << 20);
  const std::size_t tables = std::max<std::size_t>(256, 1 + 64 * (frames[1].size() / 1024));
  flatbuffers::Verifier verifier(buffer, frames[1].size(), 16,
                                 static_cast<flatbuffers::uoffset_t>(tables));
  ASSERT_TRUE(wire::VerifyMessageBuffer(verifier));
  const std::lock_guard lock(mutex_);
  handle(frames[0], *wire::GetMessage(buffer),
         frames.size() > 2 ? std::string_view(frames[2]) : std::string_view());
}

void ScriptedBroker::send(const Peer& peer, std::span<const std::uint8_t> envelope,
                          std::string_view blob) {
  if (!router_) return;
  zmq_send(router_, peer.data(), peer.size(), ZMQ_SNDMORE);
  zmq_send(router_, envelope.data(), envelope.size(), blob.empty() ? 0 : ZMQ_SNDMORE);
  if (!blob.empty()) zmq_send(router_, blob.data(), blob.size(), 0);
}

void ScriptedBroker::welcome(const Peer& peer) {
  flatbuffers::FlatBufferBuilder builder;
  wire::LimitsBuilder limits(builder);
  limits.add_max_payload_bytes(33'554'432);
  limits.add_max_message_bytes(34'603'008);
  limits.add_max_jobs_per_message(script_.jobs_per_message);
  limits.add_window_jobs(script_.window_jobs);
  limits.add_window_bytes(script_.window_bytes);
  limits.add_session_timeout_ms(script_.session_timeout_ms);
  const auto limits_offset = limits.Finish();
  JobId::Bytes broker{};
  broker[0] = incarnation_;
  const wire::Id broker_id = to_wire(JobId(broker));
  wire::WelcomeBuilder welcome(builder);
  welcome.add_protocol(1);
  welcome.add_broker(&broker_id);
  welcome.add_session(next_session_++);
  welcome.add_durability(wire::Durability::Fsynced);
  welcome.add_limits(limits_offset);
  send(peer, finish_message(builder, welcome.Finish()));
}

void ScriptedBroker::refuse(const Peer& peer, wire::Code code, std::uint64_t request,
                            std::uint32_t retry_after_ms) {
  flatbuffers::FlatBufferBuilder builder;
  const auto refused = wire::CreateRefused(builder, code, 0, request, retry_after_ms);
  send(peer, finish_message(builder, refused));
}

void ScriptedBroker::handle(const Peer& peer, const wire::Message& message, std::string_view blob) {
  if (message.body_type() == wire::Body::Hello) {
    ++hellos_;
    if (script_.silent) return;
    const wire::Hello& hello = *message.body_as_Hello();
    EXPECT_EQ(hello.protocol(), 1);
    role_ = hello.role();
    client_name_ = hello.client()->str();
    if (script_.hello_refusal != wire::Code::Unspecified) {
      refuse(peer, script_.hello_refusal, 0);
      return;
    }
    sessions_.insert(peer);
    welcome(peer);
    return;
  }
  if (script_.silent) return;
  if (!sessions_.contains(peer)) {
    std::uint64_t request = 0;
    if (const auto* submit = message.body_as_Submit()) request = submit->request();
    refuse(peer, wire::Code::HelloFirst, request);
    return;
  }
  switch (message.body_type()) {
    case wire::Body::Submit:
      take(peer, *message.body_as_Submit(), blob);
      break;
    case wire::Body::ResultRequest:
      ++result_requests_;
      answer(peer, *message.body_as_ResultRequest());
      break;
    case wire::Body::Cancel: {
      const wire::Cancel& cancel = *message.body_as_Cancel();
      std::vector<wire::CancelHead> heads;
      for (const wire::Id* id : *cancel.ids()) {
        const auto job = jobs_.find(to_id(*id));
        wire::Code code = wire::Code::Unspecified;
        wire::State state = wire::State::Cancelled;
        if (job == jobs_.end()) {
          code = wire::Code::UnknownJob;
          state = wire::State::Unspecified;
        } else if (job->second.state > wire::State::Running) {
          code = wire::Code::AlreadyFinal;
          state = job->second.state;
        } else {
          job->second.state = state;
        }
        heads.emplace_back(*id, code, state);
      }
      flatbuffers::FlatBufferBuilder builder;
      const auto vector = builder.CreateVectorOfStructs(heads);
      send(peer,
           finish_message(builder, wire::CreateCancelReply(builder, cancel.request(), vector)));
      break;
    }
    case wire::Body::Heartbeat: {
      ++heartbeats_;
      flatbuffers::FlatBufferBuilder builder;
      wire::HeartbeatBuilder heartbeat(builder);
      heartbeat.add_sequence(message.body_as_Heartbeat()->sequence());
      send(peer, finish_message(builder, heartbeat.Finish()));
      break;
    }
    case wire::Body::Goodbye:
      ++goodbyes_;
      sessions_.erase(peer);
      break;
    case wire::Body::QueueCommand:
    case wire::Body::Sweep:
    case wire::Body::DeadQuery:
    case wire::Body::DeadImport:
    case wire::Body::ContractCommand:
      if (script_.on_operator) {
        for (const Answer& answer : script_.on_operator(message, blob)) {
          send(peer,
               {reinterpret_cast<const std::uint8_t*>(answer.envelope.data()),
                answer.envelope.size()},
               answer.blob);
        }
      }
      break;
    default:
      ADD_FAILURE() << "a producer does not send " << wire::EnumNameBody(message.body_type());
  }
}

void ScriptedBroker::take(const Peer& peer, const wire::Submit& submit, std::string_view blob) {
  ++submits_;
  if (script_.refused_messages > 0) {
    --script_.refused_messages;
    refuse(peer, script_.message_refusal, submit.request(), script_.message_retry_after_ms);
    return;
  }
  const auto& specs = *submit.jobs();
  if (specs.size() > largest_submit_) largest_submit_ = specs.size();
  std::vector<wire::ReceiptHead> heads;
  std::vector<std::uint32_t> refused;
  std::vector<JobId> ended;
  for (const wire::JobSpec* spec : specs) {
    const JobId id = to_id(*spec->id());
    const wire::Id wire_id = to_wire(id);
    if (script_.refused_jobs > 0) {
      --script_.refused_jobs;
      refused.push_back(static_cast<std::uint32_t>(heads.size()));
      heads.emplace_back(wire_id, wire_id, script_.job_retry_after_ms, script_.job_refusal, false,
                         wire::State::Unspecified);
      continue;
    }
    if (const auto leader = script_.leaders.find(spec->type()->str());
        leader != script_.leaders.end()) {
      heads.emplace_back(wire_id, to_wire(leader->second), 0, wire::Code::Unspecified, true,
                         wire::State::Queued);
      continue;
    }
    const bool known = jobs_.contains(id);
    KeptJob& job = jobs_[id];
    ++job.submits;
    if (!known) {
      job.queue = spec->queue()->str();
      job.type = spec->type()->str();
      job.payload = blob.substr(spec->payload_offset(), spec->payload_size());
      job.priority = spec->priority();
      job.timeout_ms = spec->timeout_ms();
      job.delay_ms = spec->delay_ms();
      job.watch = spec->watch();
      if (spec->headers()) {
        for (const wire::Header* header : *spec->headers()) {
          job.headers[header->key()->str()] = header->value()->str();
        }
      }
    }
    if (spec->watch()) watchers_[id].insert(peer);
    if (!known && script_.finish_everything) {
      job.state = wire::State::Succeeded;
      job.result = job.payload;
      ended.push_back(id);
    }
    if (script_.lost_receipts > 0) {
      --script_.lost_receipts;
      continue;
    }
    heads.emplace_back(wire_id, wire_id, 0, wire::Code::Unspecified, known, job.state);
  }
  if (script_.hold_receipts) {
    for (const auto& head : heads) held_.emplace_back(peer, head);
    if (held_.size() > most_unreceipted_) most_unreceipted_ = held_.size();
    return;
  }
  send_receipts(peer, heads, refused);
  for (const JobId& id : ended) push(id);
}

void ScriptedBroker::send_receipts(const Peer& peer, const std::vector<wire::ReceiptHead>& heads,
                                   const std::vector<std::uint32_t>& refused) {
  if (heads.empty()) return;
  flatbuffers::FlatBufferBuilder builder;
  std::vector<flatbuffers::Offset<wire::Refusal>> refusals;
  for (const std::uint32_t index : refused) {
    refusals.push_back(wire::CreateRefusalDirect(builder, index, script_.refusal_message.c_str(),
                                                 script_.refusal_field.c_str()));
  }
  const auto details = builder.CreateVector(refusals);
  const auto vector = builder.CreateVectorOfStructs(heads);
  send(peer, finish_message(builder, wire::CreateReceipts(builder, vector, details)));
}

namespace {

wire::ResultView make_view(const JobId& id, const ScriptedBroker::KeptJob* job, bool gone,
                           bool pushed) {
  if (!job) {
    return wire::ResultView(to_wire(id), 0, 0, 0, 0, 0, 0, 0,
                            gone ? wire::Known::Gone : wire::Known::Unknown,
                            wire::State::Unspecified, wire::DeadReason::Unspecified,
                            wire::Encoding::Unspecified, pushed, false);
  }
  const bool final = job->state > wire::State::Running;
  const bool dead = job->state == wire::State::Dead;
  return wire::ResultView(to_wire(id), 0, static_cast<std::uint32_t>(job->result.size()),
                          1'700'000'000'000, 1'700'000'000'010, final ? 1'700'000'000'020 : 0,
                          9'000, 1, final ? wire::Known::Final : wire::Known::Waiting, job->state,
                          dead ? wire::DeadReason::Raised : wire::DeadReason::Unspecified,
                          job->encoding, pushed, job->result_is_error);
}

}  // namespace

void ScriptedBroker::answer(const Peer& peer, const wire::ResultRequest& request) {
  for (const wire::Id* wire_id : *request.ids()) {
    const JobId id = to_id(*wire_id);
    const auto job = jobs_.find(id);
    const KeptJob* found = job == jobs_.end() ? nullptr : &job->second;
    const bool final = found && found->state > wire::State::Running;
    if (request.wait() && found && !final) watchers_[id].insert(peer);
    flatbuffers::FlatBufferBuilder builder;
    const auto view = make_view(id, found, gone_.contains(id), false);
    const auto vector = builder.CreateVectorOfStructs(&view, 1);
    send(peer, finish_message(builder, wire::CreateResultPush(builder, request.request(), vector)),
         found ? found->result : std::string_view());
    if (found && !final && found->progress) push_progress(peer, id);
  }
}

void ScriptedBroker::push_progress(const Peer& peer, const JobId& id) {
  const auto& [value, message] = *jobs_.at(id).progress;
  flatbuffers::FlatBufferBuilder builder;
  const wire::ProgressView view(to_wire(id), 1'700'000'000'000, value, 0,
                                static_cast<std::uint32_t>(message.size()));
  const auto vector = builder.CreateVectorOfStructs(&view, 1);
  send(peer, finish_message(builder, wire::CreateProgressPush(builder, vector)), message);
}

void ScriptedBroker::progress(const JobId& id, float value, std::string message) {
  on_thread([&] {
    const std::lock_guard lock(mutex_);
    KeptJob& job = jobs_[id];
    job.state = wire::State::Running;
    job.progress.emplace(value, std::move(message));
    for (const Peer& peer : watchers_[id]) push_progress(peer, id);
  });
}

void ScriptedBroker::push(const JobId& id) {
  const auto watchers = watchers_.find(id);
  if (watchers == watchers_.end()) return;
  const KeptJob& job = jobs_.at(id);
  for (const Peer& peer : watchers->second) {
    flatbuffers::FlatBufferBuilder builder;
    const auto view = make_view(id, &job, false, true);
    const auto vector = builder.CreateVectorOfStructs(&view, 1);
    send(peer, finish_message(builder, wire::CreateResultPush(builder, 0, vector)), job.result);
  }
  watchers_.erase(watchers);
}

void ScriptedBroker::go_away() {
  on_thread([this] {
    close_socket();
    const std::lock_guard lock(mutex_);
    sessions_.clear();
    watchers_.clear();
    held_.clear();
    ++incarnation_;
  });
}

void ScriptedBroker::come_back() {
  on_thread([this] { open_socket(); });
}

void ScriptedBroker::forget_sessions() {
  const std::lock_guard lock(mutex_);
  sessions_.clear();
  watchers_.clear();
  held_.clear();
}

void ScriptedBroker::answer_nothing(bool nothing) {
  const std::lock_guard lock(mutex_);
  script_.silent = nothing;
}

void ScriptedBroker::refuse_hello(wire::Code code) {
  const std::lock_guard lock(mutex_);
  script_.hello_refusal = code;
}

void ScriptedBroker::lose_receipts(int count) {
  const std::lock_guard lock(mutex_);
  script_.lost_receipts = count;
}

void ScriptedBroker::refuse_jobs(int count, wire::Code code, std::uint32_t retry_after_ms,
                                 std::string field, std::string message) {
  const std::lock_guard lock(mutex_);
  script_.refused_jobs = count;
  script_.job_refusal = code;
  script_.job_retry_after_ms = retry_after_ms;
  script_.refusal_field = std::move(field);
  script_.refusal_message = std::move(message);
}

void ScriptedBroker::refuse_messages(int count, wire::Code code, std::uint32_t retry_after_ms) {
  const std::lock_guard lock(mutex_);
  script_.refused_messages = count;
  script_.message_refusal = code;
  script_.message_retry_after_ms = retry_after_ms;
}

void ScriptedBroker::hold_receipts(bool hold) {
  on_thread([this, hold] {
    const std::lock_guard lock(mutex_);
    script_.hold_receipts = hold;
    if (hold) return;
    for (const auto& [peer, head] : held_) send_receipts(peer, {head}, {});
    held_.clear();
  });
}

void ScriptedBroker::make_duplicate(std::string type, const JobId& leader) {
  const std::lock_guard lock(mutex_);
  script_.leaders[std::move(type)] = leader;
}

void ScriptedBroker::limits(std::uint32_t window_jobs, std::uint32_t jobs_per_message,
                            std::uint64_t window_bytes) {
  const std::lock_guard lock(mutex_);
  script_.window_jobs = window_jobs;
  script_.jobs_per_message = jobs_per_message;
  script_.window_bytes = window_bytes;
}

void ScriptedBroker::session_timeout_ms(std::uint32_t timeout) {
  const std::lock_guard lock(mutex_);
  script_.session_timeout_ms = timeout;
}

void ScriptedBroker::finish(const JobId& id, std::string result, wire::Encoding encoding) {
  on_thread([&] {
    const std::lock_guard lock(mutex_);
    KeptJob& job = jobs_[id];
    job.state = wire::State::Succeeded;
    job.result = std::move(result);
    job.encoding = encoding;
    push(id);
  });
}

void ScriptedBroker::finish_everything(bool finish) {
  const std::lock_guard lock(mutex_);
  script_.finish_everything = finish;
}

void ScriptedBroker::bury(const JobId& id, std::string job_error_buffer) {
  on_thread([&] {
    const std::lock_guard lock(mutex_);
    KeptJob& job = jobs_[id];
    job.state = wire::State::Dead;
    job.result = std::move(job_error_buffer);
    job.result_is_error = true;
    push(id);
  });
}

void ScriptedBroker::add_job(const JobId& id, KeptJob job) {
  const std::lock_guard lock(mutex_);
  jobs_[id] = std::move(job);
}

void ScriptedBroker::make_gone(const JobId& id) {
  const std::lock_guard lock(mutex_);
  gone_.insert(id);
}

void ScriptedBroker::on_operator(OperatorFn fn) {
  const std::lock_guard lock(mutex_);
  script_.on_operator = std::move(fn);
}

void ScriptedBroker::send_raw(std::vector<std::string> frames) {
  on_thread([&] {
    const std::lock_guard lock(mutex_);
    for (const Peer& peer : sessions_) {
      zmq_send(router_, peer.data(), peer.size(), ZMQ_SNDMORE);
      for (std::size_t i = 0; i < frames.size(); ++i) {
        const int flags = i + 1 < frames.size() ? ZMQ_SNDMORE : 0;
        zmq_send(router_, frames[i].data(), frames[i].size(), flags);
      }
    }
  });
}

std::map<JobId, ScriptedBroker::KeptJob> ScriptedBroker::jobs() const {
  const std::lock_guard lock(mutex_);
  return jobs_;
}

std::optional<ScriptedBroker::KeptJob> ScriptedBroker::job(const JobId& id) const {
  const std::lock_guard lock(mutex_);
  const auto job = jobs_.find(id);
  if (job == jobs_.end()) return std::nullopt;
  return job->second;
}

std::string ScriptedBroker::client_name() const {
  const std::lock_guard lock(mutex_);
  return client_name_;
}

std::string make_job_error(std::string_view type, std::string_view message) {
  flatbuffers::FlatBufferBuilder builder;
  const std::vector<flatbuffers::Offset<wire::Frame>> frames = {
      wire::CreateFrameDirect(builder, "worker.py", 12, "resize", "image = load(data)"),
      wire::CreateFrameDirect(builder, "images.py", 40, "load", nullptr)};
  const std::vector<flatbuffers::Offset<wire::ChainedError>> chain = {
      wire::CreateChainedErrorDirect(builder, wire::Relation::Cause, "builtins.OSError",
                                     "truncated file", nullptr)};
  const std::vector<flatbuffers::Offset<flatbuffers::String>> notes = {
      builder.CreateString("file 7 of 9")};
  const auto error =
      wire::CreateJobErrorDirect(builder, std::string(type).c_str(), std::string(message).c_str(),
                                 &frames, &chain, &notes, true, false);
  wire::FinishJobErrorBuffer(builder, error);
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

bool eventually(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (std::chrono::steady_clock::now() < deadline) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return holds();
}

}  // namespace jobwire::testing_detail
