// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "core/record.h"
#include "core/time.h"

namespace jobwire::core {

/// Every number that the rules depend on. The defaults are the documented ones; no value means "no
/// limit".
struct EngineConfig {
  RetryPolicy retry;
  Millis default_timeout{600'000};

  // Bounds on intake.
  std::uint32_t max_queues = 10'000;
  std::uint32_t max_types = 10'000;
  std::uint32_t max_contracts = 256;  // of one type, since the start
  std::uint64_t max_queue_jobs = 10'000'000;
  std::uint64_t max_queue_bytes = 16ULL << 30;  // of payloads, in the store
  std::uint32_t window_jobs = 16'384;           // per session, submitted and not yet receipted
  std::uint64_t window_bytes = 64ULL << 20;
  std::uint64_t max_unstored_jobs = 200'000;  // all sessions, waiting for the store
  std::uint64_t max_unstored_bytes = 256ULL << 20;
  std::uint64_t payload_budget = 64ULL << 20;     // payloads of waiting jobs that stay in memory
  std::uint64_t checkpoint_budget = 64ULL << 20;  // of jobs that have not ended, all together

  // Retention of finished jobs, whichever comes first.
  Millis keep_finished{15 * 60'000};
  std::uint64_t keep_finished_jobs = 500'000;  // per queue
  std::uint64_t keep_finished_bytes = 1ULL << 30;
  Millis keep_dead{14LL * 24 * 3'600'000};
  std::uint64_t keep_dead_jobs = 100'000;

  // Sessions and hosts.
  Millis heartbeat{2'000};
  Millis session_timeout{30'000};
  Millis adoption_window{5'000};

  // Leases.
  Micros dispatch_ahead{5'000};  // measured work that may wait in a worker beyond its slots
  Micros recall_after{
      20'000};  // a job that waits so long in a worker is called back for an idle one
  Millis deadline_grace{5'000};  // the broker's own deadline behind the agent's
  Millis cancel_grace{5'000};
  Millis running_mark_delay{250};  // a job that runs no longer is never written as running

  // One transaction.
  // 600 jobs hold Redis for about 3.6 ms (EXEC, measured); fewer cost throughput under `always`,
  // more gain none.
  std::uint32_t max_batch_jobs = 600;
  std::uint64_t max_batch_bytes = 8ULL << 20;
  std::uint32_t max_batch_removals = 600;
};

}  // namespace jobwire::core
