// SPDX-License-Identifier: Apache-2.0
#include "app/server.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

#include "adapters/clock/system_clock.h"
#include "adapters/contracts/contract_folder.h"
#include "adapters/contracts/contract_set.h"
#include "adapters/log/line.h"
#include "adapters/redis/embedded_redis.h"
#include "adapters/redis/redis_store.h"
#include "adapters/zmq/zmq_transport.h"
#include "app/process_limits.h"
#include "app/ready_file.h"
#include "runtime/broker.h"

namespace jobwire::app {
namespace {

using ports::Level;
using ports::Side;

// Redis may be starting, or away: each try blocks for its connect timeout at most.
constexpr core::Millis kBetweenTries{500};
// Goodbyes and last receipts may still leave.
constexpr core::Millis kLinger{2000};

template <typename T>
T random_value() {
  T value;
  if (getrandom(&value, sizeof value, 0) != static_cast<ssize_t>(sizeof value)) std::abort();
  return value;
}

Exit usage(const std::string& message) {
  std::fprintf(stderr, "jobwired: %s\n", log::one_line(message).c_str());
  return Exit::kUsage;
}

redis::Aof to_redis(Aof aof) {
  switch (aof) {
    case Aof::kAlways:
      return redis::Aof::kAlways;
    case Aof::kEverysec:
      return redis::Aof::kEverysec;
    case Aof::kNo:
      return redis::Aof::kOff;
  }
  return redis::Aof::kAlways;
}

std::string owner_name() {
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  return fmt::format("{}:{}", host.data(), getpid());
}

redis::EmbeddedOptions embedded_options(const Config& config, ports::Log& log) {
  redis::EmbeddedOptions options;
  options.data_directory = config.data_dir;
  options.aof = to_redis(config.aof);
  options.max_memory_bytes = config.redis_memory;
  options.log = [&log](std::string_view line) { log.write(Level::kInfo, "redis", line); };
  return options;
}

// Tries until the store lets us in. Nothing when a signal came first.
std::optional<ports::Status> recover(runtime::Broker& broker, redis::EmbeddedRedis* embedded,
                                     const ports::Clock& clock, ports::Log& log,
                                     StopSignals& signals) {
  while (signals.count() == 0) {
    const ports::Status status = broker.recover();
    if (status || !status.failure().retryable) return status;
    log.write(Level::kWarning, "store-absent",
              "waiting for the store: " + status.failure().message);
    if (embedded) embedded->poll(clock.now().steady);
    signals.wait(kBetweenTries);
  }
  return {};
}

Exit exit_of(runtime::End end) {
  switch (end) {
    case runtime::End::kDrained:
      return Exit::kDone;
    case runtime::End::kRunning:
    case runtime::End::kTimedOut:
      return Exit::kBroken;
    case runtime::End::kFenced:
      return Exit::kFenced;
    case runtime::End::kDiverged:
      return Exit::kDiverged;
  }
  return Exit::kBroken;
}

}  // namespace

Exit serve(const Config& config, StopSignals& signals) {
  const clock::SystemClock clock;
  log::SpdlogLog log(config.log_format, config.log_level, clock, log::stderr_sink());
  const std::uint64_t descriptors = raise_descriptor_limit();
  give_back_large_blocks();

  ReadyFile ready(config.ready_file);
  ready.clear();

  zmq_adapter::TransportOptions transport_options;
  transport_options.producers = config.listen;
  transport_options.workers = config.listen_workers;
  transport_options.insecure = config.insecure;
  transport_options.send_queue = static_cast<int>(config.send_queue);
  transport_options.send_bytes = config.send_bytes;
  transport_options.send_total_bytes = config.send_total_bytes;
  transport_options.max_frame_bytes = config.broker.limits.max_message_bytes;
  auto transport = zmq_adapter::ZmqTransport::open(transport_options);
  if (!transport) return usage(transport.failure().message);
  (*transport)->wake_on(signals.descriptor());

  redis::RedisOptions redis_options;
  redis_options.shard = config.shard;
  redis_options.owner = owner_name();
  redis_options.reserve_bytes = config.redis_reserve;
  redis_options.log = [&log](std::string_view line) { log.write(Level::kWarning, "redis", line); };
  std::unique_ptr<redis::EmbeddedRedis> embedded;
  if (config.redis.empty()) {
    embedded = std::make_unique<redis::EmbeddedRedis>(embedded_options(config, log));
    const ports::Status started = embedded->start();
    if (!started) return usage(started.failure().message);
    redis_options.endpoint = embedded->endpoint();
  } else {
    auto endpoint = redis::Endpoint::parse(config.redis);
    if (!endpoint) return usage(endpoint.failure().message);
    redis_options.endpoint = *endpoint;
  }
  // After Redis was started, which has a limit of its own.
  const ports::Status limited = limit_memory(config.memory_limit);
  if (!limited) return usage(limited.failure().message);

  redis::RedisStore store(redis_options);
  runtime::Broker broker(config.broker, store, **transport, clock, log,
                         random_value<std::array<std::uint8_t, 16>>(),
                         random_value<std::uint64_t>());
  contracts::ContractSet contract_set;
  std::optional<std::vector<ports::ContractFile>> deployed;
  if (!config.contracts.empty()) {
    auto read = contracts::read_contract_folder(config.contracts);
    if (!read) return usage(read.failure().message);
    // Before the store learns of them.
    if (const ports::Status good = contract_set.load(*read); !good)
      return usage(good.failure().message);
    deployed = std::move(*read);
  }
  broker.use(contract_set, std::move(deployed));
  const auto recovered = recover(broker, embedded.get(), clock, log, signals);
  if (!recovered) {
    log.write(Level::kInfo, "", "stopped before the store was there");
    return Exit::kDone;
  }
  if (!*recovered) return usage(recovered->failure().message);

  const std::string redis_name = redis_options.endpoint.to_string();
  const ports::Status written = ready.write((*transport)->endpoint(Side::kProducers),
                                            (*transport)->endpoint(Side::kWorkers), redis_name);
  if (!written) return usage(written.failure().message);
  log.write(
      Level::kInfo, "",
      fmt::format("jobwired {} serves producers at {} and workers at {}, store {}, {} descriptors",
                  config.broker.version, (*transport)->endpoint(Side::kProducers),
                  (*transport)->endpoint(Side::kWorkers), redis_name, descriptors));

  if (config.insecure) {
    log.write(Level::kWarning, "", "insecure: whoever can connect can submit and run jobs");
  }

  while (broker.end() == runtime::End::kRunning) {
    broker.turn();
    if (embedded) embedded->poll(clock.now().steady);
    log.tell_left_out();
    switch (signals.count()) {
      case 0:
        break;
      case 1:
        broker.begin_shutdown();
        break;
      default:
        log.write(Level::kError, "", "told twice to stop: not waiting for the store");
        return Exit::kBroken;
    }
  }
  const bool drained = broker.end() == runtime::End::kDrained;
  log.write(drained ? Level::kInfo : Level::kError, "", "stopped: " + broker.end_reason());
  (*transport)->close(kLinger);
  return exit_of(broker.end());
}

}  // namespace jobwire::app
