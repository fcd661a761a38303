// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "jobwire/dead_job.h"
#include "jobwire/job_error.h"
#include "jobwire/job_id.h"
#include "jobwire/job_result.h"
#include "jobwire/receipt.h"
#include "jobwire/result.h"
#include "jobwire/wire/message_generated.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

// Between the generated types and the public ones. This header and what includes it stay inside the
// library: users never see generated code.

inline JobId from_wire(const wire::Id& id) {
  JobId::Bytes bytes;
  std::memcpy(bytes.data(), &id, bytes.size());
  return JobId(bytes);
}

inline wire::Id to_wire(const JobId& id) {
  return wire::Id(flatbuffers::span<const std::uint8_t, 16>(id.bytes().data(), 16));
}

/// A clock cannot show more than 292 years of nanoseconds; a broker's nonsense does not overflow
/// it.
std::chrono::system_clock::time_point to_time(std::int64_t unix_ms);
std::chrono::microseconds to_run_time(std::uint64_t us);

/// Unspecified for a number that this version does not know.
JobState from_wire(wire::State state);
DeadReason from_wire(wire::DeadReason reason);
Durability from_wire(wire::Durability durability);
AttemptOutcome from_wire(wire::Outcome outcome);
Encoding from_wire(wire::Encoding encoding);
wire::Encoding to_wire(Encoding encoding);

/// The error for a refusal. `message` may be empty; a text for the code then takes its place.
Error refusal(wire::Code code, std::string message, std::uint32_t retry_after_ms);

/// True when the same job may be taken a little later, without anybody doing anything.
bool passes(wire::Code code);

/// Reads a JobError buffer; bytes that are none become an error that says so.
JobError read_job_error(std::span<const std::byte> bytes);

/// A result, or the error that it means (UnknownJob, GoneJob). Nothing when the view is not of this
/// blob.
std::optional<Result<JobResult>> read_result(const wire::ResultView& view,
                                             std::span<const std::byte> blob);

struct JobResultAccess {
  static JobStatus& status(JobResult& result) { return result.status_; }
  static void set_bytes(JobResult& result, std::span<const std::byte> bytes, Encoding encoding);
  static void set_error(JobResult& result, JobError error);
};

/// How many tables an envelope of `bytes` may have (PROTOCOL.md, Framing). The verifier's own limit
/// would let a small hostile buffer cost milliseconds.
flatbuffers::Verifier bounded_verifier(const std::uint8_t* buffer, std::size_t bytes);

constexpr std::size_t kMaxEnvelopeBytes = 1U << 20;

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
