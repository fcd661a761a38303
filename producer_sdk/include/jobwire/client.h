// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "jobwire/client_options.h"
#include "jobwire/client_stats.h"
#include "jobwire/close_report.h"
#include "jobwire/connection.h"
#include "jobwire/export.h"
#include "jobwire/job.h"
#include "jobwire/job_id.h"
#include "jobwire/job_progress.h"
#include "jobwire/job_result.h"
#include "jobwire/pending.h"
#include "jobwire/receipt.h"
#include "jobwire/result.h"

JOBWIRE_NAMESPACE_BEGIN

class Client;
class Operator;

namespace client_detail {
class Link;
class Session;
Result<Client> connect_through(std::unique_ptr<Link> link, ClientOptions options);
}  // namespace client_detail

/// A producer's connection to a broker: hands jobs over, gets their results back.
///
/// Owns one thread, which owns the socket, and finds its way back by itself when the broker
/// restarts or the network fails: it reconnects, sends every unreceipted job again with the same
/// id, and asks again for every awaited result. Any thread may call any method at any time, except
/// the destructor and moves. No call blocks without an end, no buffer grows without a bound,
/// nothing throws.
///
/// Errors common to all calls, not repeated below: Unavailable when the broker cannot be reached in
/// time and nothing was sent, Timeout when no answer came to what was sent, Closed after close(),
/// NotPermitted and Incompatible when the broker does not accept this client, InvalidArgument for a
/// blocking call from within a Pending::then callback. Every call that waits takes a stop_token
/// that ends the wait, and only the wait: the answer is then Stopped.
class JOBWIRE_EXPORT Client {
 public:
  using Milliseconds = std::chrono::milliseconds;

  /// Connects to "tcp://host:port" or "ipc://path", or to the first of several that answers
  /// ("tcp://a:7700, tcp://b:7700"), and waits for the broker's welcome, up to connect_timeout.
  /// Whenever a broker is lost, they are tried in turn, with a jittered rest that doubles each
  /// round up to 5 s. All of them must share one store. Errors: Unavailable when nobody answered,
  /// InvalidArgument for an endpoint.
  static Result<Client> connect(std::string_view endpoints, ClientOptions options = {},
                                std::stop_token stop = {});

  Client(Client&& other) noexcept;
  Client& operator=(Client&& other) noexcept;
  /// close(linger), unless closed. Jobs that are not receipted by then go to
  /// ClientOptions::on_lost.
  ~Client();

  // ------------------------------------------------------------------ handing jobs over

  /// Durable when it returns: the broker has the job at the level that the receipt names. Refusals
  /// that pass by themselves (a full queue, a store that is away) are tried again until
  /// submit_timeout; then the last one is the error. On Timeout the job may or may not have
  /// arrived: set Job::id beforehand to be able to submit it again without running it twice.
  /// Errors: InvalidArgument, TooLarge, Conflict, Full, Paused. Cost: one round trip.
  Result<Receipt> submit(const Job& job, std::stop_token stop = {});

  /// The same without waiting. Answers Full at once when the backlog is full.
  Pending<Receipt> submit_async(const Job& job);

  /// Many at once: they travel together and are receipted together. One answer per job, in order;
  /// one job's refusal says nothing about the others. Cost: about one round trip per 16,384 jobs.
  std::vector<Result<Receipt>> submit_batch(std::span<const Job> jobs, std::stop_token stop = {});

  /// Fire and forget: takes the job, returns its id at once, and sends it until the broker has
  /// receipted or refused it, however often the connection breaks in between. What becomes of it
  /// can be seen by flush(), stats(), ClientOptions::on_lost and close(). Errors: InvalidArgument,
  /// TooLarge, Full as OverflowPolicy says, and SpoolFailed, after which the job is not taken.
  /// Cost: about a microsecond, no system call while the client is busy.
  Result<JobId> post(const Job& job);

  /// Waits until every job taken before this call is receipted or refused. Error: Timeout.
  Status flush(Milliseconds timeout, std::stop_token stop = {});

  // ------------------------------------------------------------------ getting results

  /// Submits and waits for the result: a remote procedure call that survives restarts. `timeout`
  /// covers both; on Timeout the job goes on.
  Result<JobResult> call(const Job& job, Milliseconds timeout, std::stop_token stop = {});

  Result<JobResult> call(const Job& job, Milliseconds timeout, ProgressFn on_progress,
                         std::stop_token stop = {});

  /// The same without waiting: `co_await client.call_async(job)`. A submit that fails is its
  /// answer.
  Pending<JobResult> call_async(const Job& job, ProgressFn on_progress = {});

  /// The result of a job, from whichever process, as soon as it has ended: pushed, not polled. A
  /// job that failed is a JobResult that says so, not an Error. Errors: Timeout, UnknownJob,
  /// GoneJob, or the broker's refusal of a job that this client submitted. Costs one question to
  /// the broker unless the job was submitted here with Job::watch().
  Result<JobResult> wait(const JobId& id, Milliseconds timeout, std::stop_token stop = {});
  Result<JobResult> wait(const JobId& id, Milliseconds timeout, ProgressFn on_progress,
                         std::stop_token stop = {});

  /// Many results: calls `fn(index into ids, result)` for each as it comes, on this thread. What
  /// has not come when `timeout` has passed, or when stopped, is called with that error, so each
  /// index is called exactly once. Cost: the same for each result, however many are awaited.
  void wait_each(std::span<const JobId> ids, Milliseconds timeout,
                 const std::function<void(std::size_t, Result<JobResult>)>& fn,
                 std::stop_token stop = {});

  /// The same, in order, when all have come or `timeout` has passed.
  std::vector<Result<JobResult>> wait_all(std::span<const JobId> ids, Milliseconds timeout,
                                          std::stop_token stop = {});

  /// wait() without waiting. The id stays watched until its job ends or the client closes.
  Pending<JobResult> watch(const JobId& id, ProgressFn on_progress = {});

  /// Asks once. Errors: NotFinished when the job has not ended, UnknownJob, GoneJob.
  Result<JobResult> result(const JobId& id, std::stop_token stop = {});

  /// Where the job stands and, while it runs, its latest progress. Errors: UnknownJob, GoneJob.
  Result<JobStatus> status(const JobId& id, std::stop_token stop = {});

  /// Ends a job that waits; has one that runs stopped by its agent, and returns when that is
  /// confirmed: Cancelled. Errors: AlreadyFinal, and its message says how it ended, when the job
  /// was faster; Timeout when the confirmation took longer than submit_timeout, and still comes;
  /// UnknownJob, GoneJob.
  Result<JobState> cancel(const JobId& id, std::string_view reason = {}, std::stop_token stop = {});

  // ------------------------------------------------------------------ the client itself

  /// Takes no more jobs, waits until all are receipted or `timeout` has passed, says goodbye and
  /// reports what was not receipted. Everything that still waits is answered with Closed. A second
  /// call returns an empty report.
  CloseReport close(Milliseconds timeout);

  [[nodiscard]] ClientStats stats() const;

  /// Where the client stands with its brokers; ClientOptions::on_connection is told of changes.
  [[nodiscard]] Connection connection() const;

 private:
  friend class Operator;
  friend Result<Client> client_detail::connect_through(std::unique_ptr<client_detail::Link> link,
                                                       ClientOptions options);
  explicit Client(std::unique_ptr<client_detail::Session> session);
  std::unique_ptr<client_detail::Session> session_;
};

JOBWIRE_NAMESPACE_END
