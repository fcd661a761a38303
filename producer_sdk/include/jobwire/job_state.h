// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "jobwire/export.h"

JOBWIRE_NAMESPACE_BEGIN

/// A job's place in its life. Succeeded, Dead, Expired and Cancelled are final, and each job
/// reaches exactly one of them; an operator's replay gives a dead job a new life under the same id.
enum class JobState {
  Unspecified,  ///< The broker did not say.
  Scheduled,    ///< Waits for its time: a delay, or the pause before a retry.
  Queued,       ///< Waits for a worker.
  Running,      ///< A worker has it.
  Succeeded,    ///< Done; the result is kept for result_ttl.
  Dead,         ///< Out of attempts, or rejected; kept for a person to look at and replay.
  Expired,      ///< Its expires_at passed before a worker could start it.
  Cancelled,    ///< Ended by cancel().
};

/// Why a job is dead.
enum class DeadReason {
  Unspecified,  ///< It is not dead.
  Raised,       ///< Its last attempt raised an exception.
  TimedOut,     ///< Its last attempt ran over its timeout.
  Crashed,      ///< It took its worker down too often.
  Rejected,     ///< The handler said that it can never succeed.
};

/// True for the states that a job does not leave by itself.
[[nodiscard]] constexpr bool is_final(JobState state) noexcept {
  return state >= JobState::Succeeded;
}

/// The enumerator's name. Static storage.
JOBWIRE_EXPORT std::string_view to_string(JobState state) noexcept;
JOBWIRE_EXPORT std::string_view to_string(DeadReason reason) noexcept;

JOBWIRE_NAMESPACE_END
