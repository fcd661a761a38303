// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace jobwire::core {

/// Why something was refused. The numbers are the protocol's (schemas/types.fbs, compared by a
/// static_assert in wire/names.cc); what each means to the peer is in PROTOCOL.md.
enum class Code : std::uint16_t {
  kNone = 0,
  kMalformedFrame = 1,
  kUnsupportedVersion = 2,
  kUnknownKind = 3,
  kHelloFirst = 4,
  kWrongRole = 5,
  kTooLarge = 6,
  kTooMany = 7,
  kInvalidArgument = 16,
  kInvalidName = 17,
  kDuplicateMismatch = 18,
  kQueueFull = 32,
  kWindowFull = 33,
  kStoreUnavailable = 34,
  kStoreFull = 35,
  kShuttingDown = 36,
  kQueuePaused = 37,
  kQuotaExceeded = 38,
  kUnknownJob = 48,
  kGoneJob = 49,
  kAlreadyFinal = 50,
  kStaleLease = 51,
  kUnknownWorker = 52,
  kCreditExceeded = 53,
  kIncompatibleContract = 54,
  kNotPermitted = 55,
  kSlowReader = 56,
  kUnknownQueue = 57,
};

/// What a receipt promises; the order is the order of strength.
enum class Durability : std::uint8_t { kUnspecified, kMemory, kStored, kFsynced, kReplicated };

}  // namespace jobwire::core
