// SPDX-License-Identifier: Apache-2.0
#include "read_job.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "byte_block.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {
namespace {

using std::chrono::milliseconds;

milliseconds to_span(std::uint64_t ms) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 62U;
  return milliseconds(static_cast<std::int64_t>(std::min(ms, kMost)));
}

RetryPolicy read_retry(const wire::RetryPolicy& wire) {
  RetryPolicy retry;
  switch (wire.backoff()) {
    case wire::Backoff::Exponential:
      retry = RetryPolicy::exponential(milliseconds(wire.base_ms()), milliseconds(wire.cap_ms()),
                                       wire.factor());
      break;
    case wire::Backoff::Fixed:
      retry = RetryPolicy::fixed(milliseconds(wire.base_ms()));
      break;
    case wire::Backoff::Listed: {
      std::vector<milliseconds> rests;
      if (wire.listed_ms()) {
        for (const std::uint32_t rest : *wire.listed_ms()) rests.emplace_back(rest);
      }
      retry = RetryPolicy::listed(std::move(rests));
      break;
    }
    case wire::Backoff::Unspecified:
      break;
  }
  if (wire.attempts() > 0) retry.attempts(wire.attempts());
  if (wire.timeouts() > 0) retry.timeouts(wire.timeouts());
  if (wire.crashes() > 0) retry.crashes(wire.crashes());
  if (wire.no_jitter()) retry.no_jitter();
  if (wire.fatal()) {
    for (const flatbuffers::String* name : *wire.fatal()) retry.fatal(name->str());
  }
  return retry;
}

}  // namespace

std::optional<Job> read_job(const wire::JobSpec& spec, std::span<const std::byte> blob) {
  const std::size_t offset = spec.payload_offset();
  const std::size_t size = spec.payload_size();
  if (size > 0 && (offset > blob.size() || size > blob.size() - offset)) return std::nullopt;
  Job job(spec.type() ? spec.type()->string_view() : std::string_view());
  job.payload(copy_bytes(size > 0 ? blob.subspan(offset, size) : blob.first(0)), size,
              from_wire(spec.encoding()));
  if (spec.queue()) job.queue(spec.queue()->string_view());
  if (spec.id()) job.id(from_wire(*spec.id()));
  job.priority(spec.priority());
  if (spec.timeout_ms() > 0) job.timeout(milliseconds(spec.timeout_ms()));
  if (spec.delay_ms() > 0) job.delay(to_span(spec.delay_ms()));
  if (spec.not_before_ms() > 0) job.not_before(to_time(spec.not_before_ms()));
  if (spec.expires_at_ms() > 0) job.expires_at(to_time(spec.expires_at_ms()));
  if (spec.result_ttl_ms() > 0) job.result_ttl(to_span(spec.result_ttl_ms()));
  if (spec.retry()) job.retry(read_retry(*spec.retry()));
  if (spec.dedup_key()) {
    job.dedup_key(spec.dedup_key()->string_view(), to_span(spec.dedup_window_ms()));
  }
  if (spec.headers()) {
    for (const wire::Header* header : *spec.headers()) {
      if (header->key() && header->value()) {
        job.header(header->key()->string_view(), header->value()->string_view());
      }
    }
  }
  job.watch(spec.watch());
  job.keep_payload(spec.keep_payload());
  job.contract(spec.contract());
  return job;
}

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
