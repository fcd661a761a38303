// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "jobwire/job_progress.h"
#include "jobwire/result.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// Takes answers from the client's thread. `slot` is whatever the one who handed the sink out said,
/// and each slot is settled at most once. Never called with a lock of the client held.
template <class T>
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void settle(std::size_t slot, Result<T> answer) = 0;
  /// The job that is awaited has come further. Of no interest to most.
  virtual void progress(std::size_t /*slot*/, const JobProgress& /*progress*/) {}
};

template <class T>
struct SinkSlot {
  std::shared_ptr<Sink<T>> sink;
  std::size_t slot = 0;

  void settle(Result<T> answer) const { sink->settle(slot, std::move(answer)); }
};

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
