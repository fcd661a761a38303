// SPDX-License-Identifier: Apache-2.0
#include "wire/job_spec.h"

#include <cmath>

#include "wire/utf8.h"

namespace jobwire::wire {
namespace {

bool refuse(core::ReceiptOut& refusal, core::Code code, const char* field, const char* message) {
  refusal.code = code;
  refusal.field = field;
  refusal.message = message;
  return false;
}

// A span in milliseconds that fits the core's signed type; what is longer is longer than every
// limit, and stays so.
core::Millis to_millis(std::uint64_t value) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 62;
  return core::Millis{static_cast<std::int64_t>(value < kMost ? value : kMost)};
}

bool read_name(const flatbuffers::String* text, const ProtocolLimits& limits, const char* field,
               std::string_view& name, core::ReceiptOut& refusal) {
  if (!text || text->size() == 0) {
    return refuse(refusal, core::Code::kInvalidName, field, "the name is missing");
  }
  if (text->size() > limits.max_name_bytes) {
    return refuse(refusal, core::Code::kInvalidName, field,
                  "the name is longer than max_name_bytes");
  }
  name = {text->c_str(), text->size()};
  return true;
}

bool read_payload(const JobSpec& spec, const ProtocolLimits& limits, BlobSlices& slices,
                  core::Submission& job, core::ReceiptOut& refusal) {
  if (spec.payload_size() > limits.max_payload_bytes) {
    return refuse(refusal, core::Code::kTooLarge, "payload_size",
                  "the payload is larger than max_payload_bytes");
  }
  switch (slices.take(spec.payload_offset(), spec.payload_size(), job.payload)) {
    case BlobSlices::Verdict::kTaken:
      return true;
    case BlobSlices::Verdict::kOutside:
      return refuse(refusal, core::Code::kMalformedFrame, "payload_offset",
                    "the payload is not inside the blob");
    case BlobSlices::Verdict::kTooMuch:
      return refuse(refusal, core::Code::kTooLarge, "payload_size",
                    "the payloads of one message are together larger than max_message_bytes");
  }
  return false;
}

bool read_headers(const JobSpec& spec, core::JobOptions& options, core::ReceiptOut& refusal) {
  const auto* headers = spec.headers();
  if (!headers) return true;
  if (headers->size() > kMaxHeaders) {
    return refuse(refusal, core::Code::kInvalidArgument, "headers", "more than 32 headers");
  }
  std::size_t bytes = 0;
  options.headers.reserve(headers->size());
  for (const Header* header : *headers) {
    if (!header->key() || header->key()->size() == 0) {
      return refuse(refusal, core::Code::kInvalidArgument, "headers", "a header without a key");
    }
    const std::string_view key = header->key()->string_view();
    const std::string_view value = header->value() ? header->value()->string_view() : "";
    bytes += key.size() + value.size();
    if (bytes > kMaxHeaderBytes) {
      return refuse(refusal, core::Code::kInvalidArgument, "headers", "headers larger than 8 KiB");
    }
    if (!is_utf8(key) || !is_utf8(value)) {
      return refuse(refusal, core::Code::kInvalidArgument, "headers", "a header is not UTF-8");
    }
    options.headers.emplace_back(key, value);
  }
  return true;
}

bool read_options(const JobSpec& spec, core::Submission& job, core::ReceiptOut& refusal) {
  const bool has_key = spec.dedup_key() && spec.dedup_key()->size() != 0;
  const bool has_headers = spec.headers() && spec.headers()->size() != 0;
  if (!has_key && !has_headers && !spec.retry() && spec.contract() == 0 &&
      spec.result_ttl_ms() == 0 && spec.dedup_window_ms() == 0) {
    return true;
  }
  auto options = std::make_shared<core::JobOptions>();
  if (has_key) {
    if (spec.dedup_key()->size() > kMaxDedupKeyBytes) {
      return refuse(refusal, core::Code::kInvalidArgument, "dedup_key", "longer than 128 bytes");
    }
    options->dedup_key = spec.dedup_key()->string_view();
  }
  options->dedup_window = to_millis(spec.dedup_window_ms());
  options->contract = spec.contract();
  options->result_ttl = to_millis(spec.result_ttl_ms());
  if (!read_headers(spec, *options, refusal)) return false;
  if (spec.retry()) {
    options->has_retry = true;
    if (!read_retry(*spec.retry(), options->retry, refusal)) return false;
  }
  job.options = std::move(options);
  return true;
}

}  // namespace

bool read_retry(const RetryPolicy& policy, core::RetryPolicy& retry, core::ReceiptOut& refusal) {
  if (policy.backoff() > Backoff::MAX) {
    return refuse(refusal, core::Code::kInvalidArgument, "retry.backoff",
                  "the backoff is not known");
  }
  if (!std::isfinite(policy.factor()) || policy.factor() < 1.0F) {
    return refuse(refusal, core::Code::kInvalidArgument, "retry.factor",
                  "the factor is not a number from 1");
  }
  retry.attempts = policy.attempts();
  retry.timeouts = policy.timeouts();
  retry.crashes = policy.crashes();
  if (policy.backoff() != Backoff::Unspecified) {
    retry.backoff = static_cast<core::BackoffKind>(policy.backoff());
  }
  retry.base = core::Millis{policy.base_ms()};
  retry.cap = core::Millis{policy.cap_ms()};
  retry.factor = policy.factor();
  retry.jitter = !policy.no_jitter();
  if (const auto* listed = policy.listed_ms()) {
    if (listed->size() > kMaxListedDelays) {
      return refuse(refusal, core::Code::kInvalidArgument, "retry.listed_ms",
                    "more than 100 delays");
    }
    for (const std::uint32_t delay : *listed) retry.listed.emplace_back(delay);
  }
  if (retry.backoff == core::BackoffKind::kListed && retry.listed.empty()) {
    return refuse(refusal, core::Code::kInvalidArgument, "retry.listed_ms",
                  "a listed backoff without a list");
  }
  if (const auto* fatal = policy.fatal()) {
    for (const flatbuffers::String* name : *fatal) {
      if (name->size() == 0 || name->size() > kMaxFatalNameBytes) {
        return refuse(refusal, core::Code::kInvalidArgument, "retry.fatal",
                      "a name of 0 or more than 256 bytes");
      }
      retry.fatal.emplace_back(name->string_view());
    }
  }
  return true;
}

bool read_job_spec(const JobSpec& spec, const ProtocolLimits& limits, BlobSlices& slices,
                   core::Submission& job, core::ReceiptOut& refusal) {
  if (job.id.is_zero())
    return refuse(refusal, core::Code::kInvalidArgument, "id", "the id is missing");
  if (!read_name(spec.queue(), limits, "queue", job.queue, refusal)) return false;
  if (!read_name(spec.type(), limits, "type", job.type, refusal)) return false;
  if (spec.encoding() == Encoding::Unspecified || spec.encoding() > Encoding::MAX) {
    return refuse(refusal, core::Code::kInvalidArgument, "encoding", "the encoding is not known");
  }
  if (!read_payload(spec, limits, slices, job, refusal)) return false;
  job.encoding = static_cast<core::Encoding>(spec.encoding());
  job.priority = spec.priority();
  job.timeout_ms = spec.timeout_ms();
  job.delay_ms = spec.delay_ms();
  job.not_before_ms = spec.not_before_ms();
  job.expires_at_ms = spec.expires_at_ms();
  job.watch = spec.watch();
  job.keep_payload = spec.keep_payload();
  return read_options(spec, job, refusal);
}

}  // namespace jobwire::wire
