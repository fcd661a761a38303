// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <utility>

#include "jobwire/job_result.h"
#include "sink.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// Passes an answer on, and a job's progress to the program.
class ProgressSink final : public Sink<JobResult> {
 public:
  ProgressSink(std::shared_ptr<Sink<JobResult>> answer, ProgressFn fn)
      : answer_(std::move(answer)), fn_(std::move(fn)) {}

  void settle(std::size_t slot, Result<JobResult> answer) override {
    answer_->settle(slot, std::move(answer));
  }
  void progress(std::size_t /*slot*/, const JobProgress& progress) override { fn_(progress); }

 private:
  const std::shared_ptr<Sink<JobResult>> answer_;
  const ProgressFn fn_;
};

/// `answer` itself when nobody listens to progress.
inline std::shared_ptr<Sink<JobResult>> with_progress(std::shared_ptr<Sink<JobResult>> answer,
                                                      ProgressFn fn) {
  if (!fn) return answer;
  return std::make_shared<ProgressSink>(std::move(answer), std::move(fn));
}

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
