// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/contract.h"
#include "core/event.h"
#include "core/record.h"
#include "sim/network.h"
#include "sim/plan.h"

/// What peers send, encoded as an SDK would.
namespace jobwire::sim {

/// A job as its producer means it.
struct JobSpec {
  core::JobId id;
  std::string queue;
  std::string type;
  Buffer payload;
  core::Encoding encoding = core::Encoding::kBytes;
  std::uint8_t priority = 4;
  std::uint32_t timeout_ms = 0;
  std::uint64_t delay_ms = 0;
  std::int64_t not_before_ms = 0;
  std::int64_t expires_at_ms = 0;
  std::uint64_t result_ttl_ms = 0;
  std::string dedup_key;
  std::uint64_t dedup_window_ms = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::optional<core::RetryPolicy> retry;
  std::uint64_t contract = 0;
  bool watch = false;
  bool keep_payload = false;
};

struct LeaseNote {
  core::LeaseToken token;
  core::JobId job;
  std::uint64_t worker = 0;
  std::int64_t started_ms = 0;
  std::uint16_t attempt = 0;
  bool finished = false;
};

struct ResultNote {
  core::LeaseToken token;
  core::JobId job;
  core::Outcome outcome = core::Outcome::kNone;
  std::uint64_t run_us = 0;
  std::int64_t started_ms = 0;
  std::uint32_t retry_delay_ms = 0;
  Buffer payload;  // a result, or a JobError buffer
};

Packet hello(core::Role role, const core::HostId& host, const std::string& host_name,
             std::uint64_t worker);
Packet goodbye();
Packet heartbeat(std::uint64_t sequence, const std::vector<std::uint64_t>& workers,
                 const std::vector<LeaseNote>& running);
Packet submit(std::uint64_t request, std::span<const JobSpec* const> jobs);
Packet result_request(std::uint64_t request, std::span<const core::JobId> ids, bool wait);
Packet cancel(std::uint64_t request, std::span<const core::JobId> ids, const std::string& reason);
Packet ready(const std::vector<std::string>& queues, const std::vector<std::string>& types,
             const std::map<std::string, TypeDefault>& declared, const core::Contract& contract,
             std::uint16_t slots, std::uint16_t credit, const std::vector<LeaseNote>& held);
Packet results(std::uint64_t sequence, std::span<const ResultNote> results);
/// A worker's word about one of its leases: the number of the word, and the lease in the message.
Packet progress(const core::LeaseToken& token, std::uint32_t word);
struct SaveNote {
  core::LeaseToken token;
  std::uint32_t number = 0;
  Buffer bytes;
};
Packet checkpoints(std::span<const SaveNote> notes);
Packet hand_back(std::span<const core::LeaseToken> tokens);
Packet worker_down(std::uint64_t worker, core::WorkerEnd end,
                   const std::vector<LeaseNote>& running);
Buffer job_error(const std::string& type, const std::string& message, bool retryable);

struct QueueOrder {
  std::uint64_t request = 0;
  core::QueueAction action = core::QueueAction::kNone;
  std::string queue;
  std::string why;
  std::int64_t until_ms = 0;
  std::uint32_t weight = 0;
};

struct SweepOrder {
  std::uint64_t request = 0;
  core::SweepAction action = core::SweepAction::kNone;
  std::string queue;
  std::string type;
  bool dry_run = false;
  std::uint32_t rate_per_s = 0;
  std::uint64_t limit = 0;
  std::string to_queue;
};

Packet queue_command(const QueueOrder& order);
Packet sweep(const SweepOrder& order);
Packet dead_query(std::uint64_t request, std::uint32_t limit, bool full);

template <typename CoreId>
CoreId id_of(const wire::Id& id) {
  CoreId out;
  std::memcpy(out.bytes.data(), &id, out.bytes.size());
  return out;
}

}  // namespace jobwire::sim
