// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/stored_job_reader.h"

#include <charconv>

#include "adapters/redis/attempt_buffer.h"
#include "adapters/redis/job_fields.h"

namespace jobwire::redis {
namespace {

constexpr std::array kPayloadFields = {Field::kState, Field::kEncoding, Field::kSize,
                                       Field::kPayload};

/// A job without these is not one.
bool whole(const ports::StoredJob& job) {
  return job.job.state != core::State::kNone && !job.queue.empty() && !job.type.empty();
}

/// Fields that are left out at their usual value.
void complete(core::JobRecord& job) {
  if (job.timeout == core::Millis{0}) job.timeout = kUsualTimeout;
  if (job.result && job.result_encoding == core::Encoding::kNone)
    job.result_encoding = job.encoding;
}

ReadOutcome finish(bool readable, ports::StoredJob& job) {
  job.job.id = job.id;
  job.found = readable;
  if (job.job.payload.size() == 0 && job.job.payload_size > 0) job.job.payload = {};  // dropped
  job.rebind();
  return readable ? ReadOutcome::kFound : ReadOutcome::kUnreadable;
}

/// `attempt:3`, or `attempt:2.3` after two replays; 0 when it is neither.
std::uint64_t attempt_order(std::string_view name) {
  constexpr std::string_view kPrefix = "attempt:";
  if (!name.starts_with(kPrefix)) return 0;
  name.remove_prefix(kPrefix.size());
  const char* end = name.data() + name.size();
  std::uint32_t first = 0;
  std::uint32_t second = 0;
  const auto at = std::from_chars(name.data(), end, first);
  if (at.ec != std::errc{}) return 0;
  if (at.ptr == end) return first;
  std::from_chars(at.ptr + 1, end, second);
  return (std::uint64_t{first} << 32) + second;
}

ReadOutcome read_everything(const Reply& reply, ports::StoredJob& job) {
  if (reply.size() == 1) return ReadOutcome::kMissing;
  bool readable = true;
  std::uint64_t last_attempt = 0;
  std::size_t last_attempt_at = 0;
  for (std::size_t i = 1; i + 1 < reply.size(); i += 2) {
    const std::string_view name = reply.text(i);
    if (const auto field = field_named(name)) {
      readable = readable && read_field(*field, reply.text(i + 1), job);
    } else if (const std::uint64_t order = attempt_order(name); order > last_attempt) {
      last_attempt = order;
      last_attempt_at = i + 1;
    }
  }
  // A job that succeeded after it had failed keeps its attempts, yet has no error.
  const bool failed = !job.error_type.empty() || !job.error_message.empty();
  if (failed && last_attempt_at != 0) job.error = error_of_attempt(reply.text(last_attempt_at));
  complete(job.job);
  return finish(readable && whole(job), job);
}

}  // namespace

void ask_recovered(const Keys& keys, const core::JobId& id, CommandBuffer& out) {
  out.next("HMGET", kRecoveredFields + 2);
  out.id(keys.job, id);
  for (std::size_t i = 0; i < kRecoveredFields; ++i) out.literal(kFieldNames[i]);
}

ReadOutcome read_recovered(const Reply& reply, ports::StoredJob& job) {
  if (!reply.is_array() || reply.size() != kRecoveredFields + 1) return ReadOutcome::kUnreadable;
  bool readable = true;
  bool any = false;
  for (std::size_t i = 0; i < kRecoveredFields; ++i) {
    if (reply.is_nil(i + 1)) continue;
    any = true;
    readable = readable && read_field(static_cast<Field>(i), reply.text(i + 1), job);
  }
  if (!any) return ReadOutcome::kMissing;
  complete(job.job);
  return finish(readable && whole(job), job);
}

void ask_job(const Keys& keys, const core::JobId& id, ports::ReadRequest::What what,
             CommandBuffer& out) {
  if (what == ports::ReadRequest::What::kEverything) {
    out.next("HGETALL", 2);
    out.id(keys.job, id);
    return;
  }
  out.next("HMGET", kPayloadFields.size() + 2);
  out.id(keys.job, id);
  for (const Field field : kPayloadFields) out.literal(bulk_of(field));
}

ReadOutcome read_job(const Reply& reply, ports::ReadRequest::What what, ports::StoredJob& job) {
  if (!reply.is_array()) return ReadOutcome::kUnreadable;
  if (what == ports::ReadRequest::What::kEverything) return read_everything(reply, job);
  if (reply.size() != kPayloadFields.size() + 1) return ReadOutcome::kUnreadable;
  if (reply.is_nil(1)) return ReadOutcome::kMissing;
  bool readable = true;
  for (std::size_t i = 0; i < kPayloadFields.size(); ++i) {
    if (!reply.is_nil(i + 1))
      readable = readable && read_field(kPayloadFields[i], reply.text(i + 1), job);
  }
  return finish(readable, job);
}

}  // namespace jobwire::redis
