// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

#include "jobwire/export.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// Wakes the I/O thread out of its poll, and costs nothing while it is awake. A caller first puts
/// its work where the I/O thread looks (under that place's lock), then wakes; the I/O thread first
/// says that it is about to sleep, then looks once more (under the same lock), then sleeps. The
/// lock orders the two, so no work is slept over.
class Waker {
 public:
  Waker();
  ~Waker();
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

  /// There is a job. Ignored while the I/O thread could not send one anyway.
  void wake_for_job() noexcept {
    if (sleeps_for_jobs_.load(std::memory_order_relaxed)) wake();
  }
  /// There is something else to do.
  void wake() noexcept;

  /// I/O thread: about to sleep; `wants_jobs` says whether new jobs are a reason to wake.
  void prepare(bool wants_jobs) noexcept {
    sleeps_for_jobs_.store(wants_jobs, std::memory_order_relaxed);
    sleeps_.store(true, std::memory_order_relaxed);
  }
  /// I/O thread: awake.
  void awake() noexcept;

  /// Readable when there was a wake.
  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  int fd_;
  std::atomic<bool> sleeps_{false};
  std::atomic<bool> sleeps_for_jobs_{false};
};

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
