// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "adapters/redis/command_buffer.h"
#include "ports/store.h"

namespace jobwire::redis {

/// The fields of a job's hash. This list is their only home; schemas/REDIS.md is compared with it
/// by a test. Besides them there is one `attempt:<n>` for each attempt that ended.
enum class Field : std::uint8_t {
  kState,
  kQueue,
  kType,
  kCreated,
  kEncoding,
  kSize,
  kPriority,
  kTimeout,
  kExpires,
  kKeep,
  kOptions,
  kDue,
  kAttempts,
  kRaised,
  kTimedOut,
  kCrashed,
  kGeneration,
  kToken,
  kWorker,
  kStarted,
  kOrigin,
  kCheckpointEncoding,
  kCheckpoint,
  // not read at recovery
  kFinished,
  kRun,
  kReason,
  kCancelReason,
  kError,
  kStaleResults,
  kProgress,
  kProgressMessage,
  kProgressAt,
  kResultEncoding,
  kResult,
  kPayload,
};
inline constexpr std::size_t kRecoveredFields = static_cast<std::size_t>(Field::kFinished);
/// All but the last two, which may be big.
inline constexpr std::size_t kHeadFields = static_cast<std::size_t>(Field::kResult);

inline constexpr std::array<Bulk, static_cast<std::size_t>(Field::kPayload) + 1> kFieldNames = {
    "state",
    "queue",
    "type",
    "created_ms",
    "encoding",
    "size",
    "priority",
    "timeout_ms",
    "expires_ms",
    "keep_payload",
    "options",
    "due_ms",
    "attempts",
    "raised",
    "timed_out",
    "crashed",
    "generation",
    "token",
    "worker",
    "started_ms",
    "origin",
    "checkpoint_encoding",
    "checkpoint",
    "finished_ms",
    "run_us",
    "reason",
    "cancel_reason",
    "error",
    "stale_results",
    "progress",
    "progress_message",
    "progress_ms",
    "result_encoding",
    "result",
    "payload",
};

constexpr const Bulk& bulk_of(Field field) { return kFieldNames[static_cast<std::size_t>(field)]; }
constexpr std::string_view name_of(Field field) { return bulk_of(field).name(); }
std::optional<Field> field_named(std::string_view name);

/// Names of the values, as the hash shows them.
const Bulk& bulk_of(core::State state);
const Bulk& bulk_of(core::Encoding encoding);
const Bulk& bulk_of(core::DeadReason reason);

/// Puts the text of one field into the job. False when it is not what the field holds. The record's
/// views are set by StoredJob::rebind() afterwards. `result` and `payload` are copied.
bool read_field(Field field, std::string_view text, ports::StoredJob& job);

/// The line that is kept in the field `error`: "type: message", line breaks as spaces, at most 1
/// KiB.
std::string error_line(std::string_view type, std::string_view message);

}  // namespace jobwire::redis
