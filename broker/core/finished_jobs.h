// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
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
  FinishedJobs(const Retention& ended, const Retention& dead, std::uint64_t hash_seed = 0)
      : ended_(ended), dead_(dead), by_id_(0, Id16Hash<JobIdTag>(hash_seed)) {}

  struct Entry {
    QueueIx queue{};
    std::uint32_t bytes = 0;
    std::uint32_t finished = 0;  // low bits of the milliseconds: tells one end from another
    State state = State::kNone;
    bool leaving = false;  // off its shelf, and on its way out of the store
    bool moved = false;    // its queue may not be the one where it was submitted

    bool ended_at(Wall time) const { return finished == low_bits(time); }
  };

  const Entry* find(const JobId& id) const;

  /// `ttl` 0: the retention's age. `bytes` is roughly what the store holds for it.
  void add(const JobId& id, QueueIx queue, State state, Wall finished, Millis ttl,
           std::uint32_t bytes, bool moved = false);

  /// Forgets a job that begins again. Requires: it is here and not leaving.
  void take(const JobId& id);
  /// It goes next, whatever its age. Requires: it is here and not leaving.
  void expel(const JobId& id);

  struct Removal {
    JobId id;
    QueueIx queue{};
    State state = State::kNone;
    bool own_ttl = false;
  };
  /// Takes off their shelves at most `limit` jobs that were expelled, are too old or too many,
  /// oldest first. They are known until gone() says that the store no longer has them; put_back()
  /// says that it still does, and they come again first.
  void collect(Wall now, std::size_t limit, std::vector<Removal>& out);
  void gone(const JobId& id, Wall now);
  void put_back(const Removal& removal) { expelled_.push_front(removal); }

  /// When the oldest has to go, or now if there are too many.
  bool has_work(Wall now) const {
    return !expelled_.empty() || !over_.empty() ||
           (!fronts_.empty() && fronts_.begin()->first <= now);
  }
  std::size_t size() const { return by_id_.size(); }
  /// On their shelves: of one queue, dead or otherwise ended.
  std::uint64_t dead(QueueIx queue) const { return kept({raw(queue), true}); }
  std::uint64_t ended(QueueIx queue) const { return kept({raw(queue), false}); }

  /// Ids made before this moment may have been here and gone.
  Wall gone_before() const { return gone_before_; }
  /// ... once these are gone too.
  Wall gone_before(const std::vector<Removal>& removals, Wall now) const;
  void restore_gone_before(Wall moment) { gone_before_ = std::max(gone_before_, moment); }

 private:
  /// A job's place. It stays when the job is taken away from elsewhere, and is then passed over.
  struct Kept {
    JobId id;
    std::uint32_t finished = 0;
  };
  /// The ended or the dead jobs of one queue, by the time at which they go.
  struct Shelf {
    std::deque<std::pair<Wall, Kept>> in_order;  // with the default age
    std::multimap<Wall, Kept> own_ttl;
    std::uint64_t jobs = 0;
    std::uint64_t bytes = 0;
    std::size_t places() const { return in_order.size() + own_ttl.size(); }
    std::optional<Wall> front() const;
    bool own_ttl_first() const;
  };
  using ShelfKey = std::pair<std::uint32_t, bool>;  // queue, dead
  static ShelfKey key_of(QueueIx queue, State state) { return {raw(queue), state == State::kDead}; }
  static std::uint32_t low_bits(Wall time) {
    return static_cast<std::uint32_t>(time.time_since_epoch().count());
  }

  std::uint64_t kept(const ShelfKey& key) const;
  bool is_here(const Kept& place) const;
  /// Off its shelf, but for its place.
  void take_off(const Entry& entry);
  Kept pop_front(Shelf& shelf);
  /// Drops places without a job: at the front, and all when they are most of the shelf.
  void tidy(Shelf& shelf);
  void refresh(const ShelfKey& key, const Shelf& shelf, std::optional<Wall> old_front);

  Retention ended_;
  Retention dead_;
  std::unordered_map<JobId, Entry, Id16Hash<JobIdTag>> by_id_;
  std::map<ShelfKey, Shelf> shelves_;
  std::set<std::pair<Wall, ShelfKey>> fronts_;
  std::set<ShelfKey> over_;  // shelves beyond their count or bytes
  std::deque<Removal> expelled_;
  Wall gone_before_{};
};

/// The moment in a UUIDv7.
Wall made_at(const JobId& id);

}  // namespace jobwire::core
