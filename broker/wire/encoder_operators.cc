// SPDX-License-Identifier: Apache-2.0
// What operators are answered.
#include <algorithm>
#include <cstring>

#include "wire/encoder.h"
#include "wire/utf8.h"

namespace jobwire::wire {
namespace {

/// An envelope is closed once it has so many bytes: one entry more still fits its limit.
constexpr std::size_t kEnvelopeBytes = 768U << 10;
/// Of one job's failed attempts, the last.
constexpr std::size_t kErrorText = 4096;

std::int64_t to_ms(core::Wall time) { return time.time_since_epoch().count(); }

std::uint32_t to_u32(core::Millis span) {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(span.count(), 0, UINT32_MAX));
}

template <typename CoreId>
Id to_wire(const CoreId& id) {
  Id wire;
  std::memcpy(static_cast<void*>(&wire), id.bytes.data(), id.bytes.size());
  return wire;
}

using Text = flatbuffers::Offset<flatbuffers::String>;

Text text_in(flatbuffers::FlatBufferBuilder& builder, std::string_view text) {
  return text.empty() ? Text{} : builder.CreateString(text.data(), text.size());
}

flatbuffers::Offset<RetryPolicy> retry_in(flatbuffers::FlatBufferBuilder& builder,
                                          const core::RetryPolicy& retry) {
  std::vector<std::uint32_t> listed;
  for (const core::Millis delay : retry.listed) listed.push_back(to_u32(delay));
  flatbuffers::Offset<flatbuffers::Vector<std::uint32_t>> delays = 0;
  if (!listed.empty()) delays = builder.CreateVector(listed);
  flatbuffers::Offset<flatbuffers::Vector<Text>> fatal = 0;
  if (!retry.fatal.empty()) fatal = builder.CreateVectorOfStrings(retry.fatal);
  return CreateRetryPolicy(builder, retry.attempts, retry.crashes,
                           static_cast<Backoff>(retry.backoff), to_u32(retry.base),
                           to_u32(retry.cap), retry.factor, delays, !retry.jitter, fatal,
                           retry.timeouts);
}

struct Slice {
  std::uint32_t offset = 0;
  std::uint32_t size = 0;
};

Slice append(std::vector<std::uint8_t>& blob, std::span<const std::uint8_t> bytes) {
  const Slice slice{static_cast<std::uint32_t>(blob.size()),
                    static_cast<std::uint32_t>(bytes.size())};
  blob.insert(blob.end(), bytes.begin(), bytes.end());
  return slice;
}

flatbuffers::Offset<JobSpec> spec_in(flatbuffers::FlatBufferBuilder& builder,
                                     const core::JobRecord& job, bool full, Slice payload) {
  const Id id = to_wire(job.id);
  const auto queue = text_in(builder, job.queue);
  const auto type = text_in(builder, job.type);
  Text dedup_key = 0;
  flatbuffers::Offset<RetryPolicy> retry = 0;
  flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<Header>>> headers = 0;
  const bool options = full && job.options;
  if (options) {
    dedup_key = text_in(builder, job.options->dedup_key);
    if (job.options->has_retry) retry = retry_in(builder, job.options->retry);
    std::vector<flatbuffers::Offset<Header>> list;
    for (const auto& [key, value] : job.options->headers) {
      const auto key_offset = builder.CreateString(key);
      const auto value_offset = builder.CreateString(value);
      list.push_back(CreateHeader(builder, key_offset, value_offset));
    }
    if (!list.empty()) headers = builder.CreateVector(list);
  }
  JobSpecBuilder spec(builder);
  spec.add_id(&id);
  spec.add_queue(queue);
  spec.add_type(type);
  spec.add_encoding(static_cast<Encoding>(job.encoding));
  spec.add_priority(job.priority);
  spec.add_timeout_ms(to_u32(job.timeout));
  if (full) {
    spec.add_payload_offset(payload.offset);
    spec.add_payload_size(payload.size);
    spec.add_expires_at_ms(to_ms(job.expires));
    spec.add_keep_payload(job.keep_payload);
  }
  if (options) {
    spec.add_result_ttl_ms(static_cast<std::uint64_t>(job.options->result_ttl.count()));
    spec.add_retry(retry);
    spec.add_dedup_key(dedup_key);
    spec.add_dedup_window_ms(static_cast<std::uint64_t>(job.options->dedup_window.count()));
    spec.add_headers(headers);
    spec.add_contract(job.options->contract);
  }
  return spec.Finish();
}

}  // namespace

void Encoder::queue_replies(std::span<const core::QueueReplyOut> replies, OutgoingSink& sink) {
  for (const core::QueueReplyOut& reply : replies) {
    builder_.Clear();
    std::vector<flatbuffers::Offset<QueueView>> views;
    for (const core::QueueView& queue : reply.queues) {
      if (builder_.GetSize() >= kEnvelopeBytes) break;
      const core::QueueSettings& settings = queue.settings;
      const auto name = text_in(builder_, queue.name);
      const auto by = text_in(builder_, settings.by);
      const auto why = text_in(builder_, settings.why);
      views.push_back(CreateQueueView(
          builder_, name, settings.weight, settings.paused, settings.draining, by, why,
          to_ms(settings.since), to_ms(settings.until), queue.scheduled, queue.queued,
          queue.running, queue.bytes, queue.workers, queue.dead, queue.finished));
    }
    const bool more = reply.more || views.size() < reply.queues.size();
    const auto next =
        more && !views.empty() ? text_in(builder_, reply.queues[views.size() - 1].name) : Text{};
    const auto message = text_in(builder_, reply.message);
    flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<QueueView>>> list = 0;
    if (!views.empty()) list = builder_.CreateVector(views);
    const ByteSpan envelope = finish(
        Body::QueueReply, CreateQueueReply(builder_, reply.request, static_cast<Code>(reply.code),
                                           message, list, next, to_u32(reply.retry_after)));
    put(reply.session, Body::QueueReply, envelope, {}, views.size(), sink);
  }
}

void Encoder::sweep_reports(std::span<const core::SweepReportOut> reports, OutgoingSink& sink) {
  for (const core::SweepReportOut& report : reports) {
    builder_.Clear();
    const auto message = text_in(builder_, report.message);
    const ByteSpan envelope =
        finish(Body::SweepReport,
               CreateSweepReport(builder_, report.request, static_cast<Code>(report.code), message,
                                 report.matched, report.done, report.failed, report.finished,
                                 to_ms(report.before), to_u32(report.retry_after)));
    put(report.session, Body::SweepReport, envelope, {}, 1, sink);
  }
}

flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<DeadAttempt>>> Encoder::attempts_in(
    const ports::StoredJob& job) {
  std::vector<flatbuffers::Offset<DeadAttempt>> list;
  const std::size_t first =
      job.attempts.size() > kMaxAttempts ? job.attempts.size() - kMaxAttempts : 0;
  for (std::size_t i = first; i < job.attempts.size(); ++i) {
    const core::Attempt& attempt = job.attempts[i];
    const auto worker = text_in(builder_, attempt.worker);
    const auto host = text_in(builder_, attempt.host);
    const Id token = to_wire(attempt.token);
    const bool fits = blob_.size() + attempt.error.size() <= limits_.max_message_bytes;
    const Slice error = fits ? append(blob_, attempt.error.span()) : Slice{};
    list.push_back(CreateDeadAttempt(
        builder_, attempt.number, attempt.generation, attempt.token.is_zero() ? nullptr : &token,
        worker, host, to_ms(attempt.started), to_ms(attempt.ended),
        static_cast<Outcome>(attempt.outcome),
        static_cast<std::uint64_t>(std::max<std::int64_t>(attempt.run.count(), 0)),
        error.size == 0 ? 0 : error.offset, error.size));
  }
  return list.empty() ? 0 : builder_.CreateVector(list);
}

void Encoder::dead_page(const DeadPageOut& page, OutgoingSink& sink) {
  builder_.Clear();
  blob_.clear();
  std::vector<flatbuffers::Offset<DeadJob>> jobs;
  for (const ports::StoredJob& job : page.jobs) {
    const std::size_t payload_size = page.full ? job.job.payload.size() : 0;
    const bool fits = builder_.GetSize() < kEnvelopeBytes &&
                      blob_.size() + payload_size <= limits_.max_message_bytes;
    if (!jobs.empty() && !fits) break;
    const Slice payload = page.full ? append(blob_, job.job.payload.span()) : Slice{};
    const auto attempts = page.full ? attempts_in(job) : 0;
    const auto spec = spec_in(builder_, job.job, page.full, payload);
    const auto origin = text_in(builder_, job.origin);
    const auto error_type = text_in(builder_, utf8_prefix(job.error_type, kErrorText));
    const auto error_message = text_in(builder_, utf8_prefix(job.error_message, kErrorText));
    jobs.push_back(CreateDeadJob(
        builder_, spec, origin, static_cast<DeadReason>(job.job.reason), error_type, error_message,
        to_ms(job.job.created), to_ms(job.job.finished), job.job.attempts, job.job.raised,
        job.job.timed_out, job.job.crashed, job.job.generation, job.job.payload_size, attempts));
  }
  std::string next = page.next;
  if (jobs.size() < page.jobs.size()) {
    const ports::StoredJob& last = page.jobs[jobs.size() - 1];
    next = text_of(DeadPlace{last.queue, {last.job.finished, last.id}});
  }
  const auto next_offset = text_in(builder_, next);
  const auto message = text_in(builder_, page.message);
  flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<DeadJob>>> list = 0;
  if (!jobs.empty()) list = builder_.CreateVector(jobs);
  const ByteSpan envelope =
      finish(Body::DeadPage, CreateDeadPage(builder_, page.request, static_cast<Code>(page.code),
                                            message, list, next_offset, to_u32(page.retry_after)));
  put(page.session, Body::DeadPage, envelope, blob_, jobs.size(), sink);
}

void Encoder::contract_reply(const ContractReplyOut& reply, OutgoingSink& sink) {
  builder_.Clear();
  std::vector<flatbuffers::Offset<ContractView>> views;
  for (const ports::HeldContract& contract : reply.contracts) {
    if (builder_.GetSize() >= kEnvelopeBytes) break;
    std::vector<flatbuffers::Offset<ContractMethod>> methods;
    for (const auto& [type, hash] : contract.methods) {
      const auto type_offset = text_in(builder_, type);
      methods.push_back(CreateContractMethod(builder_, type_offset, hash));
    }
    const auto name = text_in(builder_, contract.name);
    const auto list = builder_.CreateVector(methods);
    views.push_back(
        CreateContractView(builder_, name, static_cast<std::uint32_t>(contract.bytes), list));
  }
  const auto next = views.size() < reply.contracts.size()
                        ? text_in(builder_, reply.contracts[views.size() - 1].name)
                        : Text{};
  const auto message = text_in(builder_, reply.message);
  flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<ContractView>>> list = 0;
  if (!views.empty()) list = builder_.CreateVector(views);
  const ByteSpan envelope =
      finish(Body::ContractReply,
             CreateContractReply(builder_, reply.request, static_cast<Code>(reply.code), message,
                                 list, next, to_u32(reply.retry_after)));
  put(reply.session, Body::ContractReply, envelope, {}, views.size(), sink);
}

}  // namespace jobwire::wire
