// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/ids.h"
#include "core/record.h"
#include "core/time.h"

namespace jobwire::core {

/// Which jobs; what is left out does not narrow.
struct JobFilter {
  std::string queue;
  std::string type;
  DeadReason reason = DeadReason::kNone;
  std::string error;  // a part of "type: message"
  Wall before{};      // created (of waiting jobs) or died (of dead ones) before; zero: whenever
  std::vector<JobId> ids;
};

/// A dead job as a filter sees it.
struct DeadView {
  const JobRecord& job;
  std::string_view error_type;
  std::string_view error_message;
};

/// Whether the filter fits a dead job; its ids are not looked at. Pure.
bool fits(const JobFilter& filter, const DeadView& dead);

}  // namespace jobwire::core
