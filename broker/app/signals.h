// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/time.h"

namespace jobwire::app {

/// SIGTERM and SIGINT as a descriptor that can be polled. Make it before any thread is started:
/// threads inherit that the two are blocked, so that they reach nobody else. SIGPIPE and SIGHUP are
/// ignored.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  int descriptor() const { return descriptor_; }
  /// How many have come so far. Never blocks.
  int count();
  /// Sleeps until one comes or the time is over.
  void wait(core::Millis limit) const;

 private:
  int descriptor_;
  int count_ = 0;
};

}  // namespace jobwire::app
