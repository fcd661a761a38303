// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "adapters/redis/command_buffer.h"
#include "adapters/redis/keys.h"
#include "adapters/redis/reply_reader.h"
#include "ports/store.h"

namespace jobwire::redis {

enum class ReadOutcome : std::uint8_t { kFound, kMissing, kUnreadable };

/// HMGET of all that recovery wants: no payload, no result.
void ask_recovered(const Keys& keys, const core::JobId& id, CommandBuffer& out);
/// Puts the answer into `job`, which knows its id and is otherwise fresh.
ReadOutcome read_recovered(const Reply& reply, ports::StoredJob& job);

/// HMGET of the payload or of the head, or HGETALL.
void ask_job(const Keys& keys, const core::JobId& id, ports::ReadRequest::What what,
             CommandBuffer& out);
ReadOutcome read_job(const Reply& reply, ports::ReadRequest::What what, ports::StoredJob& job);

}  // namespace jobwire::redis
