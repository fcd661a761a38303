// SPDX-License-Identifier: Apache-2.0
#include "sim/messages.h"

#include "jobwire/wire/error_generated.h"

namespace jobwire::sim {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

template <typename CoreId>
wire::Id to_wire(const CoreId& id) {
  wire::Id out;
  std::memcpy(static_cast<void*>(&out), id.bytes.data(), id.bytes.size());
  return out;
}

template <typename BodyTable>
Packet finish(FlatBufferBuilder& builder, wire::Body kind, Offset<BodyTable> body,
              Buffer blob = {}) {
  wire::FinishMessageBuffer(builder, wire::CreateMessage(builder, kind, body.Union()));
  return {Buffer(builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()),
          std::move(blob)};
}

std::vector<wire::LeaseHead> heads_of(const std::vector<LeaseNote>& notes) {
  std::vector<wire::LeaseHead> heads;
  heads.reserve(notes.size());
  for (const LeaseNote& note : notes) {
    heads.emplace_back(to_wire(note.token), to_wire(note.job), note.worker, note.started_ms,
                       note.attempt, note.finished);
  }
  return heads;
}

template <typename CoreId>
std::vector<wire::Id> ids_of(std::span<const CoreId> ids) {
  std::vector<wire::Id> out;
  out.reserve(ids.size());
  for (const CoreId& id : ids) out.push_back(to_wire(id));
  return out;
}

Offset<wire::RetryPolicy> put_retry(FlatBufferBuilder& b, const core::RetryPolicy& retry) {
  std::vector<std::uint32_t> listed;
  for (const core::Millis delay : retry.listed)
    listed.push_back(static_cast<std::uint32_t>(delay.count()));
  return wire::CreateRetryPolicy(
      b, retry.attempts, retry.crashes, static_cast<wire::Backoff>(retry.backoff),
      static_cast<std::uint32_t>(retry.base.count()), static_cast<std::uint32_t>(retry.cap.count()),
      retry.factor, listed.empty() ? 0 : b.CreateVector(listed), !retry.jitter,
      retry.fatal.empty() ? 0 : b.CreateVectorOfStrings(retry.fatal), retry.timeouts);
}

Offset<wire::JobSpec> put_job(FlatBufferBuilder& b, const JobSpec& job, Buffer& blob) {
  const auto queue = b.CreateString(job.queue);
  const auto type = b.CreateString(job.type);
  const auto key =
      job.dedup_key.empty() ? Offset<flatbuffers::String>() : b.CreateString(job.dedup_key);
  const auto retry = job.retry ? put_retry(b, *job.retry) : Offset<wire::RetryPolicy>();
  std::vector<Offset<wire::Header>> headers;
  for (const auto& [name, value] : job.headers) {
    headers.push_back(wire::CreateHeader(b, b.CreateString(name), b.CreateString(value)));
  }
  const auto header_list = headers.empty() ? Offset<flatbuffers::Vector<Offset<wire::Header>>>()
                                           : b.CreateVector(headers);
  const auto offset = static_cast<std::uint32_t>(blob.size());
  blob.insert(blob.end(), job.payload.begin(), job.payload.end());
  const wire::Id id = to_wire(job.id);
  return wire::CreateJobSpec(
      b, &id, queue, type, offset, static_cast<std::uint32_t>(job.payload.size()),
      static_cast<wire::Encoding>(job.encoding), job.priority, job.timeout_ms, job.delay_ms,
      job.not_before_ms, job.expires_at_ms, job.result_ttl_ms, retry, key, job.dedup_window_ms,
      header_list, job.contract, job.watch, job.keep_payload);
}

}  // namespace

Packet hello(core::Role role, const core::HostId& host, const std::string& host_name,
             std::uint64_t worker) {
  FlatBufferBuilder b;
  const auto client = b.CreateString("sim");
  const auto name = b.CreateString(host_name);
  const wire::Id id = to_wire(host);
  return finish(b, wire::Body::Hello,
                wire::CreateHello(b, 1, static_cast<wire::Role>(role), client,
                                  host.is_zero() ? nullptr : &id, name, worker, 1));
}

Packet goodbye() {
  FlatBufferBuilder b;
  return finish(b, wire::Body::Goodbye, wire::CreateGoodbye(b));
}

Packet heartbeat(std::uint64_t sequence, const std::vector<std::uint64_t>& workers,
                 const std::vector<LeaseNote>& running) {
  FlatBufferBuilder b;
  const auto list = b.CreateVector(workers);
  const auto leases = b.CreateVectorOfStructs(heads_of(running));
  return finish(b, wire::Body::Heartbeat, wire::CreateHeartbeat(b, list, leases, sequence));
}

Packet submit(std::uint64_t request, std::span<const JobSpec* const> jobs) {
  FlatBufferBuilder b;
  Buffer blob;
  std::vector<Offset<wire::JobSpec>> specs;
  for (const JobSpec* job : jobs) specs.push_back(put_job(b, *job, blob));
  const auto list = b.CreateVector(specs);
  return finish(b, wire::Body::Submit, wire::CreateSubmit(b, request, list), std::move(blob));
}

Packet result_request(std::uint64_t request, std::span<const core::JobId> ids, bool wait) {
  FlatBufferBuilder b;
  const auto list = b.CreateVectorOfStructs(ids_of(ids));
  return finish(b, wire::Body::ResultRequest, wire::CreateResultRequest(b, request, list, wait));
}

Packet cancel(std::uint64_t request, std::span<const core::JobId> ids, const std::string& reason) {
  FlatBufferBuilder b;
  const auto list = b.CreateVectorOfStructs(ids_of(ids));
  const auto text = b.CreateString(reason);
  return finish(b, wire::Body::Cancel, wire::CreateCancel(b, request, list, text));
}

Packet ready(const std::vector<std::string>& queues, const std::vector<std::string>& types,
             const std::map<std::string, TypeDefault>& declared, const core::Contract& contract,
             std::uint16_t slots, std::uint16_t credit, const std::vector<LeaseNote>& held) {
  FlatBufferBuilder b;
  const auto queue_list = b.CreateVectorOfStrings(queues);
  std::vector<Offset<wire::TypeOffer>> offers;
  for (const std::string& type : types) {
    const TypeDefault& own = declared.at(type);
    const auto name = b.CreateString(type);
    const auto retry = own.retry ? put_retry(b, *own.retry) : Offset<wire::RetryPolicy>();
    const auto accepts = b.CreateVector(contract.accepts);
    offers.push_back(
        wire::CreateTypeOffer(b, name, contract.hash, 0, retry, own.timeout_ms, accepts));
  }
  const auto type_list = b.CreateVector(offers);
  const auto leases = b.CreateVectorOfStructs(heads_of(held));
  return finish(b, wire::Body::Ready,
                wire::CreateReady(b, queue_list, type_list, slots, credit, leases));
}

Packet results(std::uint64_t sequence, std::span<const ResultNote> notes) {
  FlatBufferBuilder b;
  Buffer blob;
  std::vector<wire::ResultHead> heads;
  for (const ResultNote& note : notes) {
    const bool success = note.outcome == core::Outcome::kSucceeded;
    heads.emplace_back(
        to_wire(note.token), to_wire(note.job), static_cast<std::uint32_t>(blob.size()),
        static_cast<std::uint32_t>(note.payload.size()), note.run_us, note.started_ms,
        note.retry_delay_ms, static_cast<wire::Outcome>(note.outcome),
        success ? wire::Encoding::Bytes : wire::Encoding::Unspecified);
    blob.insert(blob.end(), note.payload.begin(), note.payload.end());
  }
  const auto list = b.CreateVectorOfStructs(heads);
  return finish(b, wire::Body::Results, wire::CreateResults(b, sequence, list), std::move(blob));
}

Packet progress(const core::LeaseToken& token, std::uint32_t word) {
  FlatBufferBuilder b;
  const std::string text = core::to_hex(token.bytes);
  const wire::ProgressHead head(to_wire(token), static_cast<float>(word), 0,
                                static_cast<std::uint32_t>(text.size()));
  const auto list = b.CreateVectorOfStructs(&head, 1);
  return finish(b, wire::Body::Progress, wire::CreateProgress(b, list),
                Buffer(text.begin(), text.end()));
}

Packet checkpoints(std::span<const SaveNote> notes) {
  FlatBufferBuilder b;
  std::vector<wire::CheckpointHead> heads;
  Buffer blob;
  for (const SaveNote& note : notes) {
    heads.emplace_back(to_wire(note.token), note.number, static_cast<std::uint32_t>(blob.size()),
                       static_cast<std::uint32_t>(note.bytes.size()), wire::Encoding::Bytes);
    blob.insert(blob.end(), note.bytes.begin(), note.bytes.end());
  }
  const auto list = b.CreateVectorOfStructs(heads);
  return finish(b, wire::Body::Checkpoints, wire::CreateCheckpoints(b, list), std::move(blob));
}

Packet hand_back(std::span<const core::LeaseToken> tokens) {
  FlatBufferBuilder b;
  const auto list = b.CreateVectorOfStructs(ids_of(tokens));
  return finish(b, wire::Body::HandBack, wire::CreateHandBack(b, list));
}

Packet worker_down(std::uint64_t worker, core::WorkerEnd end,
                   const std::vector<LeaseNote>& running) {
  FlatBufferBuilder b;
  const auto leases = b.CreateVectorOfStructs(heads_of(running));
  const std::uint8_t signal = end == core::WorkerEnd::kCrashed ? 11 : 0;
  return finish(
      b, wire::Body::WorkerDown,
      wire::CreateWorkerDown(b, worker, static_cast<wire::WorkerEnd>(end), 1, signal, 0, leases));
}

Packet queue_command(const QueueOrder& order) {
  FlatBufferBuilder b;
  const auto queue =
      order.queue.empty() ? Offset<flatbuffers::String>() : b.CreateString(order.queue);
  const auto by = b.CreateString("sim");
  const auto why = b.CreateString(order.why);
  return finish(
      b, wire::Body::QueueCommand,
      wire::CreateQueueCommand(b, order.request, static_cast<wire::QueueAction>(order.action),
                               queue, by, why, order.until_ms, order.weight));
}

Packet sweep(const SweepOrder& order) {
  FlatBufferBuilder b;
  const auto text = [&](const std::string& value) {
    return value.empty() ? Offset<flatbuffers::String>() : b.CreateString(value);
  };
  const auto queue = text(order.queue);
  const auto type = text(order.type);
  const auto to_queue = text(order.to_queue);
  const auto by = b.CreateString("sim");
  const auto filter = wire::CreateJobFilter(b, queue, type);
  return finish(
      b, wire::Body::Sweep,
      wire::CreateSweep(b, order.request, static_cast<wire::SweepAction>(order.action), filter, by,
                        0, order.dry_run, order.rate_per_s, order.limit, to_queue));
}

Packet dead_query(std::uint64_t request, std::uint32_t limit, bool full) {
  FlatBufferBuilder b;
  return finish(b, wire::Body::DeadQuery, wire::CreateDeadQuery(b, request, 0, 0, limit, full));
}

Buffer job_error(const std::string& type, const std::string& message, bool retryable) {
  FlatBufferBuilder b;
  const auto type_text = b.CreateString(type);
  const auto message_text = b.CreateString(message);
  wire::FinishJobErrorBuffer(b,
                             wire::CreateJobError(b, type_text, message_text, 0, 0, 0, retryable));
  return Buffer(b.GetBufferPointer(), b.GetBufferPointer() + b.GetSize());
}

}  // namespace jobwire::sim
