// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "jobwire/encoding.h"
#include "jobwire/export.h"
#include "jobwire/job_error.h"
#include "jobwire/job_id.h"
#include "jobwire/job_progress.h"
#include "jobwire/job_state.h"

JOBWIRE_NAMESPACE_BEGIN

namespace client_detail {
struct JobResultAccess;
}

/// Where a job stands, without its bytes.
struct JOBWIRE_EXPORT JobStatus {
  using Time = std::chrono::system_clock::time_point;

  JobId id;
  JobState state = JobState::Unspecified;
  DeadReason reason = DeadReason::Unspecified;  ///< Set when state is Dead.
  std::uint32_t attempts = 0;                   ///< Attempts started so far.
  Time created{};                               ///< By the broker's clock.
  Time started{};                               ///< Last attempt; the epoch when none started.
  Time finished{};                              ///< The epoch when the job has not ended.
  std::chrono::microseconds run_time{0};        ///< The last attempt's run time.
  std::optional<JobProgress> progress;          ///< From Client::status, while it runs.
  /// Why no worker that is there now may run a job that waits, and which ones could; otherwise
  /// empty.
  std::string obstacle{};
};

/// How a job ended. A value; copies share the bytes, which never change.
class JOBWIRE_EXPORT JobResult {
 public:
  JobResult() = default;

  [[nodiscard]] const JobStatus& status() const noexcept { return status_; }
  [[nodiscard]] const JobId& id() const noexcept { return status_.id; }
  [[nodiscard]] JobState state() const noexcept { return status_.state; }

  /// True when the handler returned and bytes() is what it returned.
  [[nodiscard]] bool succeeded() const noexcept { return status_.state == JobState::Succeeded; }

  /// The handler's return value; empty unless succeeded(). Aligned for FlatBuffers.
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {bytes_.get(), size_}; }
  /// The same bytes as characters, for Encoding::Utf8 and Encoding::Json.
  [[nodiscard]] std::string_view text() const noexcept {
    return {reinterpret_cast<const char*>(bytes_.get()), size_};
  }
  [[nodiscard]] Encoding encoding() const noexcept { return encoding_; }

  /// The Python error of a job that is dead, or that failed before it was cancelled or expired;
  /// null when there is none. Lives as long as this result.
  [[nodiscard]] const JobError* error() const noexcept { return error_.get(); }

 private:
  friend struct client_detail::JobResultAccess;

  JobStatus status_;
  Encoding encoding_ = Encoding::Bytes;
  std::size_t size_ = 0;
  std::shared_ptr<const std::byte[]> bytes_;
  std::shared_ptr<const JobError> error_;
};

JOBWIRE_NAMESPACE_END
