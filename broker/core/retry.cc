// SPDX-License-Identifier: Apache-2.0
#include "core/retry.h"

#include <algorithm>
#include <cmath>

namespace jobwire::core {
namespace {

constexpr Millis kLongestDelay{366LL * 24 * 3'600'000};

bool names_class(std::string_view qualified, std::string_view name) {
  if (qualified == name) return true;
  const std::size_t dot = qualified.rfind('.');
  return dot != std::string_view::npos && qualified.substr(dot + 1) == name;
}

}  // namespace

Millis backoff(const RetryPolicy& policy, std::uint32_t failures, Random& random) {
  if (policy.backoff != BackoffKind::kListed && policy.base.count() <= 0) return Millis{0};
  double delay = static_cast<double>(policy.base.count());
  switch (policy.backoff) {
    case BackoffKind::kExponential:
      delay *= std::pow(static_cast<double>(policy.factor),
                        static_cast<double>(std::max(failures, 1U) - 1));
      break;
    case BackoffKind::kFixed:
      break;
    case BackoffKind::kListed:
      if (!policy.listed.empty()) {
        const std::size_t at =
            std::min<std::size_t>(std::max(failures, 1U) - 1, policy.listed.size() - 1);
        delay = static_cast<double>(policy.listed[at].count());
      }
      break;
  }
  delay = std::min(delay, static_cast<double>(policy.cap.count()));
  if (policy.jitter) delay *= random.fraction();
  return Millis(static_cast<Millis::rep>(delay));
}

Verdict judge(const RetryPolicy& policy, const FailureCounts& counts, Outcome outcome,
              std::string_view error_type, bool error_retryable, Millis asked, Random& random) {
  const auto again = [&](std::uint32_t used, std::uint32_t budget, DeadReason reason) {
    if (used >= budget) return Verdict{false, Millis{0}, reason};
    const Millis delay = outcome == Outcome::kRetryAsked
                             ? std::clamp(asked, Millis{0}, kLongestDelay)
                             : backoff(policy, used, random);
    return Verdict{true, delay, DeadReason::kNone};
  };
  if (outcome == Outcome::kRejected) return {false, Millis{0}, DeadReason::kRejected};
  if (outcome == Outcome::kTimedOut)
    return again(counts.timed_out, policy.timeouts, DeadReason::kTimedOut);
  if (outcome == Outcome::kCrashed)
    return again(counts.crashed, policy.crashes, DeadReason::kCrashed);
  const bool fatal = outcome == Outcome::kRaised &&
                     (!error_retryable ||
                      std::any_of(policy.fatal.begin(), policy.fatal.end(),
                                  [&](const auto& name) { return names_class(error_type, name); }));
  if (fatal) return {false, Millis{0}, DeadReason::kRaised};
  return again(counts.raised, policy.attempts, DeadReason::kRaised);
}

}  // namespace jobwire::core
