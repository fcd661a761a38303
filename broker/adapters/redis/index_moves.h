// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "adapters/redis/command_buffer.h"
#include "adapters/redis/keys.h"
#include "core/record.h"

namespace jobwire::redis {

/// Gathers which jobs enter and leave which index during one batch, so that each index is touched
/// by one ZADD and one ZREM, however many jobs move. Holds views and pointers into the batch until
/// clear().
class IndexMoves {
 public:
  void enter(std::string_view queue, core::State state, core::Wall time, const core::JobId& id);
  void leave(std::string_view queue, core::State state, const core::JobId& id);

  /// The ZREM and ZADD commands.
  void write(const Keys& keys, CommandBuffer& out) const;
  /// SADD of the queues that jobs entered.
  void write_queues(const Keys& keys, CommandBuffer& out) const;
  /// One stream entry that says how many jobs entered which state of which queue.
  void write_event(const Keys& keys, std::uint64_t sequence, std::uint32_t events_kept,
                   CommandBuffer& out) const;
  void clear();

 private:
  struct Entry {
    const core::JobId* id;
    std::int64_t time_ms;
  };
  struct Line {
    std::string_view queue;
    std::array<std::vector<Entry>, core::kStates> enters;
    std::array<std::vector<const core::JobId*>, core::kStates> leaves;
    bool entered = false;
  };
  Line& line_of(std::string_view queue);

  std::vector<Line> lines_;  // the first used_ belong to this batch; the others keep their memory
  std::size_t used_ = 0;
  std::unordered_map<std::string_view, std::size_t> by_queue_;
  std::size_t last_ = 0;
};

}  // namespace jobwire::redis
