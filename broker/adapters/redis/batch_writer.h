// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "adapters/redis/command_buffer.h"
#include "adapters/redis/index_moves.h"
#include "adapters/redis/job_writer.h"
#include "adapters/redis/keys.h"
#include "core/record.h"

namespace jobwire::redis {

/// The bytes of one fenced transaction, ready to send, and again after a lost connection.
struct Transaction {
  std::uint64_t sequence = 0;
  std::string bytes;
  std::size_t commands = 0;  // between MULTI and EXEC
  bool adds_jobs = false;    // what a full Redis may refuse
};

/// Begins and ends a fenced transaction: MULTI … EXEC, WATCH epoch, GET epoch, in one round trip.
/// The WATCH of the previous one decides whether this EXEC takes effect.
void begin_transaction(CommandBuffer& out);
Transaction end_transaction(const Keys& keys, CommandBuffer& out);

/// Turns a Batch into one transaction. Keeps its memory from batch to batch.
class BatchWriter {
 public:
  struct Limits {
    std::uint32_t events_kept = 10'000;
    core::Millis host_ttl{60'000};
  };
  BatchWriter(const Keys& keys, Limits limits) : keys_(keys), limits_(limits), jobs_(keys) {}

  /// `storage`: a string whose memory may be used again.
  Transaction write(const core::Batch& batch, std::string&& storage);

 private:
  void write_job(const core::JobWrite& write);
  void write_removals(const core::Batch& batch);
  void write_counters(const core::QueueDelta& delta);
  void write_settings(const core::QueueWrite& write);
  void write_host(const core::HostWrite& host);
  void write_type(const core::TypeWrite& type);
  void write_contract(const core::ContractWrite& contract);
  void write_ttl(const core::JobWrite& write);

  const Keys& keys_;
  Limits limits_;
  JobWriter jobs_;
  IndexMoves moves_;
  CommandBuffer out_;
};

}  // namespace jobwire::redis
