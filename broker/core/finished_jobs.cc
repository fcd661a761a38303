// SPDX-License-Identifier: Apache-2.0
#include "core/finished_jobs.h"

#include <algorithm>
#include <cassert>

namespace jobwire::core {
namespace {

constexpr std::size_t kLeastTidy = 64;

}  // namespace

Wall made_at(const JobId& id) {
  std::int64_t millis = 0;
  for (std::size_t i = 0; i < 6; ++i) millis = (millis << 8) | id.bytes[i];
  return Wall(Millis(millis));
}

bool FinishedJobs::Shelf::own_ttl_first() const {
  if (own_ttl.empty() || in_order.empty()) return in_order.empty();
  return own_ttl.begin()->first < in_order.front().first;
}

std::optional<Wall> FinishedJobs::Shelf::front() const {
  if (places() == 0) return std::nullopt;
  return own_ttl_first() ? own_ttl.begin()->first : in_order.front().first;
}

const FinishedJobs::Entry* FinishedJobs::find(const JobId& id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &found->second;
}

std::uint64_t FinishedJobs::kept(const ShelfKey& key) const {
  const auto shelf = shelves_.find(key);
  return shelf == shelves_.end() ? 0 : shelf->second.jobs;
}

bool FinishedJobs::is_here(const Kept& place) const {
  const Entry* entry = find(place.id);
  return entry && !entry->leaving && entry->finished == place.finished;
}

void FinishedJobs::refresh(const ShelfKey& key, const Shelf& shelf, std::optional<Wall> old_front) {
  const auto front = shelf.front();
  if (front != old_front) {
    if (old_front) fronts_.erase({*old_front, key});
    if (front) fronts_.emplace(*front, key);
  }
  const Retention& limit = key.second ? dead_ : ended_;
  if (shelf.jobs > limit.jobs || shelf.bytes > limit.bytes) {
    over_.insert(key);
  } else if (!over_.empty()) {
    over_.erase(key);
  }
}

void FinishedJobs::add(const JobId& id, QueueIx queue, State state, Wall finished, Millis ttl,
                       std::uint32_t bytes, bool moved) {
  if (!by_id_.emplace(id, Entry{queue, bytes, low_bits(finished), state, false, moved}).second)
    return;
  const ShelfKey key = key_of(queue, state);
  Shelf& shelf = shelves_[key];
  const auto old_front = shelf.front();
  const Millis age = key.second ? dead_.age : ended_.age;
  Wall goes = finished + (ttl.count() != 0 ? ttl : age);
  const Kept place{id, low_bits(finished)};
  if (ttl.count() == 0) {
    // A clock that was set back must not break the order.
    if (!shelf.in_order.empty()) goes = std::max(goes, shelf.in_order.back().first);
    shelf.in_order.emplace_back(goes, place);
  } else {
    shelf.own_ttl.emplace(goes, place);
  }
  ++shelf.jobs;
  shelf.bytes += bytes;
  refresh(key, shelf, old_front);
}

FinishedJobs::Kept FinishedJobs::pop_front(Shelf& shelf) {
  Kept place;
  if (shelf.own_ttl_first()) {
    place = shelf.own_ttl.begin()->second;
    shelf.own_ttl.erase(shelf.own_ttl.begin());
  } else {
    place = shelf.in_order.front().second;
    shelf.in_order.pop_front();
  }
  return place;
}

void FinishedJobs::tidy(Shelf& shelf) {
  const auto front_is_empty = [&] {
    return !is_here(shelf.own_ttl_first() ? shelf.own_ttl.begin()->second
                                          : shelf.in_order.front().second);
  };
  while (shelf.places() > 0 && front_is_empty()) pop_front(shelf);
  if (shelf.places() < kLeastTidy || shelf.places() < 2 * shelf.jobs) return;
  std::erase_if(shelf.in_order, [&](const auto& place) { return !is_here(place.second); });
  std::erase_if(shelf.own_ttl, [&](const auto& place) { return !is_here(place.second); });
}

void FinishedJobs::take_off(const Entry& entry) {
  const ShelfKey key = key_of(entry.queue, entry.state);
  Shelf& shelf = shelves_[key];
  const auto old_front = shelf.front();
  --shelf.jobs;
  shelf.bytes -= entry.bytes;
  tidy(shelf);
  refresh(key, shelf, old_front);
}

void FinishedJobs::take(const JobId& id) {
  const auto found = by_id_.find(id);
  assert(found != by_id_.end() && !found->second.leaving);
  const Entry entry = found->second;
  by_id_.erase(found);
  take_off(entry);
}

void FinishedJobs::expel(const JobId& id) {
  Entry& entry = by_id_.at(id);
  assert(!entry.leaving);
  entry.leaving = true;
  // Nobody looks for its place: it may have had a time of its own.
  expelled_.push_back({id, entry.queue, entry.state, true});
  take_off(entry);
}

void FinishedJobs::collect(Wall now, std::size_t limit, std::vector<Removal>& out) {
  for (; limit > 0 && !expelled_.empty(); --limit) {
    out.push_back(expelled_.front());
    expelled_.pop_front();
  }
  for (; limit > 0; --limit) {
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
    const bool own_ttl = shelf.own_ttl_first();
    const Kept place = pop_front(shelf);
    Entry& entry = by_id_.at(place.id);
    entry.leaving = true;
    --shelf.jobs;
    shelf.bytes -= entry.bytes;
    tidy(shelf);
    refresh(key, shelf, old_front);
    out.push_back({place.id, entry.queue, entry.state, own_ttl});
  }
}

Wall FinishedJobs::gone_before(const std::vector<Removal>& removals, Wall now) const {
  Wall moment = gone_before_;
  // An id from a producer whose clock is ahead must not make the future "gone".
  for (const Removal& removal : removals)
    moment = std::max(moment, std::min(made_at(removal.id) + Millis(1), now));
  return moment;
}

void FinishedJobs::gone(const JobId& id, Wall now) {
  by_id_.erase(id);
  gone_before_ = std::max(gone_before_, std::min(made_at(id) + Millis(1), now));
}

}  // namespace jobwire::core
