// SPDX-License-Identifier: Apache-2.0
#include "core/finished_jobs.h"

#include <algorithm>

namespace jobwire::core {

Wall made_at(const JobId& id) {
  std::int64_t millis = 0;
  for (std::size_t i = 0; i < 6; ++i) millis = (millis << 8) | id.bytes[i];
  return Wall(Millis(millis));
}

std::optional<Wall> FinishedJobs::Shelf::front() const {
  std::optional<Wall> first;
  if (!in_order.empty()) first = in_order.front().first;
  if (!own_ttl.empty() && (!first || own_ttl.begin()->first < *first))
    first = own_ttl.begin()->first;
  return first;
}

const FinishedJobs::Entry* FinishedJobs::find(const JobId& id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &found->second;
}

void FinishedJobs::refresh(const ShelfKey& key, const Shelf& shelf, std::optional<Wall> old_front) {
  const auto front = shelf.front();
  if (front != old_front) {
    if (old_front) fronts_.erase({*old_front, key});
    if (front) fronts_.emplace(*front, key);
  }
  const Retention& limit = key.second ? dead_ : ended_;
  if (shelf.jobs() > limit.jobs || shelf.bytes > limit.bytes) {
    over_.insert(key);
  } else if (!over_.empty()) {
    over_.erase(key);
  }
}

void FinishedJobs::add(const JobId& id, QueueIx queue, State state, Wall finished, Millis ttl,
                       std::uint32_t bytes) {
  if (!by_id_.emplace(id, Entry{queue, state}).second) return;
  const ShelfKey key = key_of(queue, state);
  Shelf& shelf = shelves_[key];
  const auto old_front = shelf.front();
  const Millis age = key.second ? dead_.age : ended_.age;
  Wall goes = finished + (ttl.count() != 0 ? ttl : age);
  if (ttl.count() == 0) {
    // A clock that was set back must not break the order.
    if (!shelf.in_order.empty()) goes = std::max(goes, shelf.in_order.back().first);
    shelf.in_order.emplace_back(goes, Kept{id, bytes});
  } else {
    shelf.own_ttl.emplace(goes, Kept{id, bytes});
  }
  shelf.bytes += bytes;
  refresh(key, shelf, old_front);
}

void FinishedJobs::collect(Wall now, std::size_t limit, std::vector<Removal>& out) {
  while (limit > 0) {
    ShelfKey key;
    if (!over_.empty()) {
      key = *over_.begin();
    } else if (!fronts_.empty() && fronts_.begin()->first <= now) {
      key = fronts_.begin()->second;
    } else {
      return;
    }
    Shelf& shelf = shelves_[key];
    const auto old_front = shelf.front();
    Kept kept;
    if (shelf.own_ttl.empty() ||
        (!shelf.in_order.empty() && shelf.in_order.front().first <= shelf.own_ttl.begin()->first)) {
      kept = shelf.in_order.front().second;
      shelf.in_order.pop_front();
    } else {
      kept = shelf.own_ttl.begin()->second;
      shelf.own_ttl.erase(shelf.own_ttl.begin());
    }
    shelf.bytes -= kept.bytes;
    refresh(key, shelf, old_front);
    const Entry& entry = by_id_.at(kept.id);
    out.push_back({kept.id, entry.queue, entry.state});
    --limit;
  }
}

void FinishedJobs::gone(const JobId& id, Wall now) {
  by_id_.erase(id);
  // An id from a producer whose clock is ahead must not make the future "gone".
  gone_before_ = std::max(gone_before_, std::min(made_at(id) + Millis(1), now));
}

void FinishedJobs::put_back(const Removal& removal) {
  const ShelfKey key = key_of(removal.queue, removal.state);
  Shelf& shelf = shelves_[key];
  const auto old_front = shelf.front();
  shelf.own_ttl.emplace(Wall{}, Kept{removal.id, 0});
  refresh(key, shelf, old_front);
}

}  // namespace jobwire::core
