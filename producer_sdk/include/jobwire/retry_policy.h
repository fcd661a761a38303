// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "jobwire/export.h"

JOBWIRE_NAMESPACE_BEGIN

/// How often a job is tried, and how long it rests in between. What is not set is the broker's
/// default: 4 attempts, 3 crashes, exponential from 1 s by 2 up to 10 min, with full jitter.
///
///     RetryPolicy::exponential(200ms, 30s).attempts(6).fatal("ValueError")
class JOBWIRE_EXPORT RetryPolicy {
 public:
  using Milliseconds = std::chrono::milliseconds;
  enum class Backoff { Default, Exponential, Fixed, Listed };

  /// The broker's backoff.
  RetryPolicy() = default;
  /// `base`, `base * factor`, ... up to `cap`.
  [[nodiscard]] static RetryPolicy exponential(Milliseconds base, Milliseconds cap,
                                               float factor = 2.0F);
  /// The same rest each time.
  [[nodiscard]] static RetryPolicy fixed(Milliseconds rest);
  /// One rest per retry; the last one repeats. At most 32.
  [[nodiscard]] static RetryPolicy listed(std::vector<Milliseconds> rests);
  /// No second attempt after an error or a timeout.
  [[nodiscard]] static RetryPolicy never() { return RetryPolicy().attempts(1); }

  /// Attempts that may raise, the first included: 1 to 100.
  RetryPolicy& attempts(std::uint16_t count);
  /// Attempts that may run over their timeout: 1 to 100.
  RetryPolicy& timeouts(std::uint16_t count);
  /// Attempts that may take their worker down: 1 to 100.
  RetryPolicy& crashes(std::uint16_t count);
  /// The exact rests instead of a random part of each.
  RetryPolicy& no_jitter();
  /// An exception class that ends the job at once, by its bare or qualified Python name. At
  /// most 32.
  RetryPolicy& fatal(std::string_view exception);

  /// What was set; 0 and Default stand for "not set".
  [[nodiscard]] std::uint16_t attempts() const noexcept { return attempts_; }
  [[nodiscard]] std::uint16_t timeouts() const noexcept { return timeouts_; }
  [[nodiscard]] std::uint16_t crashes() const noexcept { return crashes_; }
  [[nodiscard]] Backoff backoff() const noexcept { return backoff_; }
  [[nodiscard]] Milliseconds base() const noexcept { return base_; }
  [[nodiscard]] Milliseconds cap() const noexcept { return cap_; }
  [[nodiscard]] float factor() const noexcept { return factor_; }
  [[nodiscard]] bool has_jitter() const noexcept { return jitter_; }
  [[nodiscard]] const std::vector<Milliseconds>& rests() const noexcept { return rests_; }
  [[nodiscard]] const std::vector<std::string>& fatal() const noexcept { return fatal_; }
  /// Whether the count was set, so that 0 can be told from "not set".
  [[nodiscard]] bool sets_attempts() const noexcept { return sets_attempts_; }
  [[nodiscard]] bool sets_timeouts() const noexcept { return sets_timeouts_; }
  [[nodiscard]] bool sets_crashes() const noexcept { return sets_crashes_; }

 private:
  std::uint16_t attempts_ = 0;
  std::uint16_t timeouts_ = 0;
  std::uint16_t crashes_ = 0;
  bool sets_attempts_ = false;
  bool sets_timeouts_ = false;
  bool sets_crashes_ = false;
  bool jitter_ = true;
  Backoff backoff_ = Backoff::Default;
  float factor_ = 2.0F;
  Milliseconds base_{0};
  Milliseconds cap_{0};
  std::vector<Milliseconds> rests_;
  std::vector<std::string> fatal_;
};

JOBWIRE_NAMESPACE_END
