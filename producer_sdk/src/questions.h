// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "deadline.h"
#include "jobwire/job_id.h"
#include "jobwire/job_result.h"
#include "sink.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// One question to the broker that has one answer.
struct Question {
  enum class Kind { State, Cancel };
  Kind kind = Kind::State;
  JobId id;
  std::string reason;
  SinkSlot<JobResult> answer;
  TimePoint deadline{};
};

/// Questions on their way from callers to the I/O thread. Thread-safe, bounded.
class Questions {
 public:
  static constexpr std::size_t kMost = 16'384;

  /// False when too many wait, or the client is closed; the question was not taken.
  bool ask(Question question) {
    const std::lock_guard lock(mutex_);
    if (closed_ || questions_.size() >= kMost) return false;
    questions_.push_back(std::move(question));
    return true;
  }

  std::vector<Question> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(questions_, {});
  }

  std::vector<Question> close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    return std::exchange(questions_, {});
  }

 private:
  std::mutex mutex_;
  bool closed_ = false;
  std::vector<Question> questions_;
};

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
