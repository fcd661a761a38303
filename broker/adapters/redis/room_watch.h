// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "adapters/redis/backoff.h"
#include "adapters/redis/connection.h"
#include "adapters/redis/redis_options.h"
#include "ports/store.h"

namespace jobwire::redis {

/// Looks how much memory Redis has left, over a connection of its own, so that no big answer holds
/// it up: every 200 ms (1 s without a limit, which may be set at any time), and sooner when an
/// eighth of the reserve has been written since. A look costs Redis about 20 us. Tells nobody that
/// it is down, and keeps its last word until it is back: the commits' connection tells.
class RoomWatch {
 public:
  explicit RoomWatch(const RedisOptions& options);

  /// So much has been sent to Redis.
  void note_written(std::size_t bytes) { written_ += bytes; }
  void poll(core::Steady now, std::vector<ports::StoreEvent>& events);
  void descriptors(std::vector<pollfd>& out) const;
  std::optional<core::Steady> deadline() const;
  /// Gives up for good.
  void end();

  /// What must be left below `limit` for new jobs to be taken: `asked`, or when that is 0 a
  /// twentieth and at least 64 MiB; never more than half.
  static std::uint64_t reserve_of(std::uint64_t limit, std::uint64_t asked);

 private:
  void look();
  bool on_reply(const Reply& reply, std::vector<ports::StoreEvent>& events);
  void judge(std::uint64_t used, std::uint64_t limit, std::vector<ports::StoreEvent>& events);
  bool overdue(core::Steady now) const;
  void lost();

  const RedisOptions& options_;
  Connection connection_;
  Backoff backoff_;
  std::string sending_;
  std::size_t replies_left_ = 0;
  bool logged_in_ = false;
  bool ended_ = false;
  bool scarce_ = false;
  std::uint64_t reserve_ = 0;  // 0: Redis has no limit
  std::size_t written_ = 0;    // since the last look
  core::Steady now_{};
  core::Steady
      until_{};  // closed: the next try; asked: the answer must be here; else the next look
};

}  // namespace jobwire::redis
