// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "sink.h"
#include "stoppable_wait.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// A known number of answers for one waiting thread, which is woken once, by the last. Thread-safe.
template <class T>
class Batch final : public Sink<T> {
 public:
  explicit Batch(std::size_t slots) : open_(slots), answers_(slots) {}

  void settle(std::size_t slot, Result<T> answer) override {
    const std::lock_guard lock(mutex_);
    if (closed_ || answers_[slot]) return;
    answers_[slot].emplace(std::move(answer));
    if (--open_ == 0) complete_.notify_one();
  }

  /// All answers; a slot that is open at the deadline, or when asked to stop, gets `late` or
  /// Stopped. Call once.
  [[nodiscard]] std::vector<Result<T>> take(TimePoint deadline, const std::stop_token& stop,
                                            Error late) {
    std::unique_lock lock(mutex_);
    if (!wait_until(lock, complete_, deadline, stop, [this] { return open_ == 0; }) &&
        stop.stop_requested()) {
      late = stopped_error();
    }
    closed_ = true;
    std::vector<Result<T>> answers;
    answers.reserve(answers_.size());
    for (auto& answer : answers_) {
      if (answer) {
        answers.push_back(std::move(*answer));
      } else {
        answers.push_back(late);
      }
    }
    return answers;
  }

 private:
  std::mutex mutex_;
  std::condition_variable complete_;
  bool closed_ = false;
  std::size_t open_;
  std::vector<std::optional<Result<T>>> answers_;
};

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
