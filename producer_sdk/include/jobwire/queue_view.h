// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "jobwire/export.h"

JOBWIRE_NAMESPACE_BEGIN

/// A queue as the broker has it now.
struct QueueView {
  using Time = std::chrono::system_clock::time_point;

  std::string name;
  std::uint32_t weight = 1;  ///< Its share of workers against other queues.
  bool paused = false;       ///< Nothing is handed out.
  bool draining = false;     ///< Nothing is taken in.
  std::string by;            ///< Who paused or drained it,
  std::string why;           ///< why,
  Time since{};              ///< since when,
  Time until{};              ///< and until when; the epoch: until it is resumed.
  std::uint64_t scheduled = 0;
  std::uint64_t queued = 0;
  std::uint64_t running = 0;
  std::uint64_t bytes = 0;    ///< Payloads of these.
  std::uint32_t workers = 0;  ///< Connected workers that serve it.
  std::uint64_t dead = 0;
  std::uint64_t finished = 0;  ///< Succeeded, expired and cancelled, and still kept.
};

/// Queues by name, and where the next page begins: empty on the last one.
struct QueuePage {
  std::vector<QueueView> queues;
  std::string next;
};

JOBWIRE_NAMESPACE_END
