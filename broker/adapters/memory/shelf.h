// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ports/store.h"

namespace jobwire::memory {

/// What a MemoryStore keeps its jobs on; it outlives the store, as a Redis outlives its broker.
/// Remembers the last batches, so that it can go back by some, and forward again.
class Shelf {
 public:
  struct Counters {
    std::uint64_t submitted = 0;
    std::uint64_t succeeded = 0;
    std::uint64_t dead = 0;
    std::uint64_t expired = 0;
    std::uint64_t cancelled = 0;
    std::uint64_t failed_attempts = 0;
    std::uint64_t stale_results = 0;

    friend bool operator==(const Counters&, const Counters&) = default;
  };
  struct Kept {
    ports::StoredJob job;
    std::vector<core::Attempt> attempts;
    std::uint32_t stale_results = 0;

    Kept() = default;
    Kept(const Kept& other) { *this = other; }
    Kept& operator=(const Kept& other) {
      job = other.job;
      attempts = other.attempts;
      stale_results = other.stale_results;
      job.rebind();
      return *this;
    }
  };
  struct Dedup {
    core::JobId job;
    core::Wall ends{};
  };
  struct Host {
    std::string name;
    core::Wall ends{};
  };

  enum class Room : std::uint8_t {
    kAmple,
    kScarce,  // less than the reserve is left
    kFull,    // new jobs are refused
  };
  Room room() const { return room_; }
  void set_room(Room room) { room_ = room; }

  std::uint64_t epoch() const { return epoch_; }
  /// A new owner. What was lost before it is lost for good.
  std::uint64_t raise_epoch() {
    gone_.clear();
    return ++epoch_;
  }
  std::uint64_t sequence() const { return sequence_; }
  core::Wall now() const { return now_; }
  const std::map<core::JobId, Kept>& jobs() const { return jobs_; }
  const std::map<std::string, Counters, std::less<>>& queues() const { return queues_; }
  const std::map<std::string, core::QueueSettings>& settings() const { return settings_; }
  const std::map<std::string, Dedup>& dedups() const { return dedups_; }
  const std::map<core::HostId, Host>& hosts() const { return hosts_; }
  const std::map<std::string, ports::RecoveredType>& types() const { return types_; }
  core::Wall gone_before() const { return gone_before_; }

  /// The batch takes effect, whole.
  void apply(const core::Batch& batch);
  /// The last `batches` batches never were. Requires: so many are remembered.
  void go_back(std::size_t batches);
  /// Writes again what go_back() took; answers how many batches that were.
  std::uint32_t go_forward();
  std::size_t gone() const { return gone_.size(); }
  /// Everything is lost, the epoch too.
  void wipe();

  static constexpr std::size_t kRemembered = 64;

  const std::map<std::string, std::string>& contracts() const { return contracts_; }
  /// Beside the batches: these instead of all others.
  void keep_contracts(std::map<std::string, std::string> contracts) {
    contracts_ = std::move(contracts);
  }

 private:
  /// What a batch touched, as it was on the other side of it. Swapped in, it undoes the batch; once
  /// more, it does it again.
  struct Change {
    std::uint64_t sequence = 0;
    std::vector<std::pair<core::JobId, std::optional<Kept>>> jobs;
    std::vector<std::pair<std::string, std::optional<Counters>>> queues;
    std::vector<std::pair<std::string, std::optional<core::QueueSettings>>> settings;
    std::vector<std::pair<std::string, std::optional<Dedup>>> dedups;
    std::vector<std::pair<core::HostId, std::optional<Host>>> hosts;
    std::vector<std::pair<std::string, std::optional<ports::RecoveredType>>> types;
    std::vector<std::pair<std::string, std::optional<std::string>>> contracts;
    core::Wall gone_before{};
  };
  void swap(Change& change);
  void write(const core::JobWrite& write);
  void count(const core::QueueDelta& delta);

  Room room_ = Room::kAmple;
  std::uint64_t epoch_ = 0;
  std::uint64_t sequence_ = 0;
  core::Wall now_{};
  std::map<core::JobId, Kept> jobs_;
  std::map<std::string, Counters, std::less<>> queues_;
  std::map<std::string, core::QueueSettings> settings_;
  std::map<std::string, Dedup> dedups_;
  std::map<core::HostId, Host> hosts_;
  std::map<std::string, ports::RecoveredType> types_;
  std::map<std::string, std::string> contracts_;
  core::Wall gone_before_{};
  std::deque<Change> done_;
  std::deque<Change> gone_;
};

}  // namespace jobwire::memory
