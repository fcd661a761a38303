// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "jobwire/export.h"
#include "jobwire/job_id.h"
#include "jobwire/job_state.h"

JOBWIRE_NAMESPACE_BEGIN

/// What a receipt promises: the failure that an accepted job survives.
enum class Durability {
  Unspecified,
  Memory,      ///< A restart of the broker, no more.
  Stored,      ///< kill -9 of broker, workers or store, one at a time.
  Fsynced,     ///< The above together, and power loss on an honest disk.
  Replicated,  ///< The above, and a failover of the store.
};

/// The enumerator's name. Static storage.
JOBWIRE_EXPORT std::string_view to_string(Durability durability) noexcept;

/// The broker's word that it has a job.
struct JOBWIRE_EXPORT Receipt {
  /// The job that counts: the submitted id, or the one that already holds the dedup key.
  JobId id;
  /// The broker knew the job before this submit.
  bool duplicate = false;
  /// Where the job stood when the receipt was written.
  JobState state = JobState::Unspecified;
  /// The level at which the broker keeps it.
  Durability durability = Durability::Unspecified;
};

JOBWIRE_NAMESPACE_END
