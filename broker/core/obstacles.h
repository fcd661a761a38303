// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/fleet.h"
#include "core/job_table.h"
#include "core/lanes.h"

namespace jobwire::core {

/// Says why a job in its queue cannot start, for people: that its queue is paused, that nobody
/// serves its queue, or its type and which ones with a name near to it there are, or which
/// contracts the workers have that do, and which one it needs. Made for the questions of one
/// message: it counts the workers once, and looks at each lane once. O(workers + groups), and of
/// types at most kMaxLooks names.
class Obstacles {
 public:
  Obstacles(Lanes& lanes, Fleet& fleet) : lanes_(lanes), fleet_(fleet) {}

  /// Absent when a worker that is here may run it. Requires: it is queued.
  std::shared_ptr<const std::string> before(const Job& job);

  /// Names compared with types that nobody serves; of more, later ones are left out.
  static constexpr std::size_t kMaxLooks = 1'000;

 private:
  void count_workers();
  std::string about_pause(const Lane& lane);
  std::string sentence(const Lane& lane);
  std::string about_type(const Lane& lane);
  std::string about_contracts(const Lane& lane);

  Lanes& lanes_;
  Fleet& fleet_;
  std::vector<std::uint32_t> workers_;  // here, by group
  std::size_t looks_ = 0;
  LaneIx last_{0xffffffff};
  std::shared_ptr<const std::string> answer_;
};

}  // namespace jobwire::core
