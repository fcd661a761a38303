// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "jobwire/export.h"

JOBWIRE_NAMESPACE_BEGIN

/// How far a sweep has come. After a lost connection the rest is swept by a second one and added;
/// jobs of the slice that was under way then may be missing in the counts, not in the effect.
struct SweepReport {
  std::uint64_t matched = 0;  ///< Jobs that the filter fitted so far.
  std::uint64_t done = 0;     ///< Jobs changed, and stored.
  std::uint64_t failed =
      0;  ///< Fitted and could not be changed: moved since, or its queue is full.
  bool finished = false;
};

/// How a sweep goes about it.
class SweepOptions {
 public:
  using ProgressFn = std::function<void(const SweepReport&)>;

  /// Count, and change nothing.
  SweepOptions& dry_run(bool dry = true) {
    dry_run_ = dry;
    return *this;
  }
  /// At most so many jobs a second.
  SweepOptions& rate_per_s(std::uint32_t jobs) {
    rate_per_s_ = jobs;
    return *this;
  }
  /// At most so many jobs.
  SweepOptions& limit(std::uint64_t jobs) {
    limit_ = jobs;
    return *this;
  }
  /// Replay: into this queue instead of the one from which each job came.
  SweepOptions& to_queue(std::string_view name) {
    to_queue_ = name;
    return *this;
  }
  /// Called about once a second on the thread that waits for the sweep; may use the client.
  SweepOptions& on_progress(ProgressFn fn) {
    on_progress_ = std::move(fn);
    return *this;
  }

  [[nodiscard]] bool dry_run() const noexcept { return dry_run_; }
  [[nodiscard]] std::uint32_t rate_per_s() const noexcept { return rate_per_s_; }
  [[nodiscard]] std::uint64_t limit() const noexcept { return limit_; }
  [[nodiscard]] const std::string& to_queue() const noexcept { return to_queue_; }
  [[nodiscard]] const ProgressFn& on_progress() const noexcept { return on_progress_; }

 private:
  bool dry_run_ = false;
  std::uint32_t rate_per_s_ = 0;
  std::uint64_t limit_ = 0;
  std::string to_queue_;
  ProgressFn on_progress_;
};

JOBWIRE_NAMESPACE_END
