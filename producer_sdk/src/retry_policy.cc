// SPDX-License-Identifier: Apache-2.0
#include "jobwire/retry_policy.h"

#include <utility>

JOBWIRE_NAMESPACE_BEGIN

RetryPolicy RetryPolicy::exponential(Milliseconds base, Milliseconds cap, float factor) {
  RetryPolicy policy;
  policy.backoff_ = Backoff::Exponential;
  policy.base_ = base;
  policy.cap_ = cap;
  policy.factor_ = factor;
  return policy;
}

RetryPolicy RetryPolicy::fixed(Milliseconds rest) {
  RetryPolicy policy;
  policy.backoff_ = Backoff::Fixed;
  policy.base_ = rest;
  policy.cap_ = rest;
  return policy;
}

RetryPolicy RetryPolicy::listed(std::vector<Milliseconds> rests) {
  RetryPolicy policy;
  policy.backoff_ = Backoff::Listed;
  policy.rests_ = std::move(rests);
  return policy;
}

RetryPolicy& RetryPolicy::attempts(std::uint16_t count) {
  attempts_ = count;
  sets_attempts_ = true;
  return *this;
}

RetryPolicy& RetryPolicy::timeouts(std::uint16_t count) {
  timeouts_ = count;
  sets_timeouts_ = true;
  return *this;
}

RetryPolicy& RetryPolicy::crashes(std::uint16_t count) {
  crashes_ = count;
  sets_crashes_ = true;
  return *this;
}

RetryPolicy& RetryPolicy::no_jitter() {
  jitter_ = false;
  return *this;
}

RetryPolicy& RetryPolicy::fatal(std::string_view exception) {
  fatal_.emplace_back(exception);
  return *this;
}

JOBWIRE_NAMESPACE_END
