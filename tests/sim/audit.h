// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "core/engine.h"

namespace jobwire::core {

/// Compares the engine's sums and links with what they are made of. Reads only. O(jobs + leases +
/// sessions).
class EngineAudit {
 public:
  explicit EngineAudit(Engine& engine) : engine_(engine) {}

  /// What does not fit, or nothing.
  std::string check();

  /// After everything has ended: nothing is left but what is kept of finished jobs.
  std::string check_idle();

  /// Leases that wait behind others and were not asked back, while a worker that serves them has
  /// nothing to do. That may be so for a moment.
  std::vector<LeaseToken> held_up();

  /// Workers that would be given a job now if they had room.
  std::size_t ready_workers() const;

 private:
  std::string check_jobs();
  std::string check_leases();
  std::string check_lanes();
  std::string check_rooms();
  std::string check_sessions();
  std::string check_bounds();

  Engine& engine_;
};

}  // namespace jobwire::core
