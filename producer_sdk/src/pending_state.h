// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>

#include "jobwire/pending.h"
#include "sink.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// One answer and whoever waits for it. Thread-safe.
template <class T>
class PendingState final : public Sink<T> {
 public:
  using Clock = std::chrono::steady_clock;

  void settle(std::size_t /*slot*/, Result<T> answer) override {
    std::function<void(const Result<T>&)> fn;
    {
      const std::lock_guard lock(mutex_);
      if (answer_) return;
      answer_.emplace(std::move(answer));
      fn = std::exchange(fn_, nullptr);
      settled_.notify_all();
    }
    if (fn) fn(*answer_);  // never changes again
  }

  [[nodiscard]] bool ready() const {
    const std::lock_guard lock(mutex_);
    return answer_.has_value();
  }

  /// The answer, or nothing at the deadline.
  [[nodiscard]] std::optional<Result<T>> wait_until(Clock::time_point deadline) const {
    std::unique_lock lock(mutex_);
    settled_.wait_until(lock, deadline, [this] { return answer_.has_value(); });
    return answer_;
  }

  void then(std::function<void(const Result<T>&)> fn) {
    {
      const std::lock_guard lock(mutex_);
      if (!answer_) {
        fn_ = std::move(fn);
        return;
      }
    }
    fn(*answer_);
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable settled_;
  std::optional<Result<T>> answer_;
  std::function<void(const Result<T>&)> fn_;
};

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
