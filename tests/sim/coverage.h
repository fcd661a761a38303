// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace jobwire::sim {

/// Everything that a set of runs must have met. A fault that never fires is a defect of the
/// simulator.
enum class Met : std::uint8_t {
  kCrashBeforeCommit,
  kCrashAfterCommit,
  kCrashBeforeReply,
  kCrashBetweenSends,
  kCrashIdle,
  kCrashInRecovery,
  kTakeover,
  kFenced,
  kShutdown,
  kStoreAwayBeforeEffect,
  kStoreAwayAfterEffect,
  kStoreSlow,
  kStoreRefused,
  kStoreScarce,
  kServedUnknown,
  kReadAhead,
  kStoreAwayAtStart,
  kStoreWentBack,
  kBatchRepaired,
  kLinkCut,
  kMessageLost,
  kMessageLate,
  kHalfOpen,
  kPipeFull,
  kWorkerCrash,
  kWorkerWedged,
  kWorkerStopped,
  kHostLost,
  kAgentMute,
  kClockStep,
  kProducerSilent,
  kHelloFirst,
  kResubmitted,
  kDuplicateReceipt,
  kDedupHit,
  kInvalidRefused,
  kWindowFull,
  kQueueFull,
  kStoreUnavailable,
  kStoreFull,
  kShuttingDown,
  kGaveUp,
  kDispatched,
  kEarlierContract,
  kResultResent,
  kStaleResult,
  kAdopted,
  kRevoked,
  kRecalled,
  kHandedBack,
  kCancelConfirmed,
  kCancelTooLate,
  kRetried,
  kTimedOutByAgent,
  kTimedOutByBroker,
  kCrashCharged,
  kHostLossCharged,
  kSucceeded,
  kDeadRaised,
  kDeadTimedOut,
  kDeadCrashed,
  kDeadRejected,
  kExpired,
  kCancelled,
  kFinalPushed,
  kFinalRead,
  kGone,
  kUnknown,
  kPayloadRead,
  kRemoved,
  kPausedTold,
  kQueuePaused,
  kQueueCommandRefused,
  kPurged,
  kReplayed,
  kReplayMoved,
  kDropped,
  kDryRun,
  kSweepEnded,
  kSweepStopped,
  kDeadRead,
  kProgressPushed,
  kProgressStored,
  kCheckpointStored,
  kCheckpointRefused,
  kResumed,
  kIdleRecall,
  kTypeDeclared,
  kTypeRetryUsed,
  kTypeTimeoutUsed,
  kCancelReason,
  kCount,
};
inline constexpr std::size_t kMets = static_cast<std::size_t>(Met::kCount);

const char* name_of(Met met);

class Coverage {
 public:
  void met(Met what, std::uint64_t times = 1) { counts_[static_cast<std::size_t>(what)] += times; }
  std::uint64_t operator[](Met what) const { return counts_[static_cast<std::size_t>(what)]; }
  void add(const Coverage& other) {
    for (std::size_t i = 0; i < kMets; ++i) counts_[i] += other.counts_[i];
  }
  /// Prints all counters; returns how many are zero.
  std::size_t print() const;

 private:
  std::array<std::uint64_t, kMets> counts_{};
};

}  // namespace jobwire::sim
