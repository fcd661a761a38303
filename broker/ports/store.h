// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "core/code.h"
#include "core/control.h"
#include "core/record.h"
#include "ports/contracts.h"
#include "ports/result.h"

namespace jobwire::ports {

/// What a store can promise, read from its configuration when it was opened.
struct StoreOpened {
  std::uint64_t epoch = 0;          // ours from now on; every older owner is fenced off
  std::uint64_t last_sequence = 0;  // of the last batch that took effect
  core::Durability durability = core::Durability::kUnspecified;
  std::uint8_t replicas = 0;
  std::string description;  // for the log: "redis 7.0.15 at unix:/…, AOF always"
};

/// A job that was read back, with the strings that its views point at.
struct StoredJob {
  core::JobId id;
  bool found = false;
  std::string queue;
  std::string origin;
  std::string type;
  std::string worker;
  core::JobRecord job;
  /// The last attempt's JobError buffer, when it failed and the broker was given one.
  core::Bytes error;
  std::string error_type;
  std::string error_message;
  /// Those that failed, oldest first, with kWhole.
  std::vector<core::Attempt> attempts;
  core::Progress progress;
  core::Checkpoint checkpoint;

  /// Points the record's views at this object's strings. Call it after a copy or a move.
  void rebind() {
    job.queue = queue;
    job.origin = origin;
    job.type = type;
    job.worker = worker;
  }
};

struct ReadRequest {
  /// Chosen by the caller, comes back with the answer.
  std::uint64_t tag = 0;
  std::vector<core::JobId> ids;
  enum class What : std::uint8_t {
    kPayload,
    kHead,        // all but payload, result and attempts: a few hundred bytes a job
    kEverything,  // all but the attempts
    kWhole
  } what = What::kEverything;
};

/// Asks for a page of one queue's jobs in one state, in the order of its index, behind a place in
/// it.
struct ScanRequest {
  std::uint64_t tag = 0;
  std::string queue;
  core::State state = core::State::kNone;
  core::IndexPlace after;
  std::uint32_t limit = 0;
};

/// One page of the jobs that were not final when the store was opened.
struct RecoveredPage {
  std::deque<StoredJob> jobs;  // without payloads
  bool all_running = false;    // every job that ran has been read by now
  bool last = false;
};

/// A finished job that is still kept: enough to know its id again and to let it go in time.
struct RecoveredFinal {
  core::JobId id;
  std::string queue;
  core::State state = core::State::kNone;
  core::Wall finished{};
  core::Wall goes{};  // at a time of its own; zero: with the others of its queue
};

struct RecoveredFinals {
  std::vector<RecoveredFinal> jobs;
  bool last = false;
};

/// A queue that was ever used.
struct RecoveredQueue {
  std::string queue;
  core::QueueSettings settings;
};

struct RecoveredType {
  std::string type;
  core::Millis timeout{0};
  std::shared_ptr<const core::RetryPolicy> retry;
};

struct RecoveredDedup {
  std::string key;
  core::JobId job;
  core::Millis left{0};
};

// ---- what a store reports

/// The batch has taken effect and is as durable as the store promised.
struct Committed {
  std::uint64_t sequence = 0;
};
/// The batch had no effect and will have none: the store would not take it. Because it is full
/// (kStoreFull) it refuses only batches with new jobs; all else it takes even then.
struct BatchRefused {
  std::uint64_t sequence = 0;
  core::Code code = core::Code::kNone;
  std::string message;
};
/// The store does not answer. The batch under way stays under way; it is settled when the store is
/// back.
struct StoreAway {
  std::string message;
};
struct StoreBack {
  /// Batches that the store had lost and that were written again.
  std::uint32_t repaired = 0;
};
/// Another broker owns the shard now: nothing that we write has effect any more.
struct Fenced {
  std::string message;
};
/// The store lost batches that are no longer in memory, or is empty, or is another one. Nobody may
/// go on in silence.
struct StoreDiverged {
  std::string message;
};
struct ReadDone {
  std::uint64_t tag = 0;
  std::deque<StoredJob> jobs;  // one per asked id, in their order
};
struct ScanDone {
  std::uint64_t tag = 0;
  std::deque<StoredJob> jobs;  // as kHead; those that have left the state meanwhile are left out
  core::IndexPlace end;        // of the last that was looked at: where the next page begins
  bool last = false;
};
/// How much the store can still take; said when it changes, and ample until it is said. Scarce:
/// less is left than the reserve that results, acknowledgements and removals need.
struct StoreRoom {
  bool scarce = false;
  std::string message;
};

using StoreEvent = std::variant<Committed, BatchRefused, StoreAway, StoreBack, Fenced,
                                StoreDiverged, ReadDone, ScanDone, StoreRoom>;

/// Where jobs are kept. The broker's one thread calls it; open() and recover_…() may block for
/// bounded times, the rest never blocks. Contract suite: tests/contract/broker/store_contract.h,
/// run on every implementation.
class Store {
 public:
  virtual ~Store() = default;

  /// Takes the shard over: raises its epoch, so that every earlier owner's next commit fails as
  /// Fenced. Errors say what to change in the configuration, or that the store is away (try again).
  virtual Result<StoreOpened> open() = 0;

  /// Reads all jobs that were not final, page by page, those that ran first; call until `last`.
  /// Batches may be committed between two calls: a job that they change is either one that was
  /// read before, or it is read as it is then.
  virtual Result<RecoveredPage> recover_jobs() = 0;
  /// Reads some of them ahead of their page, which then leaves them out. Those that are not there,
  /// or are final, are missing in the answer.
  virtual Result<RecoveredPage> recover_some(std::span<const core::JobId> ids) = 0;
  /// Reads ids of finished jobs, oldest first within a queue and state; call until `last`.
  virtual Result<RecoveredFinals> recover_finals() = 0;
  virtual Result<std::vector<RecoveredQueue>> recover_queues() = 0;
  virtual Result<std::vector<RecoveredDedup>> recover_dedups() = 0;
  /// The gone_before of the last batch with removals; zero when there was none.
  virtual Result<core::Wall> recover_gone_before() = 0;
  /// What workers declared of their types.
  virtual Result<std::vector<RecoveredType>> recover_types() = 0;
  /// Hosts whose entry has not expired.
  virtual Result<std::vector<core::HostId>> recover_hosts() = 0;
  /// The contracts that were kept last, by name.
  virtual Result<std::vector<ContractFile>> recover_contracts() = 0;
  /// Keeps these instead of all others. Blocks, as the recovery does; not part of any batch.
  virtual Status keep_contracts(const std::vector<ContractFile>& files) = 0;

  /// Starts one transaction. Requires: ready() . Exactly one Committed or BatchRefused follows,
  /// unless Fenced or StoreDiverged ends everything.
  virtual void commit(const core::Batch& batch) = 0;
  /// No batch is under way and the store is not away.
  virtual bool ready() const = 0;

  /// Asks for jobs; answered by ReadDone. False when too many questions are waiting or the store is
  /// away.
  virtual bool read(ReadRequest request) = 0;
  /// Asks for a page; answered by ScanDone. False as read(). A walk from page to page sees every
  /// job that stays in the state from its first page to its last, once.
  virtual bool scan(ScanRequest request) = 0;

  /// Moves bytes in both directions without blocking and appends what came of it.
  virtual void poll(core::Steady now, std::vector<StoreEvent>& events) = 0;
  /// Descriptors to wait on, with the events of interest.
  virtual void descriptors(std::vector<pollfd>& out) const = 0;
  /// When poll() must be called next even if no descriptor stirs.
  virtual std::optional<core::Steady> deadline() const = 0;
};

}  // namespace jobwire::ports
