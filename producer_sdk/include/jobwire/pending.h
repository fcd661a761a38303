// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "jobwire/export.h"
#include "jobwire/job_result.h"
#include "jobwire/receipt.h"
#include "jobwire/result.h"

JOBWIRE_NAMESPACE_BEGIN

namespace client_detail {
template <class T>
class PendingState;
}

/// An answer that may still be on its way: a Receipt from submit_async(), a JobResult from watch().
/// A small handle; copies speak of the same answer, any thread may use any copy, and letting go of
/// all of them does not take the job back. Always gets an answer: at the latest Timeout for a
/// receipt and Closed for everything when the client closes.
template <class T>
class JOBWIRE_EXPORT Pending {
 public:
  /// True when the answer is there and get_for() returns at once.
  [[nodiscard]] bool ready() const;

  /// The answer, waiting for it up to `timeout`. May be called again and gives the same answer.
  /// Errors: Timeout when it has not come; whatever the answer itself is.
  [[nodiscard]] Result<T> get_for(std::chrono::milliseconds timeout) const;

  /// Calls `fn` once with the answer: at once on this thread when it is there, otherwise later on
  /// the client's own thread. `fn` must be quick and must not wait for anything from the same
  /// client; calls that would block answer InvalidArgument there. A second `then` replaces the
  /// first.
  void then(std::function<void(const Result<T>&)> fn) const;

  explicit Pending(std::shared_ptr<client_detail::PendingState<T>> state);

 private:
  std::shared_ptr<client_detail::PendingState<T>> state_;
};

extern template class Pending<Receipt>;
extern template class Pending<JobResult>;

JOBWIRE_NAMESPACE_END
