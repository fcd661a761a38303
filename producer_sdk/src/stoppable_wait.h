// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <mutex>
#include <stop_token>

#include "deadline.h"
#include "jobwire/result.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

inline Error stopped_error() { return {ErrorCode::Stopped, "the wait was stopped by its caller"}; }

/// Waits on `changed` until holds(), the deadline or a stop request, and says whether it holds.
/// Takes std::condition_variable, not _any: that one costs every waiter a second lock, and few
/// waits can be stopped. `lock` is released in between and held at the end.
template <class Holds>
bool wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
                TimePoint deadline, const std::stop_token& stop, Holds holds) {
  if (!stop.stop_possible()) return changed.wait_until(lock, deadline, holds);
  std::mutex& mutex = *lock.mutex();
  lock.unlock();  // the callback takes it, and may run right here
  {
    const std::stop_callback wake(stop, [&] {
      const std::lock_guard under(mutex);  // so that it comes before the look or after the sleep
      changed.notify_all();
    });
    lock.lock();
    changed.wait_until(lock, deadline, [&] { return stop.stop_requested() || holds(); });
    lock.unlock();  // the callback's end waits for one that is running
  }
  lock.lock();
  return holds();
}

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
