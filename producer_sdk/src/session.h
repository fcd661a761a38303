// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "exchange.h"
#include "io_loop.h"
#include "jobwire/client_stats.h"
#include "jobwire/close_report.h"
#include "jobwire/result.h"
#include "pending_state.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// The I/O thread settles what is late, and knows why; callers give it so long to do so.
constexpr std::chrono::milliseconds kGrace{1'000};

/// A Client's inside: the exchange, the I/O thread, and the callers' half of every method.
/// Thread-safe, except the destructor.
class Session {
 public:
  enum class Role { Producer, Operator };
  static Result<std::unique_ptr<Session>> open(std::string_view endpoints, Role role,
                                               ClientOptions options, const std::stop_token& stop);
  static Result<std::unique_ptr<Session>> open(std::vector<std::string> endpoints,
                                               std::unique_ptr<Link> link, Role role,
                                               ClientOptions options, const std::stop_token& stop);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  std::vector<Result<Receipt>> submit(std::span<const Job> jobs, TimePoint deadline,
                                      const std::stop_token& stop);
  void submit_async(const Job& job, const std::shared_ptr<Sink<Receipt>>& sink);
  Result<JobId> post(const Job& job);
  Status flush(std::chrono::milliseconds timeout, const std::stop_token& stop);

  Result<JobResult> call(const Job& job, TimePoint deadline, ProgressFn on_progress,
                         const std::stop_token& stop);
  void call_async(const Job& job, const std::shared_ptr<Sink<JobResult>>& sink);
  Result<JobResult> wait(const JobId& id, TimePoint deadline, ProgressFn on_progress,
                         const std::stop_token& stop);
  void watch(const JobId& id, const std::shared_ptr<Sink<JobResult>>& sink);
  void wait_each(std::span<const JobId> ids, TimePoint deadline, const std::stop_token& stop,
                 const std::function<void(std::size_t, Result<JobResult>)>& fn);
  Result<JobResult> state(const JobId& id, const std::stop_token& stop);
  Result<JobResult> cancel(const JobId& id, std::string_view reason, const std::stop_token& stop);

  /// Hands a request to the I/O thread. An error when it was not taken.
  Status ask(std::shared_ptr<Request> request);
  /// Waits for the answer to a request that was asked and ends by its own deadline.
  template <class T>
  Result<T> await(const PendingState<T>& state, TimePoint deadline, const std::stop_token& stop) {
    auto answer = state.wait_until(deadline + kGrace, stop);
    if (answer) return std::move(*answer);
    if (stop.stop_requested()) return stopped_error();
    return Error(ErrorCode::Timeout, "the broker did not answer in time");
  }

  CloseReport close(TimePoint deadline);
  [[nodiscard]] ClientStats stats() const;
  [[nodiscard]] Connection connection() const { return exchange_.phase.connection(); }

  /// The error for a call that would block the I/O thread; nothing on any other thread.
  [[nodiscard]] std::optional<Error> refuse_own_thread() const;
  [[nodiscard]] TimePoint submit_deadline() const {
    return deadline_in(exchange_.options.submit_timeout());
  }
  [[nodiscard]] std::chrono::milliseconds patience() const {
    return exchange_.options.submit_timeout();
  }
  [[nodiscard]] std::chrono::milliseconds linger() const { return exchange_.options.linger(); }

 private:
  Session(std::vector<std::string> endpoints, Role role, ClientOptions options);
  /// Takes up what an earlier process left.
  Status open_spool();
  void start(std::unique_ptr<Link> link);
  /// Writes a job to the spool, as the overflow policy says.
  Status spool(const Job& job, const JobId& id, bool may_wait);
  /// What is wrong with the job; otherwise it is watched if it wants to be.
  std::optional<Error> admit(const Job& job, const JobId& id);
  void take(std::span<const Job> jobs, std::span<JobId> ids, std::span<std::size_t> bytes,
            const std::shared_ptr<Sink<Receipt>>& sink, TimePoint deadline, bool wait_for_room,
            const std::stop_token& stop);
  /// Takes a watched job whose result goes to `result`; `receipt` hears how its submit went.
  JobId start_call(const Job& job, const std::shared_ptr<Sink<JobResult>>& result,
                   const std::shared_ptr<Sink<Receipt>>& receipt, TimePoint deadline,
                   bool wait_for_room, const std::stop_token& stop);
  /// The job, or a copy in `traced` that the program's trace hook has seen.
  const Job& trace(const Job& job, std::optional<Job>& traced) const;
  /// Why the backlog took no more.
  [[nodiscard]] Error not_taken(const std::stop_token& stop) const;
  /// Ends a wait without an answer, unless the answer comes just now.
  Result<JobResult> stop_waiting(const JobId& id, const Sink<JobResult>* sink,
                                 const PendingState<JobResult>& state, const std::stop_token& stop);
  void tell_lost(const EntryList& entries, const Error& error);

  Exchange exchange_;
  std::unique_ptr<IoLoop> loop_;
  std::thread thread_;
  std::thread::id thread_id_;
  std::mutex close_mutex_;
  bool closed_ = false;
  std::uint64_t recovered_ = 0;
};

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
