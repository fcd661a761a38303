// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "core/lifecycle.h"

namespace jobwire::redis {

/// Names of a shard's keys. All share the hash tag {shard}, so that a transaction over them is one
/// slot of a Redis Cluster. schemas/REDIS.md says what each holds.
struct Keys {
  /// Requires: valid_shard(shard).
  explicit Keys(std::string_view shard)
      : prefix("jw:{" + std::string(shard) + "}:"),
        job(prefix + "job:"),
        index(prefix + "idx:"),
        dedup(prefix + "dedup:"),
        dedups(prefix + "dedups"),
        ttls(prefix + "ttl"),
        types(prefix + "types"),
        gone_before(prefix + "gone_before_ms"),
        queue(prefix + "queue:"),
        queues(prefix + "queues"),
        host(prefix + "host:"),
        hosts(prefix + "hosts"),
        contracts(prefix + "contracts"),
        events(prefix + "events"),
        epoch(prefix + "epoch"),
        owner(prefix + "owner"),
        sequence(prefix + "seq") {}

  /// 1 to 32 of [A-Za-z0-9_.-].
  static bool valid_shard(std::string_view shard) {
    if (shard.empty() || shard.size() > 32) return false;
    for (const char c : shard) {
      const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
      if (!good) return false;
    }
    return true;
  }

  std::string index_of(std::string_view name, core::State state) const {
    return index + std::string(name) + ":" + std::string(core::name_of(state));
  }

  std::string prefix;
  std::string job;    // + id
  std::string index;  // + queue:state
  std::string dedup;  // + dedup key
  std::string dedups;
  std::string ttls;
  std::string types;
  std::string gone_before;
  std::string queue;  // + queue
  std::string queues;
  std::string host;  // + host id
  std::string hosts;
  std::string contracts;
  std::string events;
  std::string epoch;
  std::string owner;
  std::string sequence;
};

}  // namespace jobwire::redis
