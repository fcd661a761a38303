// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "adapters/redis/reply_reader.h"

namespace jobwire::redis {

/// Reads the replies to one fenced transaction: MULTI's OK, a QUEUED for each command, what EXEC
/// says, then those to WATCH and GET of the epoch.
class TransactionReply {
 public:
  /// `commands`: how many were sent between MULTI and EXEC.
  void expect(std::size_t commands);
  /// To the same as one script: UNWATCH's OK, what EVAL says, then WATCH and GET as above.
  void expect_script() { expect(0); }
  bool expecting() const { return step_ < last_step_; }
  /// Takes the next reply; true when it was the last.
  bool take(const Reply& reply);

  enum class Outcome : std::uint8_t {
    kApplied,
    kNotApplied,   // somebody touched the epoch
    kRefused,      // not taken; error() says why
    kHalfApplied,  // a command failed inside: keys hold what they should not
  };
  Outcome outcome() const { return outcome_; }
  const std::string& error() const { return error_; }
  /// The epoch afterwards; absent when the key is not there or is no number.
  std::optional<std::uint64_t> epoch() const { return epoch_; }
  /// What the last command of an applied transaction answered; absent when that was nil.
  const std::optional<std::string>& last() const { return last_; }

 private:
  void take_exec(const Reply& reply);

  std::size_t step_ = 0;
  std::size_t exec_step_ = 0;
  std::size_t last_step_ = 0;
  Outcome outcome_ = Outcome::kRefused;
  std::string error_;
  std::optional<std::uint64_t> epoch_;
  std::optional<std::string> last_;
};

/// The number in a reply; absent when it is nil or something else.
std::optional<std::uint64_t> number_in(const Reply& reply, std::size_t at = 0);
std::optional<std::uint64_t> number_in(std::string_view text);

}  // namespace jobwire::redis
