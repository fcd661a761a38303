// SPDX-License-Identifier: Apache-2.0
#include "core/progress.h"

#include <algorithm>

namespace jobwire::core {

void ProgressBoard::note(JobIx job, const LeaseToken& token, float value, std::string_view message,
                         Now now) {
  Entry& entry = entries_[raw(job)];
  if (entry.token != token) entry = Entry{token, {}, false, false, false, false};
  const bool first_unsaid = entry.told || entry.progress.at == Wall{};
  entry.progress = {value, now.wall, Bytes::copy_of(message)};
  entry.told = entry.written = false;
  if (first_unsaid && !entry.gated) news_.push_back({now.steady, job, token});
  if (std::exchange(entry.waits, true)) return;
  waits_.push_back({now.steady + kWriteEvery, job, token});
}

const Progress* ProgressBoard::find(JobIx job, const LeaseToken& token) const {
  const auto found = entries_.find(raw(job));
  return found == entries_.end() || found->second.token != token ? nullptr
                                                                 : &found->second.progress;
}

void ProgressBoard::take_writes(std::size_t most, const JobTable& jobs,
                                std::vector<ProgressWrite>& out) {
  for (; !due_.empty() && most > 0; due_.pop_front()) {
    Entry* entry = entry_of(due_.front());
    if (!entry) continue;
    entry->waits = false;
    if (std::exchange(entry->written, true)) continue;
    out.push_back({jobs[due_.front().job].id, entry->progress});
    --most;
  }
}

void ProgressBoard::take_write(JobIx job, const JobTable& jobs, std::vector<ProgressWrite>& out) {
  const auto found = entries_.find(raw(job));
  if (found == entries_.end() || std::exchange(found->second.written, true)) return;
  out.push_back({jobs[job].id, found->second.progress});
}

void ProgressBoard::write_again(JobIx job, Steady now) {
  const auto found = entries_.find(raw(job));
  if (found == entries_.end() || !found->second.written) return;
  found->second.written = false;
  if (std::exchange(found->second.waits, true)) return;
  waits_.push_back({now + kWriteEvery, job, found->second.token});
}

std::optional<Steady> ProgressBoard::next() const {
  std::optional<Steady> next;
  if (!gates_.empty()) next = gates_.front().at;
  if (!waits_.empty()) next = next ? std::min(*next, waits_.front().at) : waits_.front().at;
  return next;
}

}  // namespace jobwire::core
