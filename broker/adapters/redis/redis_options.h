// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "adapters/redis/endpoint.h"
#include "core/time.h"

namespace jobwire::redis {

/// How to reach and use a Redis.
struct RedisOptions {
  Endpoint endpoint;
  std::string shard = "0";
  /// Shown in the key `owner`, for people: "host:pid". A random number is added to it.
  std::string owner = "jobwired";

  core::Millis connect_timeout{1'000};
  /// A reply that takes longer than this costs the connection.
  core::Millis reply_timeout{5'000};
  core::Millis backoff_first{50};
  core::Millis backoff_most{1'000};

  /// Committed batches kept in memory in case Redis loses them: the bound on their bytes, and how
  /// long. Redis with appendfsync everysec may lose its last two seconds.
  std::size_t ring_bytes = 128U << 20;
  core::Millis ring_age{10'000};

  /// Questions that may wait at once; the most commands that are under way for them, and about how
  /// many bytes they may bring, since Redis makes all the answers at once.
  std::size_t most_reads = 64;
  std::size_t read_window = 256;
  std::size_t read_window_bytes = 16U << 20;

  /// What is kept free for results, acknowledgements and removals while Redis has a memory limit:
  /// with less than that no new jobs are taken. 0: RoomWatch::reserve_of() says.
  std::uint64_t reserve_bytes = 0;

  std::uint32_t events_kept = 10'000;
  core::Millis host_ttl{60'000};

  /// Told about what is odd but no failure, one line each; may be empty. Called on the store's
  /// thread.
  std::function<void(std::string_view)> log;
};

}  // namespace jobwire::redis
