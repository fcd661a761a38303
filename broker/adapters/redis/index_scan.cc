// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/index_scan.h"

#include <algorithm>
#include <charconv>

#include "adapters/redis/command_buffer.h"
#include "adapters/redis/transaction_reply.h"

namespace jobwire::redis {

core::Wall read_score(std::string_view score) {
  double time = 0;
  std::from_chars(score.data(), score.data() + score.size(), time);
  return core::Wall(core::Millis(static_cast<std::int64_t>(time)));
}

ports::Status IndexScan::find_queues() {
  std::string cursor = "0";
  do {
    CommandBuffer out;
    out.next("SSCAN", 5);
    out.arg(keys_.queues);
    out.arg(cursor);
    out.arg("COUNT");
    out.arg("1000");
    std::string error;
    const auto status = link_.call(out.take(), 1, [&](const Reply& reply) {
      if (reply.is_error() || !reply.is_array() || reply.size() < 3) {
        error = reply.text();
        return;
      }
      cursor = reply.text(1);
      for (std::size_t i = 3; i < reply.size(); ++i) queues_.emplace_back(reply.text(i));
    });
    if (!status) return status;
    if (!error.empty()) return ports::Failure{"cannot read " + keys_.queues + ": " + error, false};
  } while (cursor != "0");
  // A set that is rehashed while it is walked may name a member twice.
  std::sort(queues_.begin(), queues_.end());
  queues_.erase(std::unique(queues_.begin(), queues_.end()), queues_.end());
  return {};
}

ports::Status IndexScan::begin(std::span<const core::State> states) {
  queues_.clear();
  indexes_.clear();
  at_ = offset_ = 0;
  if (auto status = find_queues(); !status) return status;
  constexpr std::size_t kAtOnce = 1000;
  std::vector<Index> asked;
  for (const core::State state : states) {
    for (std::size_t first = 0; first < queues_.size(); first += kAtOnce) {
      CommandBuffer out;
      asked.clear();
      const std::size_t end = std::min(queues_.size(), first + kAtOnce);
      for (std::size_t queue = first; queue < end; ++queue) {
        out.next("ZCARD", 2);
        out.arg(keys_.index_of(queues_[queue], state));
        asked.push_back({queue, state, 0});
      }
      std::size_t at = 0;
      const auto status = link_.call(out.take(), asked.size(), [&](const Reply& reply) {
        Index& index = asked[at++];
        if (reply.is_error() && log_)
          log_("index of queue " + queues_[index.queue] + ": " + std::string(reply.text()));
        if (reply.kind() == Reply::Kind::kInteger)
          index.length = static_cast<std::size_t>(reply.number());
      });
      if (!status) return status;
      for (const Index& index : asked) {
        if (index.length > 0) indexes_.push_back(index);
      }
    }
  }
  return {};
}

ports::Status IndexScan::next(std::size_t most, std::vector<Entry>& out) {
  const std::size_t at_before = at_;
  const std::size_t offset_before = offset_;
  const std::size_t size_before = out.size();
  CommandBuffer commands;
  std::vector<const Index*> asked;
  std::size_t planned = 0;
  while (planned < most && !done()) {
    const Index& index = indexes_[at_];
    const std::size_t count = std::min(most - planned, index.length - offset_);
    commands.next("ZRANGE", 5);
    commands.arg(keys_.index_of(queues_[index.queue], index.state));
    commands.number(offset_);
    commands.number(offset_ + count - 1);
    commands.arg("WITHSCORES");
    asked.push_back(&index);
    planned += count;
    offset_ += count;
    if (offset_ == index.length) {
      ++at_;
      offset_ = 0;
    }
  }
  if (asked.empty()) return {};
  std::size_t at = 0;
  auto status = link_.call(commands.take(), asked.size(), [&](const Reply& reply) {
    const Index& index = *asked[at++];
    for (std::size_t i = 1; i + 1 < reply.size(); i += 2) {
      Entry entry{queues_[index.queue], index.state, {}, {}};
      entry.time = read_score(reply.text(i + 1));
      if (core::parse_job_id(reply.text(i), entry.id)) {
        out.push_back(entry);
      } else if (log_) {
        log_("an index of queue " + queues_[index.queue] + " holds what is no job id");
      }
    }
  });
  if (!status) {
    at_ = at_before;
    offset_ = offset_before;
    out.erase(out.begin() + static_cast<std::ptrdiff_t>(size_before), out.end());
  }
  return status;
}

}  // namespace jobwire::redis
