// SPDX-License-Identifier: Apache-2.0
#include "core/job_filter.h"

namespace jobwire::core {

bool fits(const JobFilter& filter, const DeadView& dead) {
  const JobRecord& job = dead.job;
  if (!filter.error.empty()) {
    std::string line(dead.error_type);
    (line += ": ") += dead.error_message;
    if (line.find(filter.error) == std::string::npos) return false;
  }
  return (filter.queue.empty() || filter.queue == job.queue) &&
         (filter.type.empty() || filter.type == job.type) &&
         (filter.reason == DeadReason::kNone || filter.reason == job.reason) &&
         (filter.before == Wall{} || job.finished < filter.before);
}

}  // namespace jobwire::core
