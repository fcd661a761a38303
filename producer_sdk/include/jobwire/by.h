// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "jobwire/export.h"

JOBWIRE_NAMESPACE_BEGIN

/// Who changes something, why, and until when; kept with the change for whoever looks later.
///
///     By("anna").why("the disk is full").until(tomorrow)
class By {
 public:
  using Time = std::chrono::system_clock::time_point;

  /// 1 to 128 bytes.
  explicit By(std::string_view who) : who_(who) {}
  /// At most 1 KiB.
  By& why(std::string_view why) {
    why_ = why;
    return *this;
  }
  /// Pause and drain: lifted by itself at this time of day, at most 366 days ahead; without it,
  /// when the queue is resumed. Elsewhere it means nothing.
  By& until(Time until) {
    until_ = until;
    return *this;
  }

  [[nodiscard]] const std::string& who() const noexcept { return who_; }
  [[nodiscard]] const std::string& why() const noexcept { return why_; }
  [[nodiscard]] const std::optional<Time>& until() const noexcept { return until_; }

 private:
  std::string who_;
  std::string why_;
  std::optional<Time> until_;
};

JOBWIRE_NAMESPACE_END
