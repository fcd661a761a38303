// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/bytes.h"
#include "core/ids.h"
#include "core/lifecycle.h"
#include "core/record.h"
#include "core/time.h"

namespace jobwire::core {

enum class JobIx : std::uint32_t {};
enum class QueueIx : std::uint32_t {};
enum class LaneIx : std::uint32_t {};
enum class LeaseIx : std::uint32_t {};

inline constexpr JobIx kNoJob{0xffffffff};
inline constexpr QueueIx kNoQueue{0xffffffff};
inline constexpr LeaseIx kNoLease{0xffffffff};

template <typename Ix>
constexpr std::uint32_t raw(Ix ix) {
  return static_cast<std::uint32_t>(ix);
}

/// Who asked to cancel a job and waits for the confirmed end.
struct CancelWaiter {
  SessionId session{};
  std::uint64_t request = 0;
};

/// What few jobs have. One allocation beside the job when it is needed.
struct JobExtra {
  std::shared_ptr<const JobOptions> options;
  std::vector<Attempt> unstored_attempts;
  std::shared_ptr<const Attempt> last_failure;
  std::vector<SessionId> watchers;         // beside Job::watcher
  std::vector<SessionId> receipt_waiters;  // submitted it again before it was stored
  std::vector<CancelWaiter> cancel_waiters;
  Bytes cancel_reason;           // of the first who asked
  std::string ended_at;          // label of the worker whose result counted
  QueueIx origin = kNoQueue;     // where it was submitted, if a replay has moved it
  QueueIx stored_in = kNoQueue;  // where the store has it, until the replay is stored
  LeaseToken recovered_token;    // running, says the store, at a worker that has not come back yet
};

/// A job that has not ended, or whose end is not stored yet. Kept small: there may be ten million.
struct Job {
  JobId id;
  Bytes payload;  // until it ends; then the result
  std::unique_ptr<JobExtra> extra;
  Wall created{};
  Wall due{};      // Scheduled: when it is queued
  Wall expires{};  // zero: never
  Wall started{};
  Wall finished{};
  std::uint32_t payload_size = 0;  // of the submitted payload, here or not
  std::uint32_t timeout_ms = 0;    // its own; 0: its type's
  std::uint32_t run_us = 0;
  JobIx next = kNoJob;  // in its lane, or in the free list
  JobIx previous = kNoJob;
  LaneIx lane{};
  LeaseIx lease = kNoLease;
  SessionId submitter{};           // until the receipt is sent
  SessionId watcher{};             // gets the result pushed
  SessionId ack_session{};         // whose Results message waits for this job's commit; 0 none
  std::uint32_t ack_sequence = 0;  // low bits of that message's sequence
  std::uint32_t generation = 0;
  std::uint16_t attempts = 0;
  std::uint16_t timer_stamp = 0;
  State state = State::kNone;
  State stored = State::kNone;  // what the store shows
  Encoding encoding = Encoding::kNone;
  Encoding result_encoding = Encoding::kNone;
  DeadReason reason = DeadReason::kNone;
  std::uint8_t priority = 4;
  std::uint8_t raised = 0;
  std::uint8_t timed_out = 0;
  std::uint8_t crashed = 0;
  std::uint8_t sweep = 0;   // the one whose change of it is not stored yet
  std::uint8_t round = 0;   // its queue's purge_round when it came
  bool dirty : 1 = false;   // waits for the next batch
  bool staged : 1 = false;  // is in the batch under way
  bool linked : 1 = false;  // is in its lane's ready list
  bool keep_payload : 1 = false;
  bool cancelling : 1 = false;    // running, and asked to stop
  bool adoptable : 1 = false;     // recovered, not leased since: a worker may say that it runs it
  bool resident : 1 = false;      // payload counts against the budget
  bool by_the_clock : 1 = false;  // not_before: due at a time of day, not after a span

  JobExtra& more() {
    if (!extra) extra = std::make_unique<JobExtra>();
    return *extra;
  }
};

/// All jobs that have not ended: slots that stay where they are, found by index or id. O(1), with
/// one cache miss in the index and one in the job: at a million jobs a table of nodes took three
/// times as long, and 40 bytes more a job.
class JobTable {
 public:
  explicit JobTable(std::uint64_t hash_seed = 0) : hash_(hash_seed) {}

  Job& operator[](JobIx ix) { return chunks_[raw(ix) / kChunk][raw(ix) % kChunk]; }
  const Job& operator[](JobIx ix) const { return chunks_[raw(ix) / kChunk][raw(ix) % kChunk]; }

  /// kNoJob when it is not here.
  JobIx find(const JobId& id) const;

  /// A fresh slot for `id`. Requires: the id is not here.
  JobIx insert(const JobId& id);

  /// Gives the slot back. Requires: nothing but timers refers to it any more: their stamps go on in
  /// the slot, so that the same id in the same slot does not inherit them.
  void erase(JobIx ix);

  std::size_t size() const { return size_; }
  /// Indexes are below this; a free slot's state is kNone.
  std::uint32_t slots() const { return static_cast<std::uint32_t>(chunks_.size()) * kChunk; }

  template <typename Visit>
  void for_each(Visit&& visit) {
    for (const Entry& entry : index_) {
      if (entry.job != kNoJob) visit(entry.job);
    }
  }

 private:
  static constexpr std::uint32_t kChunk = 1024;

  /// Open addressing with linear probing; an id's place is its hash, so that growing looks at no
  /// job.
  struct Entry {
    std::uint32_t hash = 0;
    JobIx job = kNoJob;
  };
  std::uint32_t hash_of(const JobId& id) const { return static_cast<std::uint32_t>(hash_(id)); }
  std::size_t next(std::size_t at) const { return (at + 1) & (index_.size() - 1); }
  void place(const Entry& entry);
  void grow();

  Id16Hash<JobIdTag> hash_;
  std::vector<std::unique_ptr<Job[]>> chunks_;
  std::vector<Entry> index_;  // a power of two, at most 3/4 full
  std::size_t size_ = 0;
  JobIx free_ = kNoJob;
};

}  // namespace jobwire::core
