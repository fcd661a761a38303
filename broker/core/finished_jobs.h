// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/ids.h"
#include "core/job_table.h"
#include "core/lifecycle.h"
#include "core/time.h"

namespace jobwire::core {

/// How long and how many finished jobs of a queue are kept.
struct Retention {
  Millis age{0};
  std::uint64_t jobs = 0;
  std::uint64_t bytes = 0;
};

/// Jobs that have ended and are still kept in the store: their ids, so that a submit that comes
/// again gets the same receipt, and the order in which they go. Dead jobs have a retention of their
/// own. O(log queues) a job.
class FinishedJobs {
 public:
  FinishedJobs(const Retention& ended, const Retention& dead) : ended_(ended), dead_(dead) {}

  struct Entry {
    QueueIx queue{};
    State state = State::kNone;
  };

  const Entry* find(const JobId& id) const;

  /// `ttl` 0: the retention's age. `bytes` is roughly what the store holds for it.
  void add(const JobId& id, QueueIx queue, State state, Wall finished, Millis ttl,
           std::uint32_t bytes);

  struct Removal {
    JobId id;
    QueueIx queue{};
    State state = State::kNone;
  };
  /// Takes off their shelves at most `limit` jobs that are too old or too many, oldest first. They
  /// are known until gone() says that the store no longer has them; put_back() says that it still
  /// does, and they come again first.
  void collect(Wall now, std::size_t limit, std::vector<Removal>& out);
  void gone(const JobId& id, Wall now);
  void put_back(const Removal& removal);

  /// When the oldest has to go, or now if there are too many.
  bool has_work(Wall now) const {
    return !over_.empty() || (!fronts_.empty() && fronts_.begin()->first <= now);
  }
  std::size_t size() const { return by_id_.size(); }

  /// Ids made before this moment may have been here and gone.
  Wall gone_before() const { return gone_before_; }

 private:
  struct Kept {
    JobId id;
    std::uint32_t bytes = 0;
  };
  /// The ended or the dead jobs of one queue, by the time at which they go.
  struct Shelf {
    std::deque<std::pair<Wall, Kept>> in_order;  // with the default age
    std::multimap<Wall, Kept> own_ttl;
    std::uint64_t bytes = 0;
    std::size_t jobs() const { return in_order.size() + own_ttl.size(); }
    std::optional<Wall> front() const;
  };
  using ShelfKey = std::pair<std::uint32_t, bool>;  // queue, dead
  static ShelfKey key_of(QueueIx queue, State state) { return {raw(queue), state == State::kDead}; }

  void refresh(const ShelfKey& key, const Shelf& shelf, std::optional<Wall> old_front);

  Retention ended_;
  Retention dead_;
  std::unordered_map<JobId, Entry, Id16Hash<JobIdTag>> by_id_;
  std::map<ShelfKey, Shelf> shelves_;
  std::set<std::pair<Wall, ShelfKey>> fronts_;
  std::set<ShelfKey> over_;  // shelves beyond their count or bytes
  Wall gone_before_{};
};

/// The moment in a UUIDv7.
Wall made_at(const JobId& id);

}  // namespace jobwire::core
