// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/record.h"
#include "sim/agenda.h"
#include "sim/coverage.h"
#include "sim/ledger.h"

namespace jobwire::sim {

/// A job as it lies in the store.
struct DiskJob {
  core::JobRecord job;  // views are into the disk's names
  core::Bytes payload;
  std::vector<core::Attempt> attempts;
  core::Checkpoint checkpoint;
};

/// A transaction that was given to the store.
struct Transaction {
  core::Batch batch;                 // its names are the disk's
  mutable bool has_applied = false;  // once: the ledger knows of it
};

/// The store's server: outlives every broker. Applies whole batches, and checks each change against
/// what lies there.
class Disk {
 public:
  Disk(const Agenda& agenda, Ledger& ledger, const core::EngineConfig& config, Trace& trace,
       Coverage& coverage)
      : agenda_(agenda), ledger_(ledger), config_(config), trace_(trace), coverage_(coverage) {}

  /// The batch with names that live as long as the disk.
  std::shared_ptr<const Transaction> own(const core::Batch& batch);

  std::uint64_t take_over() { return ++epoch_; }
  std::uint64_t epoch() const { return epoch_; }
  std::uint64_t sequence() const { return sequence_; }

  /// One that took effect before and was lost is written again, which the ledger is not told.
  void apply(const Transaction& transaction);
  /// Loses the last `count` batches. Requires: can_lose() >= count.
  void lose(std::size_t count);
  std::size_t can_lose() const { return undo_.size(); }

  const std::map<core::JobId, DiskJob>& jobs() const { return jobs_; }
  const DiskJob* find(const core::JobId& id) const;
  std::vector<std::pair<std::string, std::pair<core::JobId, core::Millis>>> dedups() const;
  std::vector<core::HostId> hosts() const;
  const std::map<std::string, core::QueueSettings>& settings() const { return settings_; }
  /// Every queue that was ever written to.
  std::set<std::string> queues() const;
  const std::map<std::string, core::TypeWrite>& types() const { return types_; }
  core::Wall gone_before() const { return gone_before_; }
  /// Counters against what was truly written.
  void check_counters() const;

 private:
  struct Dedup {
    core::JobId job;
    core::Steady until{};
  };
  struct Tally {
    std::int64_t submitted = 0, succeeded = 0, dead = 0, expired = 0, cancelled = 0,
                 failed_attempts = 0;
    friend bool operator==(const Tally&, const Tally&) = default;
  };
  struct Undo {
    std::uint64_t sequence = 0;
    std::vector<std::pair<core::JobId, std::optional<DiskJob>>> jobs;
    std::map<std::string, Dedup> dedups;
    std::map<core::HostId, core::Steady> hosts;
    std::map<std::string, core::QueueSettings> settings;
    std::map<std::string, Tally> counted, written;
    std::map<std::string, core::TypeWrite> types;
    core::Wall gone_before{};
  };

  void write(const core::JobWrite& write, bool again);
  void remember(const core::JobId& id);
  void check_bounds(const core::Batch& batch) const;

  const Agenda& agenda_;
  Ledger& ledger_;
  const core::EngineConfig& config_;
  Trace& trace_;
  Coverage& coverage_;
  std::set<std::string, std::less<>> names_;
  std::map<core::JobId, DiskJob> jobs_;
  std::map<std::string, Dedup> dedups_;
  std::map<core::HostId, core::Steady> hosts_;
  std::map<std::string, core::QueueSettings> settings_;
  std::map<std::string, Tally> counted_;  // by the engine's additions
  std::map<std::string, Tally> written_;  // by what was written
  std::map<std::string, core::TypeWrite> types_;
  core::Wall gone_before_{};
  std::uint64_t epoch_ = 0;
  std::uint64_t sequence_ = 0;
  std::deque<Undo> undo_;
};

}  // namespace jobwire::sim
