// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "adapters/log/spdlog_log.h"
#include "adapters/zmq/zmq_transport.h"
#include "ports/log.h"
#include "ports/result.h"
#include "runtime/broker.h"

namespace jobwire::app {

enum class Aof : std::uint8_t { kAlways, kEverysec, kNo };

/// What jobwired was told. The defaults are here, each once.
struct Config {
  std::string listen = "tcp://127.0.0.1:7700";
  std::string listen_workers = "tcp://127.0.0.1:7701";
  bool insecure = false;
  std::uint32_t send_queue = 1000;
  std::uint64_t send_bytes = zmq_adapter::TransportOptions{}.send_bytes;
  std::uint64_t send_total_bytes = zmq_adapter::TransportOptions{}.send_total_bytes;

  std::string data_dir;  // filled from the environment when it is not set
  std::string redis;     // empty: the embedded one
  Aof aof = Aof::kAlways;
  std::uint64_t redis_memory = 0;   // of the embedded one; 0: no limit
  std::uint64_t redis_reserve = 0;  // 0: as the store says
  std::string shard = "0";

  log::Format log_format = log::Format::kText;
  ports::Level log_level = ports::Level::kInfo;
  std::string contracts;  // folder; empty: those that the store keeps
  std::string ready_file;
  std::uint64_t memory_limit = 0;  // 0: none

  runtime::BrokerConfig broker;
};

enum class Source : std::uint8_t { kDefault, kFile, kEnvironment, kFlag };

/// The value of an environment variable, if it is set. An argument, so that nothing here reads the
/// process's own.
using Environment = std::function<std::optional<std::string>(const std::string&)>;

struct Command {
  /// Serve; or print `text` and leave with 0: help, version, or the effective configuration.
  enum class Action : std::uint8_t { kServe, kPrint } action = Action::kServe;
  Config config;
  std::string text;
};

/// Reads defaults < configuration file < environment (JOBWIRE_…) < flags, checks each value and how
/// they go together. A failure is one line that names the value, where it came from, and what would
/// be right.
ports::Result<Command> read_command(const std::vector<std::string>& arguments,
                                    const Environment& environment);

}  // namespace jobwire::app
