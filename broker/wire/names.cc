// SPDX-License-Identifier: Apache-2.0
#include "wire/names.h"

#include <type_traits>

#include "core/effect.h"
#include "core/record.h"

namespace jobwire::wire {
namespace {

// The core has its own enums, so that it needs no generated code. They are cast into each other, so
// the numbers must be the same: checked here, value by value.
template <typename A, typename B>
constexpr bool same(A a, B b) {
  return static_cast<std::underlying_type_t<A>>(a) == static_cast<std::underlying_type_t<B>>(b) &&
         sizeof(A) == sizeof(B);
}

static_assert(same(core::Role::kProducer, Role::Producer) &&
              same(core::Role::kWorker, Role::Worker) && same(core::Role::kAgent, Role::Agent) &&
              same(core::Role::kOperator, Role::Operator) && Role::MAX == Role::Operator);

static_assert(same(core::State::kNone, State::Unspecified) &&
              same(core::State::kScheduled, State::Scheduled) &&
              same(core::State::kQueued, State::Queued) &&
              same(core::State::kRunning, State::Running) &&
              same(core::State::kSucceeded, State::Succeeded) &&
              same(core::State::kDead, State::Dead) &&
              same(core::State::kExpired, State::Expired) &&
              same(core::State::kCancelled, State::Cancelled) &&
              core::kStates == static_cast<std::size_t>(State::MAX) + 1);

static_assert(same(core::Known::kNone, Known::Unspecified) &&
              same(core::Known::kWaiting, Known::Waiting) &&
              same(core::Known::kRunning, Known::Running) &&
              same(core::Known::kFinal, Known::Final) &&
              same(core::Known::kUnknown, Known::Unknown) &&
              same(core::Known::kGone, Known::Gone) && Known::MAX == Known::Gone);

static_assert(same(core::Outcome::kSucceeded, Outcome::Succeeded) &&
              same(core::Outcome::kRaised, Outcome::Raised) &&
              same(core::Outcome::kRejected, Outcome::Rejected) &&
              same(core::Outcome::kRetryAsked, Outcome::RetryAsked) &&
              same(core::Outcome::kTimedOut, Outcome::TimedOut) &&
              same(core::Outcome::kCrashed, Outcome::Crashed) &&
              same(core::Outcome::kCancelled, Outcome::Cancelled) &&
              same(core::Outcome::kHandedBack, Outcome::HandedBack) &&
              same(core::Outcome::kLost, Outcome::Lost) &&
              core::kLastOutcome == static_cast<std::uint8_t>(Outcome::MAX));

static_assert(same(core::DeadReason::kRaised, DeadReason::Raised) &&
              same(core::DeadReason::kTimedOut, DeadReason::TimedOut) &&
              same(core::DeadReason::kCrashed, DeadReason::Crashed) &&
              same(core::DeadReason::kRejected, DeadReason::Rejected) &&
              DeadReason::MAX == DeadReason::Rejected);

static_assert(same(core::QueueAction::kLook, QueueAction::Look) &&
              same(core::QueueAction::kPause, QueueAction::Pause) &&
              same(core::QueueAction::kResume, QueueAction::Resume) &&
              same(core::QueueAction::kDrain, QueueAction::Drain) &&
              same(core::QueueAction::kSetWeight, QueueAction::SetWeight) &&
              QueueAction::MAX == QueueAction::SetWeight);

static_assert(same(core::SweepAction::kPurge, SweepAction::Purge) &&
              same(core::SweepAction::kReplay, SweepAction::Replay) &&
              same(core::SweepAction::kDrop, SweepAction::Drop) &&
              SweepAction::MAX == SweepAction::Drop);

static_assert(same(core::Encoding::kBytes, Encoding::Bytes) &&
              same(core::Encoding::kUtf8, Encoding::Utf8) &&
              same(core::Encoding::kJson, Encoding::Json) &&
              same(core::Encoding::kFlatBuffer, Encoding::FlatBuffer) &&
              same(core::Encoding::kNpy, Encoding::Npy) &&
              core::kLastEncoding == static_cast<std::uint8_t>(Encoding::MAX));

static_assert(same(core::Durability::kMemory, Durability::Memory) &&
              same(core::Durability::kStored, Durability::Stored) &&
              same(core::Durability::kFsynced, Durability::Fsynced) &&
              same(core::Durability::kReplicated, Durability::Replicated) &&
              Durability::MAX == Durability::Replicated);

static_assert(same(core::WorkerEnd::kCrashed, WorkerEnd::Crashed) &&
              same(core::WorkerEnd::kTimedOut, WorkerEnd::TimedOut) &&
              same(core::WorkerEnd::kCancelled, WorkerEnd::Cancelled) &&
              same(core::WorkerEnd::kRecycled, WorkerEnd::Recycled) &&
              same(core::WorkerEnd::kStopped, WorkerEnd::Stopped) &&
              WorkerEnd::MAX == WorkerEnd::Stopped);

static_assert(same(core::BackoffKind::kExponential, Backoff::Exponential) &&
              same(core::BackoffKind::kFixed, Backoff::Fixed) &&
              same(core::BackoffKind::kListed, Backoff::Listed) && Backoff::MAX == Backoff::Listed);

static_assert(same(core::Code::kNone, Code::Unspecified) &&
              same(core::Code::kMalformedFrame, Code::MalformedFrame) &&
              same(core::Code::kUnsupportedVersion, Code::UnsupportedVersion) &&
              same(core::Code::kUnknownKind, Code::UnknownKind) &&
              same(core::Code::kHelloFirst, Code::HelloFirst) &&
              same(core::Code::kWrongRole, Code::WrongRole) &&
              same(core::Code::kTooLarge, Code::TooLarge) &&
              same(core::Code::kTooMany, Code::TooMany) &&
              same(core::Code::kInvalidArgument, Code::InvalidArgument) &&
              same(core::Code::kInvalidName, Code::InvalidName) &&
              same(core::Code::kDuplicateMismatch, Code::DuplicateMismatch) &&
              same(core::Code::kQueueFull, Code::QueueFull) &&
              same(core::Code::kWindowFull, Code::WindowFull) &&
              same(core::Code::kStoreUnavailable, Code::StoreUnavailable) &&
              same(core::Code::kStoreFull, Code::StoreFull) &&
              same(core::Code::kShuttingDown, Code::ShuttingDown) &&
              same(core::Code::kQueuePaused, Code::QueuePaused) &&
              same(core::Code::kQuotaExceeded, Code::QuotaExceeded) &&
              same(core::Code::kUnknownJob, Code::UnknownJob) &&
              same(core::Code::kGoneJob, Code::GoneJob) &&
              same(core::Code::kAlreadyFinal, Code::AlreadyFinal) &&
              same(core::Code::kStaleLease, Code::StaleLease) &&
              same(core::Code::kUnknownWorker, Code::UnknownWorker) &&
              same(core::Code::kCreditExceeded, Code::CreditExceeded) &&
              same(core::Code::kIncompatibleContract, Code::IncompatibleContract) &&
              same(core::Code::kNotPermitted, Code::NotPermitted) &&
              same(core::Code::kSlowReader, Code::SlowReader) &&
              same(core::Code::kUnknownQueue, Code::UnknownQueue) &&
              Code::MAX == Code::UnknownQueue);

// The generated names are the protocol's.
std::string_view or_unknown(const char* name) { return *name == '\0' ? "?" : name; }

}  // namespace

std::string_view name_of(core::Code code) {
  return or_unknown(EnumNameCode(static_cast<Code>(code)));
}

std::string_view name_of(core::Role role) {
  return or_unknown(EnumNameRole(static_cast<Role>(role)));
}

std::string_view name_of(core::Outcome outcome) {
  return or_unknown(EnumNameOutcome(static_cast<Outcome>(outcome)));
}

std::string_view name_of(core::Durability durability) {
  return or_unknown(EnumNameDurability(static_cast<Durability>(durability)));
}

std::string_view name_of(Body kind) { return or_unknown(EnumNameBody(kind)); }

}  // namespace jobwire::wire
