// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "jobwire/export.h"

JOBWIRE_NAMESPACE_BEGIN

/// How far a running job says it is.
struct JobProgress {
  using Time = std::chrono::system_clock::time_point;

  float value = 0;      ///< What the handler said; by custom 0 to 1.
  std::string message;  ///< At most 1 KiB.
  Time at{};            ///< By the broker's clock.
};

/// Called on the client's own thread (what is known already: on the waiting one), at most a few
/// times a second for each job, and never after the job's end was told; must be quick and must not
/// wait for anything from the client.
using ProgressFn = std::function<void(const JobProgress&)>;

JOBWIRE_NAMESPACE_END
