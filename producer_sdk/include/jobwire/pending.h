// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <concepts>
#include <coroutine>
#include <functional>
#include <future>
#include <memory>
#include <stop_token>
#include <utility>

#include "jobwire/export.h"
#include "jobwire/job_result.h"
#include "jobwire/receipt.h"
#include "jobwire/result.h"

JOBWIRE_NAMESPACE_BEGIN

namespace client_detail {
template <class T>
class PendingState;
}

/// Where a continuation runs: anything that takes a task and runs it once, now or later, on
/// whichever thread it likes. Copied; must not throw.
///
///     [&pool](std::function<void()> task) { asio::post(pool, std::move(task)); }
template <class E>
concept Executor = std::copy_constructible<E> && std::invocable<E&, std::function<void()>>;

/// An answer that may still be on its way: a Receipt from submit_async(), a JobResult from
/// call_async() or watch(). One object, every way to wait: get_for(), then(), co_await,
/// to_future(), as many of them as you like.
///
/// A small handle; copies speak of the same answer, any thread may use any copy, and letting go of
/// all of them does not take the job back. Always gets an answer: at the latest Timeout for a
/// receipt and Closed for everything when the client closes.
template <class T>
class JOBWIRE_EXPORT Pending {
 public:
  using Fn = std::function<void(const Result<T>&)>;

  /// True when the answer is there and get_for() returns at once.
  [[nodiscard]] bool ready() const;

  /// The answer, waiting for it up to `timeout`. May be called again and gives the same answer.
  /// Errors: Timeout when it has not come, Stopped when `stop` came first; whatever the answer
  /// itself is.
  [[nodiscard]] Result<T> get_for(std::chrono::milliseconds timeout,
                                  std::stop_token stop = {}) const;

  /// Calls `fn` once with the answer: at once on this thread when it is there, otherwise later on
  /// the client's own thread. `fn` must be quick and must not wait for anything from the same
  /// client; calls that would block answer InvalidArgument there. Each `then` has its own call.
  void then(Fn fn) const;

  /// The same on the executor, where `fn` may take its time and may wait.
  template <Executor E>
  void then(E executor, Fn fn) const {
    then([executor = std::move(executor), fn = std::move(fn)](const Result<T>& answer) mutable {
      executor(std::function<void()>([fn = std::move(fn), answer] { fn(answer); }));
    });
  }

  /// A future of the same answer, for code that speaks futures. Its get() never throws.
  [[nodiscard]] std::future<Result<T>> to_future() const;

  /// What co_await uses. Resumes on the client's own thread when the answer was not there, under
  /// the rules of then(fn).
  class Awaiter {
   public:
    explicit Awaiter(Pending pending) : pending_(std::move(pending)) {}
    [[nodiscard]] bool await_ready() const { return pending_.ready(); }
    bool await_suspend(std::coroutine_handle<> waiting) {
      // The coroutine may be resumed, and this object gone, before the call returns.
      const Pending pending = pending_;
      return pending.when_ready([waiting](const Result<T>&) { waiting.resume(); });
    }
    [[nodiscard]] Result<T> await_resume() const {
      return pending_.get_for(std::chrono::milliseconds{0});
    }

   private:
    Pending pending_;
  };
  [[nodiscard]] Awaiter operator co_await() const { return Awaiter(*this); }

  /// `co_await pending.on(executor)` resumes there, where the coroutine may take its time.
  template <Executor E>
  class AwaiterOn {
   public:
    AwaiterOn(Pending pending, E executor)
        : pending_(std::move(pending)), executor_(std::move(executor)) {}
    [[nodiscard]] bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> waiting) {
      const Pending pending = pending_;
      pending.then(executor_, [waiting](const Result<T>&) { waiting.resume(); });
    }
    [[nodiscard]] Result<T> await_resume() const {
      return pending_.get_for(std::chrono::milliseconds{0});
    }

   private:
    Pending pending_;
    E executor_;
  };
  template <Executor E>
  [[nodiscard]] AwaiterOn<E> on(E executor) const {
    return AwaiterOn<E>(*this, std::move(executor));
  }

  explicit Pending(std::shared_ptr<client_detail::PendingState<T>> state);

 private:
  /// then(fn), but false, and no call, when the answer is there.
  bool when_ready(Fn fn) const;

  std::shared_ptr<client_detail::PendingState<T>> state_;
};

extern template class Pending<Receipt>;
extern template class Pending<JobResult>;

JOBWIRE_NAMESPACE_END
