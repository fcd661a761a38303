// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

#include "sink.h"
#include "stoppable_wait.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// Answers for one thread that takes them as they come, all that are there at once. Thread-safe.
template <class T>
class Gather final : public Sink<T> {
 public:
  using Arrived = std::vector<std::pair<std::size_t, Result<T>>>;

  void settle(std::size_t slot, Result<T> answer) override {
    const std::lock_guard lock(mutex_);
    arrived_.emplace_back(slot, std::move(answer));
    if (std::exchange(waiting_, false)) some_.notify_one();
  }

  /// Waits for at least one answer and swaps everything that has come into `out`, which is cleared
  /// first. Leaves it empty at the deadline and when asked to stop.
  void take(TimePoint deadline, const std::stop_token& stop, Arrived& out) {
    out.clear();
    std::unique_lock lock(mutex_);
    wait_until(lock, some_, deadline, stop, [this] {
      waiting_ = arrived_.empty();
      return !waiting_;
    });
    waiting_ = false;
    out.swap(arrived_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable some_;
  bool waiting_ = false;
  Arrived arrived_;
};

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
