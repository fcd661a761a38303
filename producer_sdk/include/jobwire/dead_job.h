// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "jobwire/export.h"
#include "jobwire/job.h"
#include "jobwire/job_error.h"
#include "jobwire/job_id.h"
#include "jobwire/job_state.h"

JOBWIRE_NAMESPACE_BEGIN

/// How one attempt ended.
enum class AttemptOutcome {
  Unspecified,
  Succeeded,
  Raised,
  Rejected,
  RetryAsked,
  TimedOut,
  Crashed,
  Cancelled,
  HandedBack,
  Lost,
};

/// The enumerator's name. Static storage.
JOBWIRE_EXPORT std::string_view to_string(AttemptOutcome outcome) noexcept;

/// One failed attempt of a dead job.
struct DeadAttempt {
  using Time = std::chrono::system_clock::time_point;

  std::uint32_t number = 0;      ///< Counted from 1 in each generation.
  std::uint32_t generation = 0;  ///< Replays before it.
  std::string worker;
  std::string host;
  Time started{};
  Time ended{};
  AttemptOutcome outcome = AttemptOutcome::Unspecified;
  std::chrono::microseconds run_time{0};
  std::shared_ptr<const JobError> error;  ///< Null when there is none.
};

/// A job that is out of attempts, or was rejected, and waits for somebody to look at it.
struct DeadJob {
  using Time = std::chrono::system_clock::time_point;

  JobId id;
  std::string queue;
  std::string origin_queue;  ///< Where it was submitted, when a replay has moved it since.
  std::string type;
  DeadReason reason = DeadReason::Unspecified;
  std::string error_type;  ///< Of the last attempt.
  std::string error_message;
  Time created{};
  Time died{};
  std::uint32_t attempts = 0;
  std::uint32_t raised = 0;
  std::uint32_t timed_out = 0;
  std::uint32_t crashed = 0;
  std::uint32_t generation = 0;  ///< Replays so far.
  std::size_t payload_bytes = 0;
  /// With DeadDetail::Full: the job as it would be submitted, payload and options included; without
  /// a payload otherwise.
  Job job{std::string_view()};
  /// With DeadDetail::Full: the failed attempts, oldest first.
  std::vector<DeadAttempt> attempt_list;
};

/// How much of each dead job is read.
enum class DeadDetail { Summary, Full };

/// Dead jobs, and where the next page begins: empty on the last one. A page that is not the last
/// may have few jobs, or none.
struct DeadPage {
  std::vector<DeadJob> jobs;
  std::string next;
};

JOBWIRE_NAMESPACE_END
