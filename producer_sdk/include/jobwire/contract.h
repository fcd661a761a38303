// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "jobwire/client.h"

/// What the headers are made of that `jobwire gen` writes from a FlatBuffers file with an
/// `rpc_service`. `M` below is a method there: it names the table `M::Response` and reads it by
/// `M::read(bytes)`, which is null when the bytes are not one.
JOBWIRE_NAMESPACE_BEGIN

namespace contract {

/// A method as a job type.
struct Method {
  std::string_view type;
  std::string_view queue;
  std::uint64_t hash = 0;               ///< Of the contract; PROTOCOL.md says over what.
  std::chrono::milliseconds timeout{};  ///< Zero: the broker's.
  int retries = -1;                     ///< After the first attempt; -1: the broker's.

  /// The job whose payload is this finished FlatBuffer. Copies.
  [[nodiscard]] Job job(std::span<const std::byte> request) const {
    Job job(type);
    job.flatbuffer(request).queue(queue).contract(hash);
    if (timeout.count() > 0) job.timeout(timeout);
    if (retries >= 0) job.retry(RetryPolicy().attempts(static_cast<std::uint16_t>(retries + 1)));
    return job;
  }
};

/// A response, or what took its place.
///
///     if (const auto thumb = co_await thumbs.resize(request)) use(thumb->width());
///     else complain(thumb.error());
///
/// The response is a FlatBuffers table in the bytes that came, verified; unpack() copies it into an
/// object. A small value: copies share the bytes.
template <class M>
class Answer {
 public:
  using Table = typename M::Response;

  explicit Answer(Result<JobResult> result) : result_(std::move(result)) {
    if (!result_) return;
    if (!result_->succeeded()) {
      std::string message(M::kMethod.type);
      message += " failed";
      if (const JobError* why = result_->error()) message += ": " + why->type + ": " + why->message;
      error_.emplace(ErrorCode::AlreadyFinal, std::move(message));
      return;
    }
    table_ = M::read(result_->bytes());
    if (!table_)
      error_.emplace(ErrorCode::Incompatible,
                     std::string(M::kMethod.type) + ": the result is no response of this method");
  }

  [[nodiscard]] bool has_value() const noexcept { return table_ != nullptr; }
  explicit operator bool() const noexcept { return has_value(); }

  /// Requires: has_value(). Valid as long as this answer or a copy.
  [[nodiscard]] const Table& operator*() const { return *operator->(); }
  [[nodiscard]] const Table* operator->() const {
    if (!table_) result_detail::value_of_error(error());
    return table_;
  }
  /// The response as an object of its own. Requires: has_value().
  [[nodiscard]] auto unpack() const {
    typename Table::NativeTableType value;
    operator->()->UnPackTo(&value);
    return value;
  }

  /// Why there is none. The call's own error; AlreadyFinal for a job that ended otherwise, of which
  /// job() tells more; Incompatible for bytes that are not a response. Requires: not has_value().
  [[nodiscard]] const Error& error() const {
    if (!result_) return result_.error();
    if (!error_) result_detail::error_of_value();
    return *error_;
  }

  /// How the job ended, with the Python error if it failed; null when that is not known.
  [[nodiscard]] const JobResult* job() const { return result_ ? &*result_ : nullptr; }

 private:
  Result<JobResult> result_;
  const Table* table_ = nullptr;
  std::optional<Error> error_;
};

/// A call on its way: co_await it, wait with get_for(), or have then() called. See Pending, which
/// it is but for the type of the answer.
template <class M>
class Call {
 public:
  explicit Call(Pending<JobResult> pending) : pending_(std::move(pending)) {}

  [[nodiscard]] bool ready() const { return pending_.ready(); }

  [[nodiscard]] Answer<M> get_for(std::chrono::milliseconds timeout,
                                  std::stop_token stop = {}) const {
    return Answer<M>(pending_.get_for(timeout, std::move(stop)));
  }

  void then(std::function<void(const Answer<M>&)> fn) const {
    pending_.then([fn = std::move(fn)](const Result<JobResult>& result) { fn(Answer<M>(result)); });
  }
  template <Executor E>
  void then(E executor, std::function<void(const Answer<M>&)> fn) const {
    pending_.then(std::move(executor),
                  [fn = std::move(fn)](const Result<JobResult>& result) { fn(Answer<M>(result)); });
  }

  class Awaiter {
   public:
    explicit Awaiter(Pending<JobResult> pending) : inner_(std::move(pending)) {}
    [[nodiscard]] bool await_ready() const { return inner_.await_ready(); }
    bool await_suspend(std::coroutine_handle<> waiting) { return inner_.await_suspend(waiting); }
    [[nodiscard]] Answer<M> await_resume() const { return Answer<M>(inner_.await_resume()); }

   private:
    Pending<JobResult>::Awaiter inner_;
  };
  [[nodiscard]] Awaiter operator co_await() const { return Awaiter(pending_); }

  /// The answer without its type.
  [[nodiscard]] const Pending<JobResult>& pending() const noexcept { return pending_; }

 private:
  Pending<JobResult> pending_;
};

}  // namespace contract

JOBWIRE_NAMESPACE_END
