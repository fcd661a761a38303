// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "core/event.h"
#include "core/ids.h"
#include "core/job_table.h"
#include "core/record.h"

namespace jobwire::core {

/// What running jobs have saved for their next attempts: the latest of each job that has not ended,
/// here and, a commit later, in the store. One that comes before the last one is written takes its
/// place, so a worker that floods costs one write a commit. Bounded by bytes: what does not fit is
/// refused and changes nothing. O(1) a checkpoint.
class CheckpointBoard {
 public:
  explicit CheckpointBoard(std::uint64_t budget) : budget_(budget) {}

  /// One attempt's word, and who is told once it is stored.
  struct Source {
    SessionId session{};
    LeaseToken token;
    std::uint32_t number = 0;  // counts up within the lease
  };

  /// False, and nothing is changed, when it does not fit the budget.
  bool note(JobIx job, const CheckpointNote& note, SessionId session);
  /// As the store has it. Whatever its size: it was within the budget once.
  void restore(JobIx job, Checkpoint checkpoint);

  /// For the job's next attempt; nullptr when there is none.
  const Checkpoint* find(JobIx job) const;
  bool has(JobIx job) const { return !entries_.empty() && entries_.contains(raw(job)); }

  /// Something waits to be written.
  bool has_writes() const { return !due_.empty(); }
  /// Appends what waits, each once, until the batch has `most` of them or so many bytes.
  void take_writes(std::size_t most, std::uint64_t& bytes, std::uint64_t most_bytes,
                   const JobTable& jobs, std::vector<CheckpointWrite>& out);
  /// Appends the job's if it waits: the job is being written anyway. Of one that has ended it
  /// appends the removal, should the store have anything. Requires: has().
  void take_write(JobIx job, const JobTable& jobs, std::vector<CheckpointWrite>& out);
  /// What was taken is in the store: who is to be told of it, if anybody.
  std::optional<Source> stored(JobIx job);
  /// The store did not take it.
  void write_again(JobIx job);

  /// The job is forgotten. Who had saved what was never written, if anybody.
  std::optional<Source> drop(JobIx job);

  std::uint64_t bytes() const { return bytes_; }
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Checkpoint latest;
    std::optional<Source> unwritten;  // saved the latest, which is in no batch
    std::optional<Source> taken;      // saved what is in the batch under way
    bool listed = false;              // is in due_
    bool in_store = false;            // or in a batch
  };
  void list(JobIx job, Entry& entry);
  void take(JobIx job, Entry& entry, const JobTable& jobs, std::vector<CheckpointWrite>& out);

  std::uint64_t budget_;
  std::uint64_t bytes_ = 0;
  std::unordered_map<std::uint32_t, Entry> entries_;
  std::deque<JobIx> due_;  // some may be written or gone since
};

}  // namespace jobwire::core
