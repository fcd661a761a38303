// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include "jobwire/pending.h"
#include "sink.h"
#include "stoppable_wait.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// One answer and whoever waits for it. Thread-safe.
template <class T>
class PendingState final : public Sink<T> {
 public:
  using Fn = std::function<void(const Result<T>&)>;

  void settle(std::size_t /*slot*/, Result<T> answer) override {
    std::vector<Fn> fns;
    {
      const std::lock_guard lock(mutex_);
      if (answer_) return;
      answer_.emplace(std::move(answer));
      fns.swap(fns_);
      settled_.notify_all();
    }
    for (const Fn& fn : fns) fn(*answer_);  // never changes again
  }

  [[nodiscard]] bool ready() const {
    const std::lock_guard lock(mutex_);
    return answer_.has_value();
  }

  /// The answer, or nothing at the deadline or when asked to stop.
  [[nodiscard]] std::optional<Result<T>> wait_until(TimePoint deadline,
                                                    const std::stop_token& stop = {}) const {
    std::unique_lock lock(mutex_);
    client_detail::wait_until(lock, settled_, deadline, stop,
                              [this] { return answer_.has_value(); });
    return answer_;
  }

  /// Keeps `fn` for the answer; false when it is there, and `fn` was not taken.
  bool when_settled(Fn& fn) {
    const std::lock_guard lock(mutex_);
    if (answer_) return false;
    fns_.push_back(std::move(fn));
    return true;
  }

  /// Requires: ready(), which no later call changes.
  [[nodiscard]] const Result<T>& answer() const { return *answer_; }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable settled_;
  std::optional<Result<T>> answer_;
  std::vector<Fn> fns_;
};

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
