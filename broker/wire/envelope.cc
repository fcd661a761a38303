// SPDX-License-Identifier: Apache-2.0
#include "wire/envelope.h"

#include <algorithm>
#include <cstring>

#include "wire/limits.h"

namespace jobwire::wire {
namespace {

flatbuffers::Verifier::Options options(std::size_t bytes) {
  flatbuffers::Verifier::Options options;
  options.max_depth = kVerifierDepth;
  options.max_tables = static_cast<flatbuffers::uoffset_t>(max_tables(bytes));
  return options;
}

// Follows one offset of a table that has been begun with VerifyTableStart. False when it leads
// outside; `target` is null when the field is absent.
bool follow(const flatbuffers::Table& table, flatbuffers::Verifier& verifier,
            flatbuffers::voffset_t field, const std::uint8_t*& target) {
  target = nullptr;
  if (!table.VerifyOffset(verifier, field)) return false;
  target = table.GetPointer<const std::uint8_t*>(field);
  return true;
}

enum class Lists : std::uint8_t { kBounded, kBroken, kTooManyJobs, kTooManyNames };

// The verifier counts tables, but not the strings in a list of strings. A Submit in which thousands
// of retry policies share one long list of names would keep it busy for seconds, within the limit
// on tables: so the lists are measured first, and only such a message is walked twice. Nothing here
// is read that has not been checked.
Lists measure_submit(const std::uint8_t* buffer, std::size_t size, std::uint32_t max_jobs) {
  flatbuffers::Verifier verifier(buffer, size, options(size));
  const auto root_offset = verifier.VerifyOffset(0);
  if (root_offset == 0) return Lists::kBroken;
  const auto& root = *reinterpret_cast<const flatbuffers::Table*>(buffer + root_offset);
  if (!root.VerifyTableStart(verifier)) return Lists::kBroken;
  if (!root.VerifyField<std::uint8_t>(verifier, Message::VT_BODY_TYPE, 1)) return Lists::kBroken;
  if (static_cast<Body>(root.GetField<std::uint8_t>(Message::VT_BODY_TYPE, 0)) != Body::Submit) {
    return Lists::kBounded;
  }
  const std::uint8_t* body = nullptr;
  if (!follow(root, verifier, Message::VT_BODY, body)) return Lists::kBroken;
  if (!body) return Lists::kBounded;
  const auto& submit = *reinterpret_cast<const flatbuffers::Table*>(body);
  const std::uint8_t* jobs_start = nullptr;
  if (!submit.VerifyTableStart(verifier) ||
      !follow(submit, verifier, Submit::VT_JOBS, jobs_start)) {
    return Lists::kBroken;
  }
  if (!jobs_start) return Lists::kBounded;
  if (!verifier.VerifyVectorOrString(jobs_start, sizeof(flatbuffers::uoffset_t)))
    return Lists::kBroken;
  const auto count = flatbuffers::ReadScalar<flatbuffers::uoffset_t>(jobs_start);
  if (count > max_jobs) return Lists::kTooManyJobs;
  for (flatbuffers::uoffset_t i = 0; i < count; ++i) {
    const std::uint8_t* at = jobs_start + sizeof(flatbuffers::uoffset_t) * (std::size_t{i} + 1);
    const auto job_offset = verifier.VerifyOffset(static_cast<std::size_t>(at - buffer));
    if (job_offset == 0) return Lists::kBroken;
    const auto& job = *reinterpret_cast<const flatbuffers::Table*>(at + job_offset);
    const std::uint8_t* retry_start = nullptr;
    if (!job.VerifyTableStart(verifier) || !follow(job, verifier, JobSpec::VT_RETRY, retry_start)) {
      return Lists::kBroken;
    }
    verifier.EndTable();
    if (!retry_start) continue;
    const auto& retry = *reinterpret_cast<const flatbuffers::Table*>(retry_start);
    const std::uint8_t* fatal = nullptr;
    if (!retry.VerifyTableStart(verifier) ||
        !follow(retry, verifier, RetryPolicy::VT_FATAL, fatal)) {
      return Lists::kBroken;
    }
    verifier.EndTable();
    if (!fatal) continue;
    if (!verifier.VerifyVectorOrString(fatal, sizeof(flatbuffers::uoffset_t)))
      return Lists::kBroken;
    if (flatbuffers::ReadScalar<flatbuffers::uoffset_t>(fatal) > kMaxFatalNames) {
      return Lists::kTooManyNames;
    }
  }
  return Lists::kBounded;
}

}  // namespace

const std::uint8_t* copy_aligned(std::span<const std::uint8_t> bytes,
                                 std::vector<std::uint64_t>& memory) {
  const std::size_t words = bytes.size() / sizeof(std::uint64_t) + 1;
  if (memory.size() < words) memory.resize(std::max(words, 2 * memory.size()));
  if (!bytes.empty()) std::memcpy(memory.data(), bytes.data(), bytes.size());
  return reinterpret_cast<const std::uint8_t*>(memory.data());
}

Opened open_envelope(std::span<const std::uint8_t> bytes, std::uint32_t max_jobs,
                     std::vector<std::uint64_t>& memory) {
  if (bytes.size() > kMaxEnvelopeBytes) {
    return {nullptr, core::Code::kTooLarge, "the envelope is larger than 1 MiB"};
  }
  constexpr std::size_t kIdentifierAt = sizeof(flatbuffers::uoffset_t);
  if (bytes.size() < kLeastBufferBytes) {
    return {nullptr, core::Code::kMalformedFrame, "the first frame is too short for an envelope"};
  }
  const std::uint8_t* identifier = bytes.data() + kIdentifierAt;
  if (std::memcmp(identifier, MessageIdentifier(), flatbuffers::kFileIdentifierLength) != 0) {
    if (identifier[0] == 'J' && identifier[1] == 'W') {
      return {nullptr, core::Code::kUnsupportedVersion, "the file identifier is not JW01"};
    }
    return {nullptr, core::Code::kMalformedFrame, "the first frame is not a jobwire message"};
  }
  const std::uint8_t* buffer = copy_aligned(bytes, memory);
  switch (measure_submit(buffer, bytes.size(), max_jobs)) {
    case Lists::kBounded:
      break;
    case Lists::kBroken:
      return {nullptr, core::Code::kMalformedFrame, "the envelope does not verify"};
    case Lists::kTooManyJobs:
      return {nullptr, core::Code::kTooMany, "more jobs than max_jobs_per_message"};
    case Lists::kTooManyNames:
      return {nullptr, core::Code::kTooMany, "a retry policy with more than 64 fatal names"};
  }
  flatbuffers::Verifier verifier(buffer, bytes.size(), options(bytes.size()));
  if (!VerifyMessageBuffer(verifier)) {
    return {nullptr, core::Code::kMalformedFrame, "the envelope does not verify"};
  }
  return {GetMessage(buffer), core::Code::kNone, ""};
}

}  // namespace jobwire::wire
