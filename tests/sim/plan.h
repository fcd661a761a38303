// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/time.h"
#include "runtime/broker.h"
#include "sim/dice.h"

namespace jobwire::sim {

/// What the workers of a type say holds for jobs that say nothing themselves.
struct TypeDefault {
  std::optional<core::RetryPolicy> retry;
  std::uint32_t timeout_ms = 0;
};

/// What a run is made of, drawn from its seed: sizes, the broker's configuration, and which faults
/// come how often. Most runs have few kinds of faults, many of each; some have none; some have all.
struct Plan {
  runtime::BrokerConfig broker;
  core::Millis active{0};  // faults and new jobs; then calm, until everything has ended
  std::uint32_t producers = 1;
  std::uint32_t jobs_each = 0;
  std::uint32_t hosts = 1;
  std::uint32_t workers_each = 1;
  std::uint32_t lone_workers = 0;
  std::vector<std::string> queues;
  std::vector<std::string> types;
  bool has_operator = false;
  std::map<std::string, TypeDefault> declared;  // by type
  std::uint32_t contracts = 0;                  // versions of each type's contract that are about

  // The network.
  core::Micros latency_most{2'000};
  std::uint32_t pipe_messages = 1'000;  // to one peer, not yet read

  // The store.
  core::Micros store_latency_most{3'000};
  core::Micros read_latency_most{3'000};
  std::uint32_t kept_batches = 64;  // in the broker's memory, for a store that goes back
  std::uint32_t recovery_page = 50;

  /// Weights of the faults; 0 never.
  struct Faults {
    core::Millis between{0};  // mean time between two; 0: none at all
    double broker_crash = 0;
    double takeover = 0;
    double shutdown = 0;
    double store_slow = 0;
    double store_away = 0;
    double store_full = 0;
    double store_back = 0;  // goes backwards
    double link_cut = 0;
    double stall = 0;  // a peer that does not read
    double worker_crash = 0;
    double worker_wedge = 0;
    double worker_stop = 0;
    double host_loss = 0;
    double agent_mute = 0;
    double producer_silent = 0;
    double clock_step = 0;
  } faults;

  // What jobs are like.
  double fail = 0.15;
  double crash = 0.02;
  double hang = 0.02;
  double delayed = 0.15;
  double expiring = 0.1;
  double dedup = 0.1;
  double invalid = 0.03;
  double cancel = 0.05;
  double own_retry = 0.4;
  double progress = 0.1;    // of the runs that say how far they are
  double checkpoint = 0.1;  // of the runs that save how far they are
  std::size_t payload_most = 2'000;
  core::Millis run_most{200};
};

Plan draw_plan(std::uint64_t seed, bool thorough);

}  // namespace jobwire::sim
