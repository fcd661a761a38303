// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "core/random.h"
#include "core/record.h"

namespace jobwire::core {

/// Failed attempts so far, the one just ended included.
struct FailureCounts {
  std::uint32_t raised = 0;
  std::uint32_t timed_out = 0;
  std::uint32_t crashed = 0;
};

/// What becomes of a job whose attempt has failed.
struct Verdict {
  bool retry = false;
  Millis delay{0};                        // when retry
  DeadReason reason = DeadReason::kNone;  // when not
};

/// Judges a failed attempt. Each budget is counted apart: the job is dead when the counter of this
/// outcome has reached its budget, when the handler rejected it, or when the error's class is named
/// in `fatal` (bare or qualified). `asked` is the delay that the handler asked for (RetryAsked); it
/// replaces the backoff, between 0 and 366 days. Requires: outcome is kRaised, kRejected,
/// kRetryAsked, kTimedOut or kCrashed.
Verdict judge(const RetryPolicy& policy, const FailureCounts& counts, Outcome outcome,
              std::string_view error_type, bool error_retryable, Millis asked, Random& random);

/// Delay before attempt `failures` + 1, failures >= 1: base * factor^(failures-1), at most cap;
/// with full jitter uniform between 0 and that (Brooker, "Exponential Backoff And Jitter", AWS
/// Architecture Blog, 2015).
Millis backoff(const RetryPolicy& policy, std::uint32_t failures, Random& random);

}  // namespace jobwire::core
