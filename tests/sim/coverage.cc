// SPDX-License-Identifier: Apache-2.0
#include "sim/coverage.h"

#include <cstdio>

namespace jobwire::sim {

const char* name_of(Met met) {
  switch (met) {
    case Met::kCrashBeforeCommit:
      return "crash before commit";
    case Met::kCrashAfterCommit:
      return "crash after commit";
    case Met::kCrashBeforeReply:
      return "crash before reply";
    case Met::kCrashBetweenSends:
      return "crash between sends";
    case Met::kCrashIdle:
      return "crash idle";
    case Met::kCrashInRecovery:
      return "crash in recovery";
    case Met::kTakeover:
      return "takeover";
    case Met::kFenced:
      return "fenced";
    case Met::kShutdown:
      return "shutdown";
    case Met::kStoreAwayBeforeEffect:
      return "store away before effect";
    case Met::kStoreAwayAfterEffect:
      return "store away after effect";
    case Met::kStoreSlow:
      return "store slow";
    case Met::kStoreRefused:
      return "store refused";
    case Met::kServedUnknown:
      return "served before all was known";
    case Met::kReadAhead:
      return "read ahead for a worker";
    case Met::kStoreScarce:
      return "store scarce";
    case Met::kStoreAwayAtStart:
      return "store away at start";
    case Met::kStoreWentBack:
      return "store went back";
    case Met::kBatchRepaired:
      return "batch repaired";
    case Met::kLinkCut:
      return "link cut";
    case Met::kMessageLost:
      return "message lost";
    case Met::kMessageLate:
      return "message late";
    case Met::kHalfOpen:
      return "half open";
    case Met::kPipeFull:
      return "pipe full";
    case Met::kWorkerCrash:
      return "worker crash";
    case Met::kWorkerWedged:
      return "worker wedged";
    case Met::kWorkerStopped:
      return "worker stopped";
    case Met::kHostLost:
      return "host lost";
    case Met::kAgentMute:
      return "agent mute";
    case Met::kClockStep:
      return "clock step";
    case Met::kProducerSilent:
      return "producer silent";
    case Met::kHelloFirst:
      return "hello first";
    case Met::kResubmitted:
      return "resubmitted";
    case Met::kDuplicateReceipt:
      return "duplicate receipt";
    case Met::kDedupHit:
      return "dedup hit";
    case Met::kInvalidRefused:
      return "invalid refused";
    case Met::kWindowFull:
      return "window full";
    case Met::kQueueFull:
      return "queue full";
    case Met::kStoreUnavailable:
      return "store unavailable";
    case Met::kStoreFull:
      return "store full";
    case Met::kShuttingDown:
      return "shutting down";
    case Met::kGaveUp:
      return "gave up";
    case Met::kDispatched:
      return "dispatched";
    case Met::kEarlierContract:
      return "dispatched to a worker of a later contract";
    case Met::kResultResent:
      return "result resent";
    case Met::kStaleResult:
      return "stale result";
    case Met::kAdopted:
      return "adopted";
    case Met::kRevoked:
      return "revoked";
    case Met::kRecalled:
      return "recalled";
    case Met::kHandedBack:
      return "handed back";
    case Met::kCancelConfirmed:
      return "cancel confirmed";
    case Met::kCancelTooLate:
      return "cancel too late";
    case Met::kRetried:
      return "retried";
    case Met::kTimedOutByAgent:
      return "timed out by agent";
    case Met::kTimedOutByBroker:
      return "timed out by broker";
    case Met::kCrashCharged:
      return "crash charged";
    case Met::kHostLossCharged:
      return "host loss charged";
    case Met::kSucceeded:
      return "succeeded";
    case Met::kDeadRaised:
      return "dead raised";
    case Met::kDeadTimedOut:
      return "dead timed out";
    case Met::kDeadCrashed:
      return "dead crashed";
    case Met::kDeadRejected:
      return "dead rejected";
    case Met::kExpired:
      return "expired";
    case Met::kCancelled:
      return "cancelled";
    case Met::kFinalPushed:
      return "final pushed";
    case Met::kFinalRead:
      return "final read";
    case Met::kGone:
      return "gone";
    case Met::kUnknown:
      return "unknown";
    case Met::kPayloadRead:
      return "payload read";
    case Met::kRemoved:
      return "removed";
    case Met::kPausedTold:
      return "paused";
    case Met::kQueuePaused:
      return "queue paused";
    case Met::kQueueCommandRefused:
      return "queue command refused";
    case Met::kPurged:
      return "purged";
    case Met::kReplayed:
      return "replayed";
    case Met::kReplayMoved:
      return "replayed into another queue";
    case Met::kDropped:
      return "dropped";
    case Met::kDryRun:
      return "dry run";
    case Met::kSweepEnded:
      return "sweep ended";
    case Met::kSweepStopped:
      return "sweep stopped";
    case Met::kDeadRead:
      return "dead job read";
    case Met::kProgressPushed:
      return "progress pushed";
    case Met::kProgressStored:
      return "progress stored";
    case Met::kCheckpointStored:
      return "checkpoint stored";
    case Met::kCheckpointRefused:
      return "checkpoint refused";
    case Met::kResumed:
      return "resumed from a checkpoint";
    case Met::kIdleRecall:
      return "recalled for an idle worker";
    case Met::kTypeDeclared:
      return "defaults of a type stored";
    case Met::kTypeRetryUsed:
      return "retried by its type's policy";
    case Met::kTypeTimeoutUsed:
      return "ran under its type's timeout";
    case Met::kCancelReason:
      return "cancelled with a reason";
    case Met::kCount:
      break;
  }
  return "?";
}

std::size_t Coverage::print() const {
  std::size_t never = 0;
  for (std::size_t i = 0; i < kMets; ++i) {
    std::printf("  %-28s %12llu%s\n", name_of(static_cast<Met>(i)),
                static_cast<unsigned long long>(counts_[i]), counts_[i] == 0 ? "   NEVER" : "");
    if (counts_[i] == 0) ++never;
  }
  return never;
}

}  // namespace jobwire::sim
