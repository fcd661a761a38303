// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jobwire/by.h"
#include "jobwire/client.h"
#include "jobwire/dead_job.h"
#include "jobwire/export.h"
#include "jobwire/held_contract.h"
#include "jobwire/job_filter.h"
#include "jobwire/queue_view.h"
#include "jobwire/result.h"
#include "jobwire/sweep.h"

JOBWIRE_NAMESPACE_BEGIN

class DeadJobs;

/// What import_from() did.
struct ImportReport {
  std::uint64_t imported = 0;
  std::uint64_t known = 0;  ///< Their ids were known: those jobs stay as they are.
  /// Jobs that were refused: the line, counted from 1, and why.
  std::vector<std::pair<std::uint64_t, Error>> refused;
};

/// A person's hand on the broker: queues, purges, dead letters. A client of its own, in the role
/// Operator, with the same promises as Client: it reconnects, asks again, and no call blocks for
/// ever. Any thread may call.
///
/// Errors common to all calls: those of Client; NotPermitted when this client's key is no
/// operator's; InvalidArgument for a name, a reason or a time out of its range; UnknownQueue.
/// Everything that changes something returns when the change is stored.
class JOBWIRE_EXPORT Operator {
 public:
  /// As Client::connect.
  static Result<Operator> connect(std::string_view endpoints, ClientOptions options = {},
                                  std::stop_token stop = {});

  /// The same connection as a producer: an operator may submit, ask and cancel as well.
  [[nodiscard]] Client& client() noexcept { return client_; }

  // ------------------------------------------------------------------ queues

  /// One queue as it is. Error: UnknownQueue when no queue of that name was ever used or set.
  Result<QueueView> queue(std::string_view name, std::stop_token stop = {});
  /// A page of all queues, those behind `after`, at most `limit` (1 to 1000).
  Result<QueuePage> queues(std::string_view after = {}, std::uint32_t limit = 1000,
                           std::stop_token stop = {});
  /// Nothing more is handed out of the queue; intake goes on, and so does what runs.
  Result<QueueView> pause(std::string_view queue, const By& by, std::stop_token stop = {});
  /// Nothing more is taken in (submits are refused with Paused); what is there runs to its end.
  Result<QueueView> drain(std::string_view queue, const By& by, std::stop_token stop = {});
  /// Lifts both.
  Result<QueueView> resume(std::string_view queue, const By& by, std::stop_token stop = {});
  /// The queue's share of workers against other queues: 1 to 1000.
  Result<QueueView> set_weight(std::string_view queue, std::uint32_t weight, const By& by,
                               std::stop_token stop = {});

  // ------------------------------------------------------------------ contracts

  /// The contracts by which the broker checks payloads, by name.
  Result<std::vector<HeldContract>> contracts(std::stop_token stop = {});
  /// From the next submit on payloads of its job types are checked by this contract too, over
  /// restarts; it takes the place of one of the same name. `schema`: the .bfbs that
  /// `jobwire gen --bfbs` or flatc writes. Errors: InvalidArgument for what is no contract, and for
  /// one too many; NotPermitted when the broker has its contracts from a folder; Full while another
  /// change waits for the store.
  Result<HeldContract> put_contract(std::string_view name, std::span<const std::byte> schema,
                                    const By& by, std::stop_token stop = {});
  /// Payloads are no longer checked by it. One that is not held is removed already.
  Status remove_contract(std::string_view name, const By& by, std::stop_token stop = {});

  // ------------------------------------------------------------------ many jobs at once

  // A sweep goes on until it is finished, however long that takes; its wait ends with Timeout when
  // nothing was heard of it for submit_timeout. After a lost connection it is sent again and leaves
  // alone what was created, or died again, since it began. It ends when this operator closes; a
  // stop ends only the wait. Errors: Full when too many sweeps run.

  /// Cancels what waits in filter.queue(), which must be set.
  Result<SweepReport> purge(const JobFilter& filter, const By& by, const SweepOptions& options = {},
                            std::stop_token stop = {});
  /// Dead jobs run again under the same ids, with all their attempts before them.
  Result<SweepReport> replay(const JobFilter& filter, const By& by,
                             const SweepOptions& options = {}, std::stop_token stop = {});
  /// Dead jobs are forgotten.
  Result<SweepReport> drop(const JobFilter& filter, const By& by, const SweepOptions& options = {},
                           std::stop_token stop = {});

  // ------------------------------------------------------------------ dead letters

  /// A page of dead jobs, oldest first within a queue, queues by name: those behind `after`, at
  /// most `limit` (1 to 500).
  Result<DeadPage> dead_page(const JobFilter& filter, std::string_view after = {},
                             std::uint32_t limit = 100, DeadDetail detail = DeadDetail::Summary,
                             std::stop_token stop = {});
  /// All of them, page by page as they are walked:
  ///
  ///     for (const Result<DeadJob>& job : op.dead(JobFilter().queue("images"))) ...
  ///
  /// Ends after an error. Requires: this operator lives as long.
  [[nodiscard]] DeadJobs dead(JobFilter filter, DeadDetail detail = DeadDetail::Summary,
                              std::stop_token stop = {});

  /// Writes dead jobs, whole, one a line (PROTOCOL.md, "Dead jobs as NDJSON"); returns how many.
  /// They stay where they are. Error: InvalidArgument when the stream fails.
  Result<std::uint64_t> export_to(std::ostream& out, const JobFilter& filter = {},
                                  std::stop_token stop = {});
  /// Reads such lines and makes dead jobs of them, under the same ids: doing it twice is safe.
  /// Error: InvalidArgument, with the line, for one that is no dead job; those before it are
  /// imported.
  Result<ImportReport> import_from(std::istream& in, const By& by, std::stop_token stop = {});

 private:
  explicit Operator(Client client) : client_(std::move(client)) {}
  Result<QueuePage> command(int action, std::string_view queue, const By* by, std::uint32_t weight,
                            std::string_view after, std::uint32_t limit,
                            const std::stop_token& stop);
  Result<QueueView> change(int action, std::string_view queue, const By& by, std::uint32_t weight,
                           const std::stop_token& stop);
  Result<SweepReport> sweep(int action, const JobFilter& filter, const By& by,
                            const SweepOptions& options, const std::stop_token& stop);

  Client client_;
};

/// The dead jobs that fit a filter, read page by page. Walk it once.
class JOBWIRE_EXPORT DeadJobs {
 public:
  class Iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using difference_type = std::ptrdiff_t;
    using value_type = Result<DeadJob>;

    explicit Iterator(DeadJobs* jobs) : jobs_(jobs) {}
    const Result<DeadJob>& operator*() const { return *jobs_->current_; }
    const Result<DeadJob>* operator->() const { return &*jobs_->current_; }
    Iterator& operator++() {
      jobs_->advance();
      return *this;
    }
    void operator++(int) { jobs_->advance(); }
    friend bool operator==(const Iterator& at, std::default_sentinel_t) { return at.at_end(); }

   private:
    [[nodiscard]] bool at_end() const { return !jobs_->current_.has_value(); }
    DeadJobs* jobs_;
  };

  Iterator begin() {
    advance();
    return Iterator(this);
  }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

 private:
  friend class Operator;
  DeadJobs(Operator& source, JobFilter filter, DeadDetail detail, std::stop_token stop)
      : operator_(&source), filter_(std::move(filter)), detail_(detail), stop_(std::move(stop)) {}
  void advance();

  Operator* operator_;
  JobFilter filter_;
  DeadDetail detail_;
  std::stop_token stop_;
  DeadPage page_;
  std::size_t next_ = 0;
  bool last_ = false;
  std::optional<Result<DeadJob>> current_;
};

JOBWIRE_NAMESPACE_END
