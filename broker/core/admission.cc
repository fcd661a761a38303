// SPDX-License-Identifier: Apache-2.0
#include "core/admission.h"

#include <algorithm>

namespace jobwire::core {
namespace {

constexpr std::size_t kMaxNameBytes = 128;
constexpr std::size_t kMaxHeaders = 32;
constexpr std::size_t kMaxHeaderBytes = 8 * 1024;
constexpr std::size_t kMaxListedDelays = 100;
constexpr std::size_t kMaxFatalNames = 32;
constexpr std::uint16_t kMaxBudget = 100;
constexpr std::int64_t kDay = 24LL * 3'600'000;
constexpr std::uint64_t kMaxTimeout = 7 * kDay;
constexpr std::int64_t kMaxSpan = 366 * kDay;

constexpr bool is_alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

Objection invalid(const char* field, const char* message) {
  return {Code::kInvalidArgument, field, message};
}

}  // namespace

std::optional<Objection> examine(const RetryPolicy& retry) {
  if (retry.attempts > kMaxBudget) return invalid("retry.attempts", "at most 100");
  if (retry.timeouts > kMaxBudget) return invalid("retry.timeouts", "at most 100");
  if (retry.crashes > kMaxBudget) return invalid("retry.crashes", "at most 100");
  if (retry.base.count() < 0 || retry.base.count() > kMaxSpan)
    return invalid("retry.base_ms", "0 to 366 days");
  if (retry.cap.count() < 0 || retry.cap.count() > kMaxSpan)
    return invalid("retry.cap_ms", "0 to 366 days");
  if (!(retry.factor >= 1.0F && retry.factor <= 100.0F)) return invalid("retry.factor", "1 to 100");
  if (retry.listed.size() > kMaxListedDelays)
    return invalid("retry.listed_ms", "at most 100 delays");
  for (const Millis delay : retry.listed) {
    if (delay.count() < 0 || delay.count() > kMaxSpan)
      return invalid("retry.listed_ms", "0 to 366 days each");
  }
  if (retry.backoff == BackoffKind::kListed && retry.listed.empty()) {
    return invalid("retry.listed_ms", "a listed backoff needs its delays");
  }
  if (retry.fatal.size() > kMaxFatalNames) return invalid("retry.fatal", "at most 32 names");
  for (const std::string& name : retry.fatal) {
    if (name.empty() || name.size() > kMaxNameBytes)
      return invalid("retry.fatal", "1 to 128 bytes a name");
  }
  return std::nullopt;
}

std::optional<Objection> examine(const TypeOffer& offer) {
  if (offer.timeout_ms > kMaxTimeout) return invalid("timeout_ms", "1 ms to 7 days");
  return offer.retry ? examine(*offer.retry) : std::nullopt;
}

namespace {

std::optional<Objection> examine_options(const JobOptions& options) {
  if (options.headers.size() > kMaxHeaders) return invalid("headers", "at most 32");
  std::size_t bytes = 0;
  for (const auto& [key, value] : options.headers) {
    if (key.empty() || key.size() > kMaxNameBytes)
      return invalid("headers", "keys have 1 to 128 bytes");
    bytes += key.size() + value.size();
  }
  if (bytes > kMaxHeaderBytes) return invalid("headers", "at most 8 KiB together");
  if (options.dedup_key.size() > kMaxNameBytes) return invalid("dedup_key", "at most 128 bytes");
  if (options.dedup_window.count() < 0 || options.dedup_window.count() > kMaxSpan) {
    return invalid("dedup_window_ms", "at most 366 days");
  }
  if (!options.dedup_key.empty() && options.dedup_window.count() == 0) {
    return invalid("dedup_window_ms", "a dedup_key needs a window of at least 1 ms");
  }
  if (options.result_ttl.count() < 0 || options.result_ttl.count() > kMaxSpan) {
    return invalid("result_ttl_ms", "at most 366 days");
  }
  return options.has_retry ? examine(options.retry) : std::nullopt;
}

}  // namespace

bool is_name(std::string_view text) {
  if (text.empty() || text.size() > kMaxNameBytes || !is_alnum(text[0])) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return is_alnum(c) || c == '_' || c == '.' || c == '/' || c == '-';
  });
}

std::optional<Objection> examine(const Submission& job, Wall now) {
  if (job.id.is_zero()) return invalid("id", "sixteen zero bytes are no id");
  if (!is_name(job.queue)) {
    return Objection{Code::kInvalidName, "queue",
                     "a name is [A-Za-z0-9][A-Za-z0-9_./-]*, at most 128 bytes"};
  }
  if (!is_name(job.type)) {
    return Objection{Code::kInvalidName, "type",
                     "a name is [A-Za-z0-9][A-Za-z0-9_./-]*, at most 128 bytes"};
  }
  if (job.encoding == Encoding::kNone) return invalid("encoding", "must be given");
  if (job.priority > 9) return invalid("priority", "0 to 9");
  if (job.timeout_ms > kMaxTimeout) return invalid("timeout_ms", "1 ms to 7 days");
  if (job.delay_ms > static_cast<std::uint64_t>(kMaxSpan))
    return invalid("delay_ms", "at most 366 days");
  const std::int64_t today = now.time_since_epoch().count();
  if (job.not_before_ms < 0 || job.not_before_ms > today + kMaxSpan) {
    return invalid("not_before_ms", "at most 366 days ahead");
  }
  if (job.expires_at_ms < 0 || job.expires_at_ms > today + kMaxSpan) {
    return invalid("expires_at_ms", "at most 366 days ahead");
  }
  if (job.expires_at_ms != 0 && job.expires_at_ms <= today)
    return invalid("expires_at_ms", "has passed");
  return job.options ? examine_options(*job.options) : std::nullopt;
}

RetryPolicy with_defaults(const RetryPolicy& asked, const RetryPolicy& defaults) {
  RetryPolicy policy = asked;
  if (policy.attempts == 0) policy.attempts = defaults.attempts;
  if (policy.timeouts == 0)
    policy.timeouts = asked.attempts != 0 ? asked.attempts : defaults.timeouts;
  if (policy.crashes == 0) policy.crashes = defaults.crashes;
  if (policy.base.count() == 0) policy.base = defaults.base;
  if (policy.cap.count() == 0) policy.cap = defaults.cap;
  return policy;
}

}  // namespace jobwire::core
