// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/ids.h"
#include "core/job_table.h"
#include "core/record.h"
#include "core/time.h"

namespace jobwire::core {

/// How far running jobs are, as their workers say: the latest word of each, and nothing older. A
/// worker that floods overwrites its own last word; however often it speaks, watchers are told at
/// most every kTellEvery and the store once every kWriteEvery. At most one entry a lease, 1 KiB of
/// message each. O(1) a word.
class ProgressBoard {
 public:
  static constexpr Millis kTellEvery{250};
  static constexpr Millis kWriteEvery{1'000};

  /// The job's latest word, under this lease. The first one, or the first after a quiet time, is
  /// told with the next take_news().
  void note(JobIx job, const LeaseToken& token, float value, std::string_view message, Now now);

  /// The latest word of that lease; nullptr when it has said nothing.
  const Progress* find(JobIx job, const LeaseToken& token) const;

  /// Whether anything was said of the job that is not dropped.
  bool has(JobIx job) const { return !entries_.empty() && entries_.contains(raw(job)); }

  /// The job does not run any more, and what it said is written or of no use.
  void drop(JobIx job) { entries_.erase(raw(job)); }

  /// Calls tell(job, token, progress) for each job whose turn has come. What nobody watches counts
  /// as told.
  template <typename Tell>
  void take_news(Steady now, Tell&& tell) {
    for (; !gates_.empty() && gates_.front().at <= now; gates_.pop_front()) {
      Entry* entry = entry_of(gates_.front());
      if (!entry) continue;
      entry->gated = false;
      if (!entry->told) news_.push_back(gates_.front());
    }
    for (const Visit& visit : news_) {
      Entry* entry = entry_of(visit);
      if (!entry || entry->told) continue;
      tell(visit.job, std::as_const(entry->token), std::as_const(entry->progress));
      entry->told = entry->gated = true;
      gates_.push_back({now + kTellEvery, visit.job, visit.token});
    }
    news_.clear();
    for (; !waits_.empty() && waits_.front().at <= now; waits_.pop_front()) {
      Entry* entry = entry_of(waits_.front());
      if (!entry) continue;
      entry->waits = !entry->written;
      if (entry->waits) due_.push_back(waits_.front());
    }
  }

  /// Something has waited long enough to be written.
  bool has_writes() const { return !due_.empty(); }
  /// Appends what is due, at most `most`, each once.
  void take_writes(std::size_t most, const JobTable& jobs, std::vector<ProgressWrite>& out);
  /// Appends the job's word if it is not written yet: the job is being written anyway.
  void take_write(JobIx job, const JobTable& jobs, std::vector<ProgressWrite>& out);
  /// The store did not take it. Of no effect when there is a later word.
  void write_again(JobIx job, Steady now);

  /// When take_news() has something to do even if nobody says anything.
  std::optional<Steady> next() const;
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    LeaseToken token;
    Progress progress;
    bool told = false;
    bool gated = false;  // told a moment ago
    bool written = false;
    bool waits = false;  // to be written: is in waits_ or due_
  };
  struct Visit {
    Steady at;
    JobIx job;
    LeaseToken token;
  };

  Entry* entry_of(const Visit& visit) {
    const auto found = entries_.find(raw(visit.job));
    return found == entries_.end() || found->second.token != visit.token ? nullptr : &found->second;
  }

  std::unordered_map<std::uint32_t, Entry> entries_;
  std::vector<Visit> news_;
  std::deque<Visit> gates_;  // in the order of their times, as each is now + a constant
  std::deque<Visit> waits_;
  std::deque<Visit> due_;
};

}  // namespace jobwire::core
