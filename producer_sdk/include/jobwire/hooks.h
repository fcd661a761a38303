// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <string_view>

#include "jobwire/connection.h"
#include "jobwire/error.h"
#include "jobwire/export.h"
#include "jobwire/job.h"
#include "jobwire/job_id.h"
#include "jobwire/job_result.h"

JOBWIRE_NAMESPACE_BEGIN

enum class LogLevel { Debug, Info, Warning, Error };

/// The enumerator's name. Static storage.
JOBWIRE_EXPORT std::string_view to_string(LogLevel level) noexcept;

/// One thing that happened to one job inside a client, for metrics and traces. The pointers are
/// valid during the call.
struct JobEvent {
  enum class Kind {
    Sent,       ///< It is on its way to the broker, once more if this is not the first time.
    Receipted,  ///< The broker has it; `since_taken` is what submit took.
    Refused,    ///< The broker will not take it; `error` says why.
    GivenUp,    ///< No receipt in time, or dropped; `error` says why.
    Ended,      ///< Its result has come; `status` says how it ended.
  };
  Kind kind = Kind::Sent;
  JobId id;
  /// Null for Ended.
  const Job* job = nullptr;
  /// From the call that handed the job over until now; zero for Ended.
  std::chrono::microseconds since_taken{0};
  const Error* error = nullptr;
  const JobStatus* status = nullptr;
};

/// The enumerator's name. Static storage.
JOBWIRE_EXPORT std::string_view to_string(JobEvent::Kind kind) noexcept;

/// Where a program looks into a client. Nothing is called unless it is set, and then on the
/// client's own thread unless said otherwise (a job that is given up because it was dropped or the
/// client closes is told where that happens); all must be quick and must not call the client.
using LogFn = std::function<void(LogLevel, std::string_view)>;
using ConnectionFn = std::function<void(const Connection&)>;
using JobEventFn = std::function<void(const JobEvent&)>;
/// On the caller's thread with a copy of each job before it is taken, to add headers: a trace
/// context, a tenant.
using TraceFn = std::function<void(Job&)>;

JOBWIRE_NAMESPACE_END
