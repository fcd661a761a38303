// SPDX-License-Identifier: Apache-2.0
#include "outbound.h"

#include <chrono>

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {
namespace {

constexpr std::uint16_t kProtocolVersion = 1;

template <class To = std::uint64_t, class Rep, class Period>
To to_ms(std::chrono::duration<Rep, Period> duration) {
  return static_cast<To>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

std::int64_t to_unix_ms(Job::Time time) { return to_ms<std::int64_t>(time.time_since_epoch()); }

wire::Backoff to_wire(RetryPolicy::Backoff backoff) {
  switch (backoff) {
    case RetryPolicy::Backoff::Default:
      return wire::Backoff::Unspecified;
    case RetryPolicy::Backoff::Exponential:
      return wire::Backoff::Exponential;
    case RetryPolicy::Backoff::Fixed:
      return wire::Backoff::Fixed;
    case RetryPolicy::Backoff::Listed:
      return wire::Backoff::Listed;
  }
  return wire::Backoff::Unspecified;
}

flatbuffers::Offset<wire::RetryPolicy> write_retry(flatbuffers::FlatBufferBuilder& builder,
                                                   const RetryPolicy& policy) {
  flatbuffers::Offset<flatbuffers::Vector<std::uint32_t>> listed;
  if (!policy.rests().empty()) {
    std::vector<std::uint32_t> rests;
    for (const auto rest : policy.rests()) rests.push_back(to_ms<std::uint32_t>(rest));
    listed = builder.CreateVector(rests);
  }
  flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>> fatal;
  if (!policy.fatal().empty()) fatal = builder.CreateVectorOfStrings(policy.fatal());
  wire::RetryPolicyBuilder retry(builder);
  retry.add_attempts(policy.attempts());
  retry.add_timeouts(policy.timeouts());
  retry.add_crashes(policy.crashes());
  retry.add_backoff(to_wire(policy.backoff()));
  retry.add_base_ms(to_ms<std::uint32_t>(policy.base()));
  retry.add_cap_ms(to_ms<std::uint32_t>(policy.cap()));
  retry.add_factor(policy.factor());
  if (!listed.IsNull()) retry.add_listed_ms(listed);
  retry.add_no_jitter(!policy.has_jitter());
  if (!fatal.IsNull()) retry.add_fatal(fatal);
  return retry.Finish();
}

}  // namespace

template <class T>
Outbound::Bytes Outbound::finish(flatbuffers::Offset<T> body) {
  wire::FinishMessageBuffer(
      builder_, wire::CreateMessage(builder_, wire::BodyTraits<T>::enum_value, body.Union()));
  return {builder_.GetBufferPointer(), builder_.GetSize()};
}

Outbound::Bytes Outbound::hello(std::string_view client, bool operates) {
  builder_.Clear();
  const auto text = builder_.CreateString(client.data(), client.size());
  return finish(wire::CreateHello(builder_, kProtocolVersion,
                                  operates ? wire::Role::Operator : wire::Role::Producer, text));
}

Outbound::Bytes Outbound::heartbeat(std::uint64_t sequence) {
  builder_.Clear();
  wire::HeartbeatBuilder heartbeat(builder_);
  heartbeat.add_sequence(sequence);
  return finish(heartbeat.Finish());
}

Outbound::Bytes Outbound::goodbye() {
  builder_.Clear();
  return finish(wire::CreateGoodbye(builder_));
}

Outbound::Bytes Outbound::result_request(std::uint64_t request, std::span<const JobId> ids,
                                         bool wait) {
  static_assert(sizeof(JobId) == sizeof(wire::Id));
  builder_.Clear();
  wire::Id* out = nullptr;
  const auto vector = builder_.CreateUninitializedVectorOfStructs<wire::Id>(ids.size(), &out);
  if (!ids.empty()) std::memcpy(static_cast<void*>(out), ids.data(), ids.size_bytes());
  return finish(wire::CreateResultRequest(builder_, request, vector, wait));
}

flatbuffers::Offset<flatbuffers::String> Outbound::name(std::string_view text, int which) {
  Name& last = names_[which];
  if (last.offset.IsNull() || last.text != text) {
    last = {text, builder_.CreateString(text.data(), text.size())};
  }
  return last.offset;
}

flatbuffers::Offset<wire::JobSpec> Outbound::write_job(const Entry& entry,
                                                       std::size_t payload_offset) {
  const Job& job = entry.job;
  const auto queue = name(job.queue(), 0);
  const auto type = name(job.type(), 1);
  flatbuffers::Offset<wire::RetryPolicy> retry;
  if (job.retry()) retry = write_retry(builder_, *job.retry());
  flatbuffers::Offset<flatbuffers::String> dedup_key;
  if (!job.dedup_key().empty()) {
    dedup_key = builder_.CreateString(job.dedup_key().data(), job.dedup_key().size());
  }
  flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<wire::Header>>> headers;
  if (!job.headers().empty()) {
    std::vector<flatbuffers::Offset<wire::Header>> list;
    for (const auto& [key, value] : job.headers()) {
      const auto key_text = builder_.CreateString(key);
      list.push_back(wire::CreateHeader(builder_, key_text, builder_.CreateString(value)));
    }
    headers = builder_.CreateVector(list);
  }
  const wire::Id id = client_detail::to_wire(entry.id);
  wire::JobSpecBuilder spec(builder_);
  spec.add_id(&id);
  spec.add_queue(queue);
  spec.add_type(type);
  spec.add_payload_offset(static_cast<std::uint32_t>(payload_offset));
  spec.add_payload_size(static_cast<std::uint32_t>(job.payload().size()));
  spec.add_encoding(client_detail::to_wire(job.encoding()));
  spec.add_priority(static_cast<std::uint8_t>(job.priority()));
  if (job.timeout()) spec.add_timeout_ms(to_ms<std::uint32_t>(*job.timeout()));
  if (job.delay()) spec.add_delay_ms(to_ms(*job.delay()));
  if (job.not_before()) spec.add_not_before_ms(to_unix_ms(*job.not_before()));
  if (job.expires_at()) spec.add_expires_at_ms(to_unix_ms(*job.expires_at()));
  if (job.result_ttl()) spec.add_result_ttl_ms(to_ms(*job.result_ttl()));
  if (!retry.IsNull()) spec.add_retry(retry);
  if (!dedup_key.IsNull()) {
    spec.add_dedup_key(dedup_key);
    spec.add_dedup_window_ms(to_ms(job.dedup_window()));
  }
  if (!headers.IsNull()) spec.add_headers(headers);
  spec.add_watch(job.is_watched());
  spec.add_keep_payload(job.keeps_payload());
  spec.add_contract(job.contract());
  return spec.Finish();
}

Outbound::Bytes Outbound::submit(std::uint64_t request, const EntryList& entries, Blob& blob) {
  builder_.Clear();
  names_[0] = {};
  names_[1] = {};
  jobs_.clear();
  blob = {};
  blob.pieces.reserve(entries.size());
  for (const Entry& entry : entries) {
    jobs_.push_back(write_job(entry, blob.size));
    const auto payload = entry.job.payload();
    if (payload.empty()) continue;
    blob.pieces.push_back(payload);
    blob.size += payload.size();
  }
  if (blob.pieces.size() == 1 && blob.size >= Backlog::kLargePayload) {
    blob.owner = entries.front().job.shared_payload();
  }
  const auto jobs = builder_.CreateVector(jobs_);
  return finish(wire::CreateSubmit(builder_, request, jobs));
}

std::size_t Outbound::envelope_bytes(const Job& job) {
  constexpr std::size_t kSpec = 152;       // every field set, its vtable, its place in the vector
  constexpr std::size_t kString = 12;      // length, terminator, padding, offset
  constexpr std::size_t kSmallTable = 40;  // a header, or the fixed part of a retry policy
  std::size_t bytes =
      kSpec + 3 * kString + job.queue().size() + job.type().size() + job.dedup_key().size();
  for (const auto& [key, value] : job.headers()) {
    bytes += kSmallTable + 2 * kString + key.size() + value.size();
  }
  if (job.retry()) {
    bytes += 2 * kSmallTable + 4 * job.retry()->rests().size();
    for (const std::string& exception : job.retry()->fatal()) bytes += kString + exception.size();
  }
  return bytes;
}

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
