// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/code.h"
#include "core/control.h"
#include "core/event.h"
#include "core/ids.h"
#include "core/record.h"
#include "core/time.h"

/// What the core wants done. Everything here may be done at once: what depends on a commit is kept
/// back by the core until the commit is known.
namespace jobwire::core {

struct ReceiptOut {
  SessionId session{};
  JobId id;
  JobId job;  // the job that stands for it
  Code code = Code::kNone;
  Millis retry_after{0};
  bool duplicate = false;
  State state = State::kNone;
  /// With a refusal: which field, and a sentence. Literals.
  const char* field = "";
  const char* message = "";
};

/// A whole message refused.
struct RefusalOut {
  SessionId session{};
  Code code = Code::kNone;
  std::uint64_t request = 0;
  Millis retry_after{0};
  const char* message = "";
};

/// All results up to `through` are settled.
struct AckOut {
  SessionId session{};
  std::uint64_t through = 0;
};

struct LeaseRefusalOut {
  SessionId session{};
  LeaseToken token;
  Code code = Code::kNone;
};

/// The lease's checkpoints up to `number` are settled: stored, or followed by one that is; or, with
/// a code, this one is refused and changed nothing.
struct CheckpointAckOut {
  SessionId session{};
  LeaseToken token;
  std::uint32_t number = 0;
  Code code = Code::kNone;
};

enum class Known : std::uint8_t { kNone = 0, kWaiting, kRunning, kFinal, kUnknown, kGone };

/// The failure of a job that the broker itself found, or the words of one that a worker reported.
struct ErrorText {
  std::string type;
  std::string message;
  bool retryable = false;
};

struct ResultOut {
  SessionId session{};
  std::uint64_t request = 0;
  JobId id;
  Known known = Known::kNone;
  State state = State::kNone;
  DeadReason reason = DeadReason::kNone;
  Encoding encoding = Encoding::kNone;
  bool pushed = false;
  std::uint16_t attempts = 0;
  Wall created{};
  Wall started{};
  Wall finished{};
  Micros run{0};
  Bytes result;
  /// The JobError buffer of the last failed attempt; or, if there is none, its words.
  Bytes error;
  std::shared_ptr<const ErrorText> error_text;
  /// Why no worker that is here may run it; absent when one may, and when it does not wait.
  std::shared_ptr<const std::string> obstacle;
};

/// The latest word of a running job, to somebody who watches it or has asked for it.
struct ProgressOut {
  SessionId session{};
  JobId id;
  Progress progress;
};

/// The answer is in the store: read it, then answer the session as ResultOut would (known kFinal;
/// kGone if not found).
struct ResultReadOut {
  SessionId session{};
  std::uint64_t request = 0;
  JobId id;
};

struct DispatchOut {
  SessionId session{};
  LeaseToken token;
  JobId job;
  Bytes payload;
  Millis timeout{0};
  std::uint16_t type = 0;
  std::uint16_t attempt = 0;
  Encoding encoding = Encoding::kNone;
  std::uint8_t priority = 0;
  /// With headers, or absent.
  std::shared_ptr<const JobOptions> options;
  /// Of an earlier attempt, or absent.
  Checkpoint checkpoint;
};

/// Payloads to read from the store; answered by PayloadsLoaded.
struct PayloadReadOut {
  std::vector<JobId> ids;
};

struct CancelReplyOut {
  SessionId session{};
  std::uint64_t request = 0;
  JobId id;
  Code code = Code::kNone;
  State state = State::kNone;
};

/// To the agent: end this run.
struct CancelLeaseOut {
  SessionId session{};
  LeaseToken token;
  WorkerNumber worker{};
  Millis grace{0};
};

struct RecallOut {
  SessionId session{};
  LeaseToken token;
};

struct RevokeOut {
  SessionId session{};
  LeaseToken token;
};

/// Forget the session: it is superseded or was silent for too long.
struct SessionDropOut {
  SessionId session{};
  Code code = Code::kNone;
};

enum class Severity : std::uint8_t { kInfo, kWarning };
struct LogOut {
  Severity severity = Severity::kInfo;
  std::string text;
};

struct Effects {
  std::vector<RefusalOut> refusals;
  std::vector<ReceiptOut> receipts;
  std::vector<AckOut> acks;
  std::vector<LeaseRefusalOut> lease_refusals;
  std::vector<CheckpointAckOut> checkpoint_acks;
  std::vector<ResultOut> results;
  std::vector<ProgressOut> progress;
  std::vector<ResultReadOut> result_reads;
  std::vector<PayloadReadOut> payload_reads;
  std::vector<RevokeOut> revokes;
  std::vector<RecallOut> recalls;
  std::vector<DispatchOut> dispatches;
  std::vector<CancelReplyOut> cancel_replies;
  std::vector<CancelLeaseOut> cancel_leases;
  std::vector<QueueReplyOut> queue_replies;
  std::vector<SweepReportOut> sweep_reports;
  std::vector<DeadScanOut> dead_scans;
  std::vector<ContractDoneOut> contracts_done;
  std::vector<SessionDropOut> session_drops;
  std::vector<LogOut> logs;

  /// Empties all lists and keeps their memory.
  void clear() {
    const auto empty = [](auto&... lists) { (lists.clear(), ...); };
    empty(refusals, receipts, acks, lease_refusals, checkpoint_acks, results, progress,
          result_reads, payload_reads, revokes, recalls, dispatches, cancel_replies, cancel_leases,
          queue_replies, sweep_reports, dead_scans, contracts_done, session_drops, logs);
  }
};

}  // namespace jobwire::core
