// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/code.h"
#include "core/ids.h"
#include "core/job_filter.h"
#include "core/queue_settings.h"
#include "core/record.h"
#include "core/time.h"

/// What operators ask, and what they are answered.
namespace jobwire::core {

enum class QueueAction : std::uint8_t { kNone = 0, kLook, kPause, kResume, kDrain, kSetWeight };

struct QueueAsked {
  SessionId session{};
  std::uint64_t request = 0;
  QueueAction action = QueueAction::kNone;
  std::string_view queue;  // Look: empty for a page of all
  std::string_view by;
  std::string_view why;
  std::int64_t until_ms = 0;
  std::uint32_t weight = 0;
  std::string_view after;
  std::uint32_t limit = 0;
};

struct QueueView {
  std::string_view name;  // the engine's, for its life
  QueueSettings settings;
  std::uint64_t scheduled = 0;
  std::uint64_t queued = 0;
  std::uint64_t running = 0;
  std::uint64_t bytes = 0;
  std::uint32_t workers = 0;
  std::uint64_t dead = 0;
  std::uint64_t finished = 0;
};

struct QueueReplyOut {
  SessionId session{};
  std::uint64_t request = 0;
  Code code = Code::kNone;
  const char* message = "";
  Millis retry_after{0};
  std::vector<QueueView> queues;
  bool more = false;  // behind the last of them
};

enum class SweepAction : std::uint8_t { kNone = 0, kPurge, kReplay, kDrop };

struct SweepAsked {
  SessionId session{};
  std::uint64_t request = 0;
  SweepAction action = SweepAction::kNone;
  JobFilter filter;  // `before` zero: now
  std::string_view by;
  std::string_view why;
  bool dry_run = false;
  std::uint32_t rate_per_s = 0;  // 0: no cap
  std::uint64_t limit = 0;       // 0: all
  std::string_view to_queue;
};

struct SweepReportOut {
  SessionId session{};
  std::uint64_t request = 0;
  Code code = Code::kNone;
  const char* message = "";
  Millis retry_after{0};
  std::uint64_t matched = 0;
  std::uint64_t done = 0;
  std::uint64_t failed = 0;
  bool finished = false;
  Wall before{};
};

/// A contract to keep, or without a schema to forget. What it says is no business of the rules.
struct ContractAsked {
  SessionId session{};
  std::uint64_t request = 0;
  std::string_view name;
  Bytes schema;
};

/// The change is stored, or (with a code) has changed nothing.
struct ContractDoneOut {
  SessionId session{};
  std::uint64_t request = 0;
  Code code = Code::kNone;
  const char* message = "";
  Millis retry_after{0};
  std::string name;
  Bytes schema;
};

/// A place in the index of one queue and state: its order is by time, then by id.
struct IndexPlace {
  Wall time{};
  JobId id;
  friend auto operator<=>(const IndexPlace&, const IndexPlace&) = default;
};

/// Dead jobs to read from the store, without payload, result and attempts; answered by DeadScanned.
struct DeadScanOut {
  std::uint64_t sweep = 0;  // comes back with the answer
  std::string queue;
  IndexPlace after;
  std::uint32_t limit = 0;
  std::vector<JobId> ids;  // not empty: these, whatever queue they are in
};

struct DeadScanned {
  std::uint64_t sweep = 0;
  std::span<const DeadView> jobs;
  IndexPlace end;  // of the last that was looked at
  bool last = false;
};

/// A dead job of an export.
struct ImportedJob {
  Wall created{};
  Wall died{};
  DeadReason reason = DeadReason::kNone;
  std::uint16_t attempts = 0;
  std::uint16_t raised = 0;
  std::uint16_t timed_out = 0;
  std::uint16_t crashed = 0;
  std::uint32_t generation = 0;
  std::string_view origin_queue;
  std::vector<Attempt> attempt_list;
};

}  // namespace jobwire::core
