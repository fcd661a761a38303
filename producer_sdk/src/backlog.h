// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <vector>

#include "deadline.h"
#include "jobwire/client_options.h"
#include "jobwire/job.h"
#include "jobwire/job_id.h"
#include "jobwire/receipt.h"
#include "sink.h"
#include "waker.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// A job that the client has taken and that is not receipted.
struct Entry {
  Job job{std::string_view()};
  JobId id;
  /// Who waits for the receipt; null for a posted job.
  SinkSlot<Receipt> receipt;
  /// When submit gives up; posted jobs have none.
  TimePoint deadline = TimePoint::max();
  /// Only when the program listens to job events.
  TimePoint taken_at{};
  TimePoint sent_at{};
  /// When a refused job is tried again.
  TimePoint due{};
  /// The last refusal of a job that is tried again, so that giving up can say why.
  std::unique_ptr<Error> last_refusal;
  std::uint64_t sequence = 0;
  std::uint64_t flush_epoch = 0;
  /// The Submit message that carries it.
  std::uint64_t request = 0;
  std::size_t envelope_bytes = 0;
  std::uint32_t sends = 0;
  bool spooled = false;

  [[nodiscard]] bool posted() const noexcept { return !receipt.sink; }
  [[nodiscard]] std::size_t payload_bytes() const noexcept { return job.payload().size(); }
  [[nodiscard]] std::size_t bytes() const noexcept { return payload_bytes() + envelope_bytes; }
};

/// Nodes move between lists by splicing, so an entry is allocated once and never copied.
using EntryList = std::list<Entry>;

/// How much one Submit message may carry.
struct MessageRoom {
  std::size_t jobs = 0;
  std::size_t payload_bytes = 0;
  std::size_t envelope_bytes = 0;
  /// What the broker still lets this session have unreceipted, payloads and envelopes together.
  std::size_t window_bytes = 0;
  /// Nothing is unreceipted, so one job may go whatever its size.
  bool window_idle = false;
};

/// Every job that the client holds: takes them from callers within its bounds, hands those that
/// wait to the I/O thread (which it wakes), and forgets them when they are settled. Thread-safe;
/// each call takes the lock once and does nothing slow under it.
class Backlog {
 public:
  Backlog(const ClientOptions& options, Waker& waker);

  enum class Taken { Yes, Full, Closed };

  /// Takes one posted job as the overflow policy says, except that it does not wait unless it
  /// `may_wait`. Entries that were dropped for it are appended to `dropped`; the caller tells about
  /// them.
  Taken post(const Job& job, const JobId& id, std::size_t envelope_bytes, bool may_wait,
             bool spooled, EntryList& dropped);
  /// Takes a job of an earlier process, whatever the bounds say: the spool has its own.
  void restore(const Job& job, const JobId& id, std::size_t envelope_bytes);
  /// Takes out the oldest posted job that waits, and counts it as dropped; nothing when none does.
  EntryList drop_oldest();

  /// Takes jobs[i] as ids[i] with slot i, in order, waiting for room until `deadline` or a stop
  /// request; returns the index of the first that was not taken. A job whose id is nil is skipped.
  std::size_t submit(std::span<const Job> jobs, std::span<const JobId> ids,
                     std::span<const std::size_t> envelope_bytes,
                     const std::shared_ptr<Sink<Receipt>>& sink, TimePoint deadline,
                     bool wait_for_room, const std::stop_token& stop = {});

  /// Hands out what one message carries, oldest first. A large payload travels alone, so that it
  /// need not be copied.
  EntryList take(MessageRoom room);

  /// Puts entries back in front of those that wait.
  void put_back(EntryList entries);

  /// Settled: their place is free again.
  void forget(EntryList entries);

  /// Takes out the waiting submitted entries whose deadline has passed.
  EntryList take_expired(TimePoint now);

  /// Takes out everything that waits.
  EntryList take_all();

  /// True when a job with this id waits here (not: is with the I/O thread). Linear.
  [[nodiscard]] bool holds(const JobId& id) const;

  /// Waits until everything taken before now is settled. False at the deadline, and when asked to
  /// stop.
  bool flush(TimePoint deadline, const std::stop_token& stop = {});

  /// Takes no more; whoever waits for room gets Closed.
  void close();

  struct Counts {
    std::uint64_t submitted = 0;
    std::uint64_t dropped = 0;
    std::uint64_t overflows = 0;
    std::uint64_t pending = 0;
  };
  [[nodiscard]] Counts counts() const;
  [[nodiscard]] bool has_waiting() const;
  [[nodiscard]] bool closed() const;

  static constexpr std::size_t kLargePayload = 32 * 1024;

 private:
  struct FlushEpoch {
    std::uint64_t epoch = 0;
    std::size_t unsettled = 0;
  };

  [[nodiscard]] bool fits(std::size_t bytes) const noexcept;
  void add(EntryList& list, const Job& job, const JobId& id, std::size_t envelope_bytes);
  void release(const Entry& entry);
  /// Moves settled nodes to the store of spare ones, up to a bound; the rest is freed with
  /// `entries`.
  void recycle(EntryList& entries);

  const std::size_t max_jobs_;
  const std::size_t max_bytes_;
  const OverflowPolicy overflow_;
  const std::chrono::milliseconds block_for_;
  const bool stamps_;  ///< Somebody wants to know how long things take.

  Waker& waker_;
  mutable std::mutex mutex_;
  std::condition_variable room_;
  std::condition_variable flushed_;
  std::size_t waiting_for_room_ = 0;
  std::size_t flushing_ = 0;
  bool closed_ = false;
  EntryList posted_;
  EntryList submitted_;
  EntryList spare_;
  std::size_t jobs_ = 0;
  std::size_t bytes_ = 0;
  std::uint64_t next_sequence_ = 1;
  std::deque<FlushEpoch> epochs_{FlushEpoch{}};
  Counts counts_;
};

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
