// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/index_moves.h"

#include <string>

namespace jobwire::redis {

IndexMoves::Line& IndexMoves::line_of(std::string_view queue) {
  // Neighbours in a batch are mostly of one queue.
  if (last_ < used_ && lines_[last_].queue == queue) return lines_[last_];
  const auto [at, is_new] = by_queue_.try_emplace(queue, used_);
  if (is_new) {
    if (used_ == lines_.size()) lines_.emplace_back();
    lines_[used_++].queue = queue;
  }
  last_ = at->second;
  return lines_[last_];
}

void IndexMoves::enter(std::string_view queue, core::State state, core::Wall time,
                       const core::JobId& id) {
  Line& line = line_of(queue);
  line.entered = true;
  line.enters[static_cast<std::size_t>(state)].push_back({&id, time.time_since_epoch().count()});
}

void IndexMoves::leave(std::string_view queue, core::State state, const core::JobId& id) {
  line_of(queue).leaves[static_cast<std::size_t>(state)].push_back(&id);
}

void IndexMoves::write(const Keys& keys, CommandBuffer& out) const {
  for (std::size_t l = 0; l < used_; ++l) {
    const Line& line = lines_[l];
    for (std::size_t s = 1; s < core::kStates; ++s) {
      const auto& leaves = line.leaves[s];
      const auto& enters = line.enters[s];
      if (leaves.empty() && enters.empty()) continue;
      const std::string key = keys.index_of(line.queue, static_cast<core::State>(s));
      if (!leaves.empty()) {
        out.next("ZREM", leaves.size() + 2);
        out.arg(key);
        for (const core::JobId* id : leaves) out.id(*id);
      }
      if (!enters.empty()) {
        out.next("ZADD", 2 * enters.size() + 2);
        out.arg(key);
        for (const Entry& entry : enters) {
          out.number(entry.time_ms);
          out.id(*entry.id);
        }
      }
    }
  }
}

void IndexMoves::write_queues(const Keys& keys, CommandBuffer& out) const {
  bool any = false;
  for (std::size_t l = 0; l < used_; ++l) {
    if (!lines_[l].entered) continue;
    if (!any) {
      out.next("SADD", used_ + 2);
      out.arg(keys.queues);
      any = true;
    }
    out.arg(lines_[l].queue);
  }
}

void IndexMoves::write_event(const Keys& keys, std::uint64_t sequence, std::uint32_t events_kept,
                             CommandBuffer& out) const {
  constexpr std::size_t kNamed = 32;
  out.next("XADD");
  out.arg(keys.events);
  out.arg("MAXLEN");
  out.arg("~");
  out.number(events_kept);
  out.arg("*");
  out.arg("seq");
  out.number(sequence);
  std::size_t named = 0;
  std::size_t unnamed = 0;
  std::string counts;
  for (std::size_t l = 0; l < used_; ++l) {
    const Line& line = lines_[l];
    if (!line.entered) continue;
    if (named == kNamed) {
      ++unnamed;
      continue;
    }
    ++named;
    counts.clear();
    for (std::size_t s = 1; s < core::kStates; ++s) {
      if (line.enters[s].empty()) continue;
      if (!counts.empty()) counts += ' ';
      counts += core::name_of(static_cast<core::State>(s));
      counts += '=';
      counts += std::to_string(line.enters[s].size());
    }
    out.joined("queue:", line.queue);
    out.arg(counts);
  }
  if (unnamed > 0) {
    out.arg("more_queues");
    out.number(unnamed);
  }
}

void IndexMoves::clear() {
  constexpr std::size_t kLinesKept = 1024;
  for (std::size_t l = 0; l < used_; ++l) {
    lines_[l].entered = false;
    for (auto& enters : lines_[l].enters) enters.clear();
    for (auto& leaves : lines_[l].leaves) leaves.clear();
  }
  if (lines_.size() > kLinesKept) lines_.resize(kLinesKept);
  by_queue_.clear();
  used_ = 0;
  last_ = 0;
}

}  // namespace jobwire::redis
