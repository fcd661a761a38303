// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "app/config.h"
#include "app/signals.h"

namespace jobwire::app {

/// What jobwired ends with.
enum class Exit : int {
  kDone = 0,
  kBroken = 1,    // it could not store in time what it had taken, or it was told twice to stop
  kUsage = 2,     // configuration, port, data folder: one line on stderr says what to change
  kFenced = 3,    // another broker has the shard
  kDiverged = 4,  // the store lost what was promised, or is another one
};

/// Serves until it is told to stop, or cannot go on: binds, starts or finds Redis, recovers, runs
/// the broker. While Redis is away it waits, and says so now and then.
Exit serve(const Config& config, StopSignals& signals);

}  // namespace jobwire::app
