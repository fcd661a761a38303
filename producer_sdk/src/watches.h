// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "id_table.h"
#include "jobwire/client_options.h"
#include "jobwire/job_id.h"
#include "jobwire/job_result.h"
#include "jobwire/result.h"
#include "sink.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// The jobs whose results this client awaits, and the results that have come and nobody has taken
/// yet. A job is watched because it was submitted so (expect) or because somebody waits (attach).
/// Thread-safe; sinks are settled outside the lock.
class Watches {
 public:
  using ResultSink = Sink<JobResult>;

  explicit Watches(const ClientOptions& options);

  /// A job is about to be submitted with watch. False when max_watched is reached; nothing changes.
  bool expect(const JobId& id);

  /// Slot i waits for ids[i]. Results that are here are settled at once and forgotten; ids that
  /// nobody watched yet are put on the list of questions. Returns true when there are any.
  bool attach(std::span<const JobId> ids, const std::shared_ptr<ResultSink>& sink);

  /// Nobody waits through this sink any more.
  void detach(std::span<const JobId> ids, const ResultSink* sink);

  /// The broker has a job, as `job`: another id when a dedup key made them one. `ask` says that the
  /// result may have been there before, so that no push will come.
  struct Accepted {
    JobId id;
    JobId job;
    bool ask = false;
  };
  void accepted(std::span<const Accepted> jobs);

  /// Results have come. Those that nobody waits for are kept up to the bounds.
  void complete(std::vector<JobResult> results);

  /// A job says how far it is. The same word again, as the answer to a question, is for nobody.
  void progress(const JobId& id, const JobProgress& progress);

  /// There will be no result: everybody who waits gets the error.
  void fail(const JobId& id, const Error& error);

  /// The broker says it never saw the job. True when that is no news because the job is still on
  /// its way there; the question is then asked again once it is accepted.
  bool unknown_yet(const JobId& id);

  /// Asks for this id again after its job is accepted.
  void ask_when_accepted(const JobId& id);

  /// Up to `most` ids to ask the broker for.
  std::vector<JobId> take_questions(std::size_t most);

  /// A new session: every accepted job without a result must be asked for again.
  void ask_all_again();

  /// Ends all waits.
  void close(const Error& error);

  [[nodiscard]] std::size_t size() const;

 private:
  struct Watch {
    std::vector<SinkSlot<JobResult>> sinks;
    std::unique_ptr<JobResult> arrived;
    /// Other ids that a dedup key made one with this job.
    std::unique_ptr<std::vector<JobId>> followers;
    /// The latest that those who wait were told.
    std::unique_ptr<JobProgress> progress;
    /// Submitted here and not yet receipted: the broker may not know it.
    bool on_its_way = false;
    /// Submitted with watch: its result is kept even when nobody waits yet.
    bool expected = false;
    bool asked = false;
  };
  using Answers = std::vector<std::pair<SinkSlot<JobResult>, Result<JobResult>>>;

  void accept_one(const Accepted& job);
  void complete_one(const JobId& id, JobResult result, Answers& answers);
  void keep(const JobId& id, Watch& watch, JobResult result);
  void make_room();
  static void settle(Answers& answers);

  const std::size_t max_watched_;
  const std::size_t max_kept_;
  const std::size_t max_kept_bytes_;

  mutable std::mutex mutex_;
  IdTable<Watch> table_;
  std::deque<JobId> questions_;
  /// Ids in the order in which their results came; some are taken since.
  std::deque<JobId> kept_order_;
  std::size_t kept_ = 0;
  std::size_t kept_bytes_ = 0;
  bool closed_ = false;
  Error close_error_{ErrorCode::Closed, "the client was closed"};
};

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
