// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "jobwire/export.h"
#include "jobwire/job_id.h"

JOBWIRE_NAMESPACE_BEGIN

/// What close() leaves behind.
struct JOBWIRE_EXPORT CloseReport {
  /// Jobs that the client took and for which no receipt came. The broker may have some of them:
  /// submitting them again with these ids is safe.
  std::vector<JobId> unreceipted;
  /// Of those, the posted jobs that are in the spool file and go out with the next start.
  std::vector<JobId> spooled;
  /// Posted jobs that made room for newer ones over the client's life.
  std::uint64_t dropped = 0;

  /// True when every job that the client took was receipted, refused to the caller's face, or is
  /// safe in the spool file.
  [[nodiscard]] bool clean() const noexcept {
    return unreceipted.size() == spooled.size() && dropped == 0;
  }
};

JOBWIRE_NAMESPACE_END
