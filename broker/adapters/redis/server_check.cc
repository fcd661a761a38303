// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/server_check.h"

#include <algorithm>
#include <charconv>

#include "adapters/redis/server_error.h"

namespace jobwire::redis {
namespace {

bool at_least_6_2(std::string_view version) {
  int major = 0;
  int minor = 0;
  const char* end = version.data() + version.size();
  const char* dot = std::from_chars(version.data(), end, major).ptr;
  if (dot != end) std::from_chars(dot + 1, end, minor);
  return major > 6 || (major == 6 && minor >= 2);
}

/// CONFIG may be forbidden: then nothing is known of fsync, and nothing is claimed.
core::Durability durability_of(const std::string& aof_enabled, const std::string& appendfsync) {
  if (aof_enabled != "1") return core::Durability::kMemory;
  if (appendfsync == "always") return core::Durability::kFsynced;
  if (appendfsync == "everysec") return core::Durability::kStored;
  return core::Durability::kMemory;
}

}  // namespace

std::string info_line(std::string_view info, std::string_view name) {
  std::size_t at = 0;
  while (at < info.size()) {
    const std::size_t end = std::min(info.find('\n', at), info.size());
    std::string_view line = info.substr(at, end - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ':')
      return std::string(line.substr(name.size() + 1));
    at = end + 1;
  }
  return {};
}

std::size_t write_login(const Endpoint& endpoint, CommandBuffer& out) {
  std::size_t replies = 0;
  if (!endpoint.password.empty()) {
    out.next("AUTH", 3);
    if (!endpoint.user.empty()) out.arg(endpoint.user);
    out.arg(endpoint.password);
    ++replies;
  }
  if (endpoint.database != 0) {
    out.next("SELECT", 2);
    out.number(endpoint.database);
    ++replies;
  }
  return replies;
}

ports::Failure failure_of(const Endpoint& endpoint, std::string_view error) {
  const std::string where = "redis at " + endpoint.to_string();
  switch (classify(error)) {
    case ServerError::kAway:
    case ServerError::kFull:
      return {where + " is not ready: " + std::string(error), true};
    case ServerError::kDenied:
      return {where + " refuses us: " + std::string(error), false};
    case ServerError::kOther:
      return {where + " answered: " + std::string(error), false};
  }
  return {};
}

ports::Result<Server> check_server(Connection& connection, const RedisOptions& options) {
  const Endpoint& endpoint = connection.endpoint();
  CommandBuffer out;
  const std::size_t login = write_login(endpoint, out);
  for (const char* section : {"server", "memory", "persistence", "replication"}) {
    out.next("INFO", 2);
    out.arg(section);
  }
  out.next("CONFIG", 3);
  out.arg("GET");
  out.arg("appendfsync");

  std::string info;
  std::string appendfsync;
  std::string error;
  bool config_denied = false;
  std::size_t step = 0;
  const std::size_t config_step = login + 4;
  const std::string bytes = out.take();
  const auto take = [&](const Reply& reply) {
    if (step == config_step) {
      config_denied = reply.is_error();
      if (reply.is_array() && reply.size() == 3) appendfsync = reply.text(2);
    } else if (reply.is_error()) {
      if (error.empty()) error = reply.text();
    } else if (step >= login) {
      (info += reply.text()) += '\n';
    }
    ++step;
  };
  if (!connection.call(bytes, config_step + 1, options.reply_timeout, take))
    return ports::Failure{connection.error(), !connection.hopeless()};
  if (!error.empty()) return failure_of(endpoint, error);

  const std::string where = "redis at " + endpoint.to_string();
  Server server;
  server.version = info_line(info, "redis_version");
  server.run_id = info_line(info, "run_id");
  if (!at_least_6_2(server.version))
    return ports::Failure{where + " is version " + server.version + "; 6.2 or later is needed",
                          false};
  if (info_line(info, "redis_mode") == "cluster")
    return ports::Failure{where + " is a cluster node; only standalone Redis is supported", false};
  if (info_line(info, "loading") == "1")
    return ports::Failure{where + " is still loading its data", true};
  const std::string policy = info_line(info, "maxmemory_policy");
  if (policy != "noeviction")
    return ports::Failure{
        where + " would throw jobs away when memory runs short: maxmemory-policy is " + policy +
            ", set it to noeviction",
        false};
  if (info_line(info, "role") != "master") return ports::Failure{where + " is a replica", true};

  const std::string aof = info_line(info, "aof_enabled");
  server.durability = durability_of(aof, appendfsync);
  server.description = "redis " + server.version + " at " + endpoint.to_string() + ", ";
  if (aof != "1") {
    server.description += "AOF off";
  } else if (config_denied) {
    server.description +=
        "AOF on, but CONFIG GET appendfsync is not permitted: promising memory only";
  } else {
    server.description += "AOF " + appendfsync;
  }
  return server;
}

}  // namespace jobwire::redis
