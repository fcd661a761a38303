// SPDX-License-Identifier: Apache-2.0
#include "job_check.h"

#include <chrono>
#include <cmath>
#include <string>
#include <string_view>

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxNameBytes = 128;
constexpr std::size_t kMaxDedupKeyBytes = 128;
constexpr std::size_t kMaxHeaders = 32;
constexpr std::size_t kMaxHeaderBytes = 8192;
constexpr std::size_t kMaxRests = 32;
constexpr std::size_t kMaxFatal = 32;
constexpr std::size_t kMaxFatalBytes = 256;
constexpr int kMaxTries = 100;
constexpr milliseconds kMaxTimeout = std::chrono::hours(24 * 7);
constexpr milliseconds kMaxRest = std::chrono::hours(24 * 31);
constexpr milliseconds kMaxSpan = std::chrono::hours(24 * 366);

Error invalid(std::string_view field, std::string_view what) {
  return {ErrorCode::InvalidArgument, std::string(field).append(": ").append(what)};
}

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxNameBytes || !is_letter_or_digit(name.front()))
    return false;
  for (const char c : name) {
    if (!is_letter_or_digit(c) && c != '_' && c != '.' && c != '/' && c != '-') return false;
  }
  return true;
}

constexpr std::string_view kNameRule = "not [A-Za-z0-9][A-Za-z0-9_./-]* of at most 128 bytes";

bool outside(const std::optional<milliseconds>& span, milliseconds least, milliseconds most) {
  return span && (*span < least || *span > most);
}

std::optional<Error> find_fault(const RetryPolicy& retry) {
  const auto bad_count = [](bool set, int count) {
    return set && (count < 1 || count > kMaxTries);
  };
  if (bad_count(retry.sets_attempts(), retry.attempts())) {
    return invalid("retry.attempts", "not 1 to 100");
  }
  if (bad_count(retry.sets_timeouts(), retry.timeouts())) {
    return invalid("retry.timeouts", "not 1 to 100");
  }
  if (bad_count(retry.sets_crashes(), retry.crashes())) {
    return invalid("retry.crashes", "not 1 to 100");
  }
  if (!std::isfinite(retry.factor()) || retry.factor() < 1.0F) {
    return invalid("retry.factor", "not a number from 1");
  }
  using Backoff = RetryPolicy::Backoff;
  if (retry.backoff() == Backoff::Exponential || retry.backoff() == Backoff::Fixed) {
    if (outside(retry.base(), milliseconds(1), kMaxRest)) {
      return invalid("retry.base", "not 1 ms to 31 days");
    }
    if (outside(retry.cap(), retry.base(), kMaxRest)) {
      return invalid("retry.cap", "not from the base to 31 days");
    }
  }
  if (retry.backoff() == Backoff::Listed && retry.rests().empty()) {
    return invalid("retry.rests", "an empty list");
  }
  if (retry.rests().size() > kMaxRests) return invalid("retry.rests", "more than 32");
  for (const milliseconds rest : retry.rests()) {
    if (outside(rest, milliseconds(0), kMaxRest)) {
      return invalid("retry.rests", "not 0 to 31 days");
    }
  }
  if (retry.fatal().size() > kMaxFatal) return invalid("retry.fatal", "more than 32");
  for (const std::string& exception : retry.fatal()) {
    if (exception.empty() || exception.size() > kMaxFatalBytes) {
      return invalid("retry.fatal", "not 1 to 256 bytes");
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<Error> find_fault(const Job& job, std::size_t max_payload_bytes) {
  if (!is_name(job.type())) return invalid("type", kNameRule);
  if (!is_name(job.queue())) return invalid("queue", kNameRule);
  if (job.id() && job.id()->is_nil()) return invalid("id", "the nil id names no job");
  if (job.payload().size() > max_payload_bytes) {
    return Error(ErrorCode::TooLarge, "payload: " + std::to_string(job.payload().size()) +
                                          " bytes, the broker takes at most " +
                                          std::to_string(max_payload_bytes));
  }
  if (job.priority() < 0 || job.priority() > 9) return invalid("priority", "not 0 to 9");
  if (outside(job.timeout(), milliseconds(1), kMaxTimeout)) {
    return invalid("timeout", "not 1 ms to 7 days");
  }
  if (outside(job.delay(), milliseconds(0), kMaxSpan)) return invalid("delay", "not 0 to 366 days");
  if (outside(job.result_ttl(), milliseconds(1), kMaxSpan)) {
    return invalid("result_ttl", "not 1 ms to 366 days");
  }
  if (job.not_before() && job.not_before()->time_since_epoch() < milliseconds(1)) {
    return invalid("not_before", "before 1970");
  }
  if (job.expires_at() && job.expires_at()->time_since_epoch() < milliseconds(1)) {
    return invalid("expires_at", "before 1970");
  }
  if (!job.dedup_key().empty()) {
    if (job.dedup_key().size() > kMaxDedupKeyBytes) return invalid("dedup_key", "over 128 bytes");
    if (outside(job.dedup_window(), milliseconds(1), kMaxSpan)) {
      return invalid("dedup_window", "not 1 ms to 366 days");
    }
  }
  if (job.headers().size() > kMaxHeaders) return invalid("headers", "more than 32");
  std::size_t header_bytes = 0;
  for (const auto& [key, value] : job.headers()) {
    if (key.empty()) return invalid("headers", "a header without a key");
    header_bytes += key.size() + value.size();
  }
  if (header_bytes > kMaxHeaderBytes) return invalid("headers", "over 8 KiB together");
  if (job.retry()) return find_fault(*job.retry());
  return std::nullopt;
}

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
