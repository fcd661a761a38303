// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "jobwire/job_id.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// A map from JobId to a small movable value, in one array: open addressing, linear probing,
/// deletion by shifting back. It allocates only when it grows or shrinks, which is why it is here:
/// a node per job was a third of the I/O thread's time. The nil id marks an empty place and is
/// never a key. Any insert or erase invalidates pointers to values. Not thread-safe.
template <class V>
class IdTable {
 public:
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// The value of `id`, or null.
  [[nodiscard]] V* find(const JobId& id) noexcept {
    if (size_ == 0) return nullptr;
    for (std::size_t at = home(id);; at = next(at)) {
      if (places_[at].id == id) return &places_[at].value;
      if (places_[at].id.is_nil()) return nullptr;
    }
  }

  /// The value of `id`, default-made when it was absent, and whether it was absent.
  std::pair<V*, bool> insert(const JobId& id) {
    if ((size_ + 1) * 4 > places_.size() * 3) resize(std::max(kSmallest, places_.size() * 2));
    for (std::size_t at = home(id);; at = next(at)) {
      if (places_[at].id == id) return {&places_[at].value, false};
      if (places_[at].id.is_nil()) {
        places_[at].id = id;
        ++size_;
        return {&places_[at].value, true};
      }
    }
  }

  /// True when it was there.
  bool erase(const JobId& id) {
    if (size_ == 0) return false;
    std::size_t hole = home(id);
    while (places_[hole].id != id) {
      if (places_[hole].id.is_nil()) return false;
      hole = next(hole);
    }
    for (std::size_t at = next(hole); !places_[at].id.is_nil(); at = next(at)) {
      // An entry may fill the hole unless its home lies between the hole (exclusive) and itself.
      const std::size_t from_home = (at - home(places_[at].id)) & mask();
      const std::size_t from_hole = (at - hole) & mask();
      if (from_home >= from_hole) {
        places_[hole] = std::move(places_[at]);
        hole = at;
      }
    }
    places_[hole] = Place{};
    --size_;
    if (places_.size() > kSmallest && size_ * 8 < places_.size()) resize(places_.size() / 2);
    return true;
  }

  /// Calls fn(id, value) for each entry, in no order. `fn` must not change the table.
  template <class F>
  void for_each(F&& fn) {
    for (Place& place : places_) {
      if (!place.id.is_nil()) fn(place.id, place.value);
    }
  }

  void clear() {
    places_.clear();
    size_ = 0;
  }

 private:
  struct Place {
    JobId id;
    V value{};
  };

  static constexpr std::size_t kSmallest = 64;

  [[nodiscard]] std::size_t mask() const noexcept { return places_.size() - 1; }
  [[nodiscard]] std::size_t next(std::size_t at) const noexcept { return (at + 1) & mask(); }
  [[nodiscard]] std::size_t home(const JobId& id) const noexcept {
    // The multiplication of the hash leaves its best bits at the top.
    return (std::hash<JobId>{}(id) >> 32U) & mask();
  }

  void resize(std::size_t places) {
    std::vector<Place> old(places);
    old.swap(places_);
    for (Place& place : old) {
      if (place.id.is_nil()) continue;
      std::size_t at = home(place.id);
      while (!places_[at].id.is_nil()) at = next(at);
      places_[at] = std::move(place);
    }
  }

  std::vector<Place> places_;
  std::size_t size_ = 0;
};

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
