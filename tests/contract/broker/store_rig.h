// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ports/store.h"

namespace jobwire::testing {

core::Steady steady_now();

/// A store at work: drives it, and keeps what it reported.
class Driver {
 public:
  explicit Driver(std::unique_ptr<ports::Store> store) : store_(std::move(store)) {}
  ports::Store& operator*() { return *store_; }
  ports::Store* operator->() { return store_.get(); }

  /// open(), again while that may help, or the test fails.
  ports::StoreOpened open();
  /// Polls until `done` or, after ten seconds, until the test has failed with `what`.
  void until(const std::string& what, const std::function<bool()>& done);
  /// Polls once.
  void poll();

  /// Commits and waits for the answer; the events until then are in events().
  void commit(const core::Batch& batch);
  /// Waits for the first event of this kind and takes it and all before it away.
  template <typename Event>
  Event next(const std::string& what) {
    Event found;
    until(what, [&] {
      for (std::size_t i = 0; i < events_.size(); ++i) {
        if (auto* event = std::get_if<Event>(&events_[i])) {
          found = std::move(*event);
          events_.erase(events_.begin(), events_.begin() + static_cast<std::ptrdiff_t>(i) + 1);
          return true;
        }
      }
      return false;
    });
    return found;
  }
  std::vector<ports::StoreEvent> take_events() { return std::exchange(events_, {}); }
  /// Names of the events not yet taken, "Committed 3, StoreBack 0".
  std::string events() const;
  /// What the store last said of its room; not among the events, since it comes when it will.
  bool scarce() const { return scarce_; }

  ports::ScanDone scan(std::string queue, core::State state, core::IndexPlace after,
                       std::uint32_t limit);
  std::deque<ports::StoredJob> read(std::vector<core::JobId> ids, ports::ReadRequest::What what);

  /// All that the store can say: each job with all of its fields, dedup keys, hosts.
  std::map<std::string, std::string> everything();

 private:
  std::unique_ptr<ports::Store> store_;
  std::vector<ports::StoreEvent> events_;
  bool scarce_ = false;
  std::uint64_t tag_ = 0;
};

/// A job with all of its fields in one line; only set ones are there.
std::string describe(const ports::StoredJob& job);

// ---- batches

core::JobId id(std::uint64_t number);
core::Wall wall(std::int64_t ms);
core::Batch batch(std::uint64_t sequence);
/// A new job that waits, created at 1000 + number.
core::JobWrite queued(std::uint64_t number);
/// The same job after a change: what the store has, and what it is now.
core::JobWrite changed(const core::JobWrite& before, core::State state);

}  // namespace jobwire::testing
