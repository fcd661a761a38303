// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/bytes.h"
#include "core/code.h"
#include "core/control.h"
#include "core/ids.h"
#include "core/record.h"
#include "core/time.h"

/// What reaches the core. Views and spans point at memory of the caller and end with the call: the
/// core copies what it keeps. The form is already right (sizes, offsets, enums in range); what the
/// values mean is judged in the core.
namespace jobwire::core {

enum class Role : std::uint8_t { kNone = 0, kProducer, kWorker, kAgent, kOperator };

struct SessionOpened {
  SessionId session{};
  Role role = Role::kNone;
  /// Agent: its id. Worker: its agent's, or zero when it has none.
  HostId host;
  std::string_view host_name;
  WorkerNumber worker{};
  std::uint32_t pid = 0;
};

/// The transport or the peer ended it. `polite`: by Goodbye.
struct SessionClosed {
  SessionId session{};
  bool polite = false;
};

/// One job of a submit, as it came.
struct Submission {
  JobId id;
  std::string_view queue;
  std::string_view type;
  std::span<const std::uint8_t> payload;
  Encoding encoding = Encoding::kNone;
  std::uint8_t priority = 4;
  std::uint64_t timeout_ms = 0;
  std::uint64_t delay_ms = 0;
  std::int64_t not_before_ms = 0;
  std::int64_t expires_at_ms = 0;
  bool watch = false;
  bool keep_payload = false;
  /// What the edge found wrong with the payload, if anything. Refused here and not there, since a
  /// job that is known already keeps the receipt that it has.
  const char* objection = nullptr;
  /// Everything else, when the job has any of it. Zeros in `retry` stand for the broker's defaults;
  /// timeouts 0 takes attempts.
  std::shared_ptr<JobOptions> options;
};

struct Submitted {
  SessionId session{};
  std::span<const Submission> jobs;
};

/// Dead jobs of an export, to be taken in; `jobs` and `imports` go together.
struct DeadImported {
  SessionId session{};
  std::string_view by;
  std::span<const Submission> jobs;
  std::span<ImportedJob> imports;
};

struct ResultsAsked {
  SessionId session{};
  std::uint64_t request = 0;
  std::span<const JobId> ids;
  bool wait = false;
};

struct CancelAsked {
  SessionId session{};
  std::uint64_t request = 0;
  std::span<const JobId> ids;
  std::string_view reason{};
};

struct HeldLease {
  LeaseToken token;
  JobId job;
  WorkerNumber worker{};
  Wall started{};
  std::uint16_t attempt = 0;
  bool finished = false;
};

struct TypeOffer {
  std::string_view name;
  std::uint64_t contract = 0;
  std::span<const std::uint64_t> accepts;
  std::string_view version;
  /// What holds for jobs of the type that say nothing themselves; 0 and absent: the broker's.
  std::uint64_t timeout_ms = 0;
  std::shared_ptr<const RetryPolicy> retry{};
};

struct WorkerReady {
  SessionId session{};
  std::span<const std::string_view> queues;
  std::span<const TypeOffer> types;
  std::uint16_t slots = 0;
  std::uint16_t credit = 0;
  std::span<const HeldLease> held;
};

struct ResultReport {
  LeaseToken token;
  JobId job;
  Outcome outcome = Outcome::kNone;
  Encoding encoding = Encoding::kNone;
  Micros run{0};
  Wall started{};
  Millis retry_delay{0};
  /// Result bytes, or the verified JobError buffer.
  std::span<const std::uint8_t> payload;
  /// From the JobError: for the one readable line, and for RetryPolicy.fatal.
  std::string_view error_type;
  std::string_view error_message;
  bool error_retryable = true;
};

struct ResultsReported {
  SessionId session{};
  std::uint64_t sequence = 0;
  std::span<const ResultReport> results;
};

struct ProgressNote {
  LeaseToken token;
  float value = 0;
  std::string_view message;
};

struct ProgressReported {
  SessionId session{};
  std::span<const ProgressNote> notes;
};

struct CheckpointNote {
  LeaseToken token;
  std::uint32_t number = 0;  // counts up within the lease
  Encoding encoding = Encoding::kNone;
  std::span<const std::uint8_t> bytes;
};

struct CheckpointsReported {
  SessionId session{};
  std::span<const CheckpointNote> notes;
};

struct HandedBack {
  SessionId session{};
  std::span<const LeaseToken> tokens;
};

struct HostBeat {
  SessionId session{};
  std::span<const WorkerNumber> workers;
  std::span<const HeldLease> running;
};

enum class WorkerEnd : std::uint8_t {
  kNone = 0,
  kCrashed,
  kTimedOut,
  kCancelled,
  kRecycled,
  kStopped
};

struct WorkerDown {
  SessionId session{};  // the agent's
  WorkerNumber worker{};
  WorkerEnd end = WorkerEnd::kNone;
  std::uint32_t pid = 0;
  std::uint8_t signal = 0;
  std::int32_t exit_code = 0;
  std::span<const HeldLease> running;
  std::string_view log_tail;
};

// ---- from the store

struct BatchCommitted {
  std::uint64_t sequence = 0;
};
struct BatchRejected {
  std::uint64_t sequence = 0;
  Code code = Code::kNone;
};
struct StoreWentAway {};
struct StoreCameBack {};
/// Scarce: the store has room for what ends jobs, and none for new ones.
struct StoreRoomChanged {
  bool scarce = false;
};

struct PayloadLoaded {
  JobId id;
  bool found = false;
  Bytes payload;
};
struct PayloadsLoaded {
  std::span<const PayloadLoaded> payloads;
};

// ---- from the operator of this process

/// Take no new work: the broker is about to stop.
struct ShutdownBegun {};

using Event =
    std::variant<SessionOpened, SessionClosed, Submitted, ResultsAsked, CancelAsked, WorkerReady,
                 ResultsReported, ProgressReported, CheckpointsReported, HandedBack, HostBeat,
                 WorkerDown, BatchCommitted, BatchRejected, StoreWentAway, StoreCameBack,
                 StoreRoomChanged, PayloadsLoaded, ShutdownBegun, QueueAsked, SweepAsked,
                 DeadScanned, DeadImported, ContractAsked>;

}  // namespace jobwire::core
