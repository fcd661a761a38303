// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/transaction_reply.h"

#include <charconv>

namespace jobwire::redis {

std::optional<std::uint64_t> number_in(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> number_in(const Reply& reply, std::size_t at) {
  if (reply.kind(at) != Reply::Kind::kString) return std::nullopt;
  return number_in(reply.text(at));
}

void TransactionReply::expect(std::size_t commands) {
  step_ = 0;
  exec_step_ = commands + 1;
  last_step_ = commands + 4;
  outcome_ = Outcome::kRefused;
  error_.clear();
  epoch_.reset();
  last_.reset();
}

bool TransactionReply::take(const Reply& reply) {
  const std::size_t step = step_++;
  if (step < exec_step_) {
    // The first error is the cause; EXEC only says that there was one.
    if (reply.is_error() && error_.empty()) error_ = reply.text();
  } else if (step == exec_step_) {
    take_exec(reply);
  } else if (step == exec_step_ + 2) {
    epoch_ = number_in(reply);
    if (reply.is_error() && error_.empty()) error_ = reply.text();
  }
  return step_ == last_step_;
}

void TransactionReply::take_exec(const Reply& reply) {
  if (reply.is_nil()) {
    outcome_ = Outcome::kNotApplied;
    return;
  }
  if (!reply.is_array()) {
    outcome_ = Outcome::kRefused;
    if (error_.empty()) error_ = reply.text();
    return;
  }
  outcome_ = Outcome::kApplied;
  for (std::size_t i = 1; i < reply.size(); ++i) {
    if (!reply.is_error(i)) continue;
    outcome_ = Outcome::kHalfApplied;
    error_ = reply.text(i);
    return;
  }
  const std::size_t end = reply.size() - 1;
  if (end > 0 && !reply.is_nil(end)) last_ = reply.text(end);
}

}  // namespace jobwire::redis
