// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/bytes.h"
#include "core/ids.h"
#include "core/lifecycle.h"
#include "core/queue_settings.h"
#include "core/time.h"

namespace jobwire::core {

/// What the bytes of a payload or a result are; the protocol's numbers.
enum class Encoding : std::uint8_t { kNone = 0, kBytes, kUtf8, kJson, kFlatBuffer, kNpy };
inline constexpr std::uint8_t kLastEncoding = 5;

/// How one attempt ended; the protocol's numbers.
enum class Outcome : std::uint8_t {
  kNone = 0,
  kSucceeded,
  kRaised,
  kRejected,
  kRetryAsked,
  kTimedOut,
  kCrashed,
  kCancelled,
  kHandedBack,
  kLost,
};
inline constexpr std::uint8_t kLastOutcome = 9;

/// Why a job is dead; the protocol's numbers.
enum class DeadReason : std::uint8_t { kNone = 0, kRaised, kTimedOut, kCrashed, kRejected };

enum class BackoffKind : std::uint8_t { kExponential = 1, kFixed = 2, kListed = 3 };

/// When a failed job runs again, and when it no longer does. Three budgets, counted apart.
struct RetryPolicy {
  std::uint16_t attempts = 4;  // attempts that raised
  std::uint16_t timeouts = 4;
  std::uint16_t crashes = 3;
  BackoffKind backoff = BackoffKind::kExponential;
  Millis base{1000};
  Millis cap{600'000};
  float factor = 2.0F;
  bool jitter = true;
  std::vector<Millis> listed;
  std::vector<std::string> fatal;  // exception classes that are not retried, bare or qualified

  friend bool operator==(const RetryPolicy&, const RetryPolicy&) = default;
};

/// The parts of a job that most jobs leave at their defaults.
struct JobOptions {
  std::vector<std::pair<std::string, std::string>> headers;
  std::string dedup_key;
  Millis dedup_window{0};
  std::uint64_t contract = 0;
  Millis result_ttl{0};  // 0: the queue's
  bool has_retry = false;
  RetryPolicy retry;

  friend bool operator==(const JobOptions&, const JobOptions&) = default;
};

/// One finished attempt.
struct Attempt {
  std::uint16_t number = 0;      // counted from 1 in each generation
  std::uint32_t generation = 0;  // replays before it
  LeaseToken token;
  std::string worker;
  std::string host;
  Wall started{};
  Wall ended{};
  Outcome outcome = Outcome::kNone;
  Micros run{0};
  /// The worker's JobError buffer, or absent when the broker itself found the failure (or there was
  /// none).
  Bytes error;
  std::string error_type;
  std::string error_message;
};

/// How far a running job is, as its worker said last.
struct Progress {
  float value = 0;
  Wall at{};  // zero: it has said nothing
  Bytes message;
};

/// What a job's attempt has saved for the next one.
struct Checkpoint {
  Encoding encoding = Encoding::kNone;
  Bytes bytes;  // absent: nothing is saved

  explicit operator bool() const { return static_cast<bool>(bytes); }
};

/// A job as the store keeps it. The views of an outgoing record point at names that the engine
/// keeps for its life; those of a record read back point at the strings that came with it.
struct JobRecord {
  JobId id;
  std::string_view queue;
  std::string_view origin;  // where it was submitted, if a replay has moved it; else empty
  std::string_view type;
  State state = State::kNone;
  Encoding encoding = Encoding::kNone;
  std::uint8_t priority = 4;
  bool keep_payload = false;
  std::uint32_t payload_size = 0;
  Bytes payload;      // absent when it was not asked for
  Millis timeout{0};  // zero: that of its type
  Wall created{};
  Wall due{};                  // Scheduled: when it is queued; else zero
  Wall expires{};              // zero: never
  std::uint16_t attempts = 0;  // finished and charged
  std::uint16_t raised = 0;
  std::uint16_t timed_out = 0;
  std::uint16_t crashed = 0;
  std::uint32_t generation = 0;               // replays so far
  std::shared_ptr<const JobOptions> options;  // absent: all defaults

  // Running, or ended by a result:
  LeaseToken token;
  std::string_view worker;  // "host/number"
  Wall started{};

  // Final:
  Wall finished{};
  Micros run{0};
  DeadReason reason = DeadReason::kNone;
  Bytes cancel_reason;  // of a cancelled job, when one was given
  Encoding result_encoding = Encoding::kNone;
  Bytes result;  // of a succeeded job
};

/// Where a job stands in the index of its queue and state.
constexpr Wall index_time(const JobRecord& job) {
  if (is_final(job.state)) return job.finished;
  if (job.state == State::kScheduled) return job.due;
  return job.state == State::kRunning ? job.started : job.created;
}

/// All that happened to one job since the last commit, written as one change.
struct JobWrite {
  /// What the store shows now; kNone when it does not have the job.
  State stored = State::kNone;
  /// The queue in which the store has it, when a replay moves it to another; else empty.
  std::string_view stored_queue;
  JobRecord job;
  /// Attempts that ended since; the last one's error is the job's.
  std::vector<Attempt> attempts;
  /// Drop the payload: the job has ended and nobody asked to keep it.
  bool drop_payload = false;
};

/// A running job's latest word: set on its record, which it changes in nothing else.
struct ProgressWrite {
  JobId id;
  Progress progress;
};

/// A running job's latest checkpoint, or, absent, that it has none any more: set on its record,
/// which it changes in nothing else.
struct CheckpointWrite {
  JobId id;
  Checkpoint checkpoint;
};

/// A finished job that retention takes away, whole.
struct JobRemoval {
  JobId id;
  std::string_view queue;
  State state = State::kNone;
  bool own_ttl = false;  // it may have a time of its own in the store
};

/// Additions to a queue's counters.
struct QueueDelta {
  std::string_view queue;
  std::uint32_t submitted = 0;
  std::uint32_t succeeded = 0;
  std::uint32_t dead = 0;
  std::uint32_t expired = 0;
  std::uint32_t cancelled = 0;
  std::uint32_t failed_attempts = 0;
  std::uint32_t stale_results = 0;
};

/// What operators have set on a queue, as it is from now on.
struct QueueWrite {
  std::string_view queue;
  QueueSettings settings;
};

/// What the workers of a type say holds for its jobs; written when it changes.
struct TypeWrite {
  std::string_view type;
  Millis timeout{0};                         // zero: the broker's default
  std::shared_ptr<const RetryPolicy> retry;  // absent: the broker's; zeros in it likewise
};

/// A contract that is kept, instead of one of the same name; without a schema it goes.
struct ContractWrite {
  std::string name;
  Bytes schema;
};

/// What is known of a host, written now and then; it expires by itself.
struct HostWrite {
  HostId id;
  std::string name;
  std::uint32_t workers = 0;
  std::uint32_t slots = 0;
  Wall seen{};
  bool left = false;  // said goodbye: remove it
};

/// One transaction: all of it takes effect, or none.
struct Batch {
  /// Counts up by one; written with the batch, so that a lost reply can be judged.
  std::uint64_t sequence = 0;
  Wall now{};
  std::vector<JobWrite> jobs;
  std::vector<JobRemoval> removals;
  /// With removals: ids made before this moment may have been here and gone.
  Wall gone_before{};
  std::vector<QueueDelta> queues;
  std::vector<QueueWrite> settings;  // of one queue twice: the last counts
  std::vector<HostWrite> hosts;
  std::vector<TypeWrite> types;
  std::vector<ContractWrite> contracts;
  std::vector<JobId> stale_notes;       // known jobs for which a result with a stale token came
  std::vector<ProgressWrite> progress;  // after `jobs`, at most one a job
  std::vector<CheckpointWrite> checkpoints;  // likewise

  bool empty() const {
    return jobs.empty() && removals.empty() && queues.empty() && settings.empty() &&
           hosts.empty() && types.empty() && contracts.empty() && stale_notes.empty() &&
           progress.empty() && checkpoints.empty();
  }
};

}  // namespace jobwire::core
