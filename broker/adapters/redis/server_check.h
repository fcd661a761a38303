// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "adapters/redis/command_buffer.h"
#include "adapters/redis/connection.h"
#include "adapters/redis/redis_options.h"
#include "core/code.h"
#include "ports/result.h"

namespace jobwire::redis {

/// What a Redis says of itself.
struct Server {
  std::string version;
  core::Durability durability = core::Durability::kMemory;
  std::string run_id;       // another one after each start of the process
  std::string description;  // "redis 7.0.15, AOF always"
};

/// Puts AUTH and SELECT in front of everything else on a new connection. Answers how many replies
/// that brings.
std::size_t write_login(const Endpoint& endpoint, CommandBuffer& out);

/// The failure behind an error reply.
ports::Failure failure_of(const Endpoint& endpoint, std::string_view error);

/// The value of a line "name:value" in what INFO answers; empty when there is none.
std::string info_line(std::string_view info, std::string_view name);

/// Logs in on a connection that has just been made and reads version, memory policy and
/// persistence. Blocks for at most reply_timeout. Fails, not to be tried again, on a wrong
/// password, a version before 6.2, an eviction policy other than noeviction, or cluster mode; to be
/// tried again, while Redis loads its data or is a replica.
ports::Result<Server> check_server(Connection& connection, const RedisOptions& options);

}  // namespace jobwire::redis
