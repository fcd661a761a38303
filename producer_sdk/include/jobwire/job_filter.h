// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jobwire/export.h"
#include "jobwire/job_id.h"
#include "jobwire/job_state.h"

JOBWIRE_NAMESPACE_BEGIN

/// Which jobs an operator means. What is not set does not narrow; what is set narrows together.
class JobFilter {
 public:
  using Time = std::chrono::system_clock::time_point;

  JobFilter& queue(std::string_view name) {
    queue_ = name;
    return *this;
  }
  JobFilter& type(std::string_view name) {
    type_ = name;
    return *this;
  }
  /// Why they died. Not for purge.
  JobFilter& reason(DeadReason reason) {
    reason_ = reason;
    return *this;
  }
  /// The error's type, bare or qualified, or a part of "type: message". Not for purge.
  JobFilter& error(std::string_view text) {
    error_ = text;
    return *this;
  }
  /// Purge: created before; else: died before.
  JobFilter& before(Time time) {
    before_ = time;
    return *this;
  }
  /// These alone; at most 1,024.
  JobFilter& ids(std::vector<JobId> ids) {
    ids_ = std::move(ids);
    return *this;
  }

  [[nodiscard]] const std::string& queue() const noexcept { return queue_; }
  [[nodiscard]] const std::string& type() const noexcept { return type_; }
  [[nodiscard]] DeadReason reason() const noexcept { return reason_; }
  [[nodiscard]] const std::string& error() const noexcept { return error_; }
  [[nodiscard]] const std::optional<Time>& before() const noexcept { return before_; }
  [[nodiscard]] const std::vector<JobId>& ids() const noexcept { return ids_; }

 private:
  std::string queue_;
  std::string type_;
  DeadReason reason_ = DeadReason::Unspecified;
  std::string error_;
  std::optional<Time> before_;
  std::vector<JobId> ids_;
};

JOBWIRE_NAMESPACE_END
