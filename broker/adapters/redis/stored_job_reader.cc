// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/stored_job_reader.h"

#include <algorithm>
#include <charconv>
#include <utility>

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

/// A field that is left out at its usual value.
void complete(core::JobRecord& job) {
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

struct AttemptName {
  std::uint32_t generation = 0;
  std::uint32_t number = 0;  // 0: it is none
};

/// `attempt:3`, or `attempt:2.3` after two replays.
AttemptName attempt_named(std::string_view name) {
  constexpr std::string_view kPrefix = "attempt:";
  AttemptName attempt;
  if (!name.starts_with(kPrefix)) return attempt;
  name.remove_prefix(kPrefix.size());
  const char* end = name.data() + name.size();
  const auto at = std::from_chars(name.data(), end, attempt.number);
  if (at.ec != std::errc{}) return {};
  if (at.ptr == end) return attempt;
  attempt.generation = attempt.number;
  attempt.number = 0;
  std::from_chars(at.ptr + 1, end, attempt.number);
  return attempt;
}

ReadOutcome read_everything(const Reply& reply, bool whole_attempts, ports::StoredJob& job) {
  if (reply.size() == 1) return ReadOutcome::kMissing;
  bool readable = true;
  AttemptName last;
  std::size_t last_at = 0;
  for (std::size_t i = 1; i + 1 < reply.size(); i += 2) {
    const std::string_view name = reply.text(i);
    if (const auto field = field_named(name)) {
      readable = readable && read_field(*field, reply.text(i + 1), job);
      continue;
    }
    const AttemptName attempt = attempt_named(name);
    if (attempt.number == 0) continue;
    if (std::pair(attempt.generation, attempt.number) > std::pair(last.generation, last.number)) {
      last = attempt;
      last_at = i + 1;
    }
    core::Attempt read;
    if (!whole_attempts || !read_attempt(reply.text(i + 1), read)) continue;
    read.generation = attempt.generation;
    read.number = static_cast<std::uint16_t>(attempt.number);
    job.attempts.push_back(std::move(read));
  }
  std::sort(job.attempts.begin(), job.attempts.end(), [](const auto& a, const auto& b) {
    return std::pair(a.generation, a.number) < std::pair(b.generation, b.number);
  });
  // A job that succeeded after it had failed keeps its attempts, yet has no error.
  const bool failed = !job.error_type.empty() || !job.error_message.empty();
  if (failed && last_at != 0) job.error = error_of_attempt(reply.text(last_at));
  complete(job.job);
  return finish(readable && whole(job), job);
}

/// The first `count` fields, as HMGET gives them.
ReadOutcome read_first(const Reply& reply, std::size_t count, ports::StoredJob& job) {
  if (!reply.is_array() || reply.size() != count + 1) return ReadOutcome::kUnreadable;
  bool readable = true;
  bool any = false;
  for (std::size_t i = 0; i < count; ++i) {
    if (reply.is_nil(i + 1)) continue;
    any = true;
    readable = readable && read_field(static_cast<Field>(i), reply.text(i + 1), job);
  }
  if (!any) return ReadOutcome::kMissing;
  complete(job.job);
  return finish(readable && whole(job), job);
}

void ask_first(const Keys& keys, const core::JobId& id, std::size_t count, CommandBuffer& out) {
  out.next("HMGET", count + 2);
  out.id(keys.job, id);
  for (std::size_t i = 0; i < count; ++i) out.literal(kFieldNames[i]);
}

}  // namespace

void ask_recovered(const Keys& keys, const core::JobId& id, CommandBuffer& out) {
  ask_first(keys, id, kRecoveredFields, out);
}

ReadOutcome read_recovered(const Reply& reply, ports::StoredJob& job) {
  return read_first(reply, kRecoveredFields, job);
}

void ask_job(const Keys& keys, const core::JobId& id, ports::ReadRequest::What what,
             CommandBuffer& out) {
  using What = ports::ReadRequest::What;
  switch (what) {
    case What::kHead:
      return ask_first(keys, id, kHeadFields, out);
    case What::kEverything:
    case What::kWhole:
      out.next("HGETALL", 2);
      out.id(keys.job, id);
      return;
    case What::kPayload:
      out.next("HMGET", kPayloadFields.size() + 2);
      out.id(keys.job, id);
      for (const Field field : kPayloadFields) out.literal(bulk_of(field));
      return;
  }
}

ReadOutcome read_job(const Reply& reply, ports::ReadRequest::What what, ports::StoredJob& job) {
  using What = ports::ReadRequest::What;
  if (!reply.is_array()) return ReadOutcome::kUnreadable;
  if (what == What::kHead) return read_first(reply, kHeadFields, job);
  if (what != What::kPayload) return read_everything(reply, what == What::kWhole, job);
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
