// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "adapters/redis/attempt_buffer.h"
#include "adapters/redis/command_buffer.h"
#include "adapters/redis/job_fields.h"
#include "adapters/redis/keys.h"
#include "core/record.h"

namespace jobwire::redis {

/// Turns one JobWrite into commands on the job's hash: one HSET of what the record sets, and, when
/// the stored hash may have fields that the record no longer sets, one HDEL of those. After them
/// the hash says what the record says; what never changes is written once.
class JobWriter {
 public:
  explicit JobWriter(const Keys& keys) : keys_(keys) {}
  void write(const core::JobWrite& write, CommandBuffer& out);
  void write(const core::ProgressWrite& word, CommandBuffer& out);
  void write(const core::CheckpointWrite& write, CommandBuffer& out);

 private:
  void write_once(const core::JobRecord& job, CommandBuffer& out);
  void write_now(const core::JobRecord& job, CommandBuffer& out);
  void write_attempts(const core::JobWrite& write, CommandBuffer& out);
  void drop(const core::JobWrite& write, CommandBuffer& out);

  const Keys& keys_;
  AttemptBuffer attempt_;
};

}  // namespace jobwire::redis
