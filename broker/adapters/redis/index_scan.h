// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "adapters/redis/keys.h"
#include "adapters/redis/read_link.h"
#include "ports/result.h"

namespace jobwire::redis {

/// A time in an index. Redis writes long scores as 1.8e+12.
core::Wall read_score(std::string_view score);

/// Walks the indexes of some states over all queues, page by page. Blocking, for recovery: nobody
/// else may write meanwhile, which the epoch sees to.
class IndexScan {
 public:
  struct Entry {
    std::string_view queue;  // lives as long as the scan
    core::State state;
    core::JobId id;
    core::Wall time;
  };

  IndexScan(const Keys& keys, ReadLink& link, std::function<void(std::string_view)> log)
      : keys_(keys), link_(link), log_(std::move(log)) {}

  /// Finds queues and the length of their indexes: some round trips. The first state's indexes come
  /// first.
  ports::Status begin(std::span<const core::State> states);
  /// Appends the next entries, at most `most` and at least one unless it is the end. One round
  /// trip.
  ports::Status next(std::size_t most, std::vector<Entry>& out);
  bool done() const { return at_ == indexes_.size(); }
  /// Every queue, by name. Requires: begin() has succeeded.
  const std::vector<std::string>& queues() const { return queues_; }

 private:
  struct Index {
    std::size_t queue;
    core::State state;
    std::size_t length;
  };
  ports::Status find_queues();

  const Keys& keys_;
  ReadLink& link_;
  std::function<void(std::string_view)> log_;
  std::vector<std::string> queues_;
  std::vector<Index> indexes_;
  std::size_t at_ = 0;
  std::size_t offset_ = 0;
};

}  // namespace jobwire::redis
