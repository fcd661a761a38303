// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoints.h"

#include <cassert>
#include <utility>

namespace jobwire::core {

bool CheckpointBoard::note(JobIx job, const CheckpointNote& note, SessionId session) {
  const auto before = entries_.find(raw(job));
  const std::uint64_t freed = before == entries_.end() ? 0 : before->second.latest.bytes.size();
  if (bytes_ - freed + note.bytes.size() > budget_) return false;
  Entry& entry = entries_[raw(job)];
  bytes_ = bytes_ - freed + note.bytes.size();
  entry.latest = {note.encoding, Bytes::copy_of(note.bytes)};
  entry.unwritten = Source{session, note.token, note.number};
  list(job, entry);
  return true;
}

void CheckpointBoard::restore(JobIx job, Checkpoint checkpoint) {
  Entry& entry = entries_[raw(job)];
  bytes_ += checkpoint.bytes.size();
  entry.latest = std::move(checkpoint);
  entry.in_store = true;
}

const Checkpoint* CheckpointBoard::find(JobIx job) const {
  const auto found = entries_.find(raw(job));
  return found == entries_.end() ? nullptr : &found->second.latest;
}

void CheckpointBoard::list(JobIx job, Entry& entry) {
  if (!std::exchange(entry.listed, true)) due_.push_back(job);
}

void CheckpointBoard::take(JobIx job, Entry& entry, const JobTable& jobs,
                           std::vector<CheckpointWrite>& out) {
  entry.taken = std::exchange(entry.unwritten, std::nullopt);
  entry.in_store = true;
  out.push_back({jobs[job].id, entry.latest});
}

void CheckpointBoard::take_writes(std::size_t most, std::uint64_t& bytes, std::uint64_t most_bytes,
                                  const JobTable& jobs, std::vector<CheckpointWrite>& out) {
  for (; !due_.empty() && out.size() < most && bytes < most_bytes; due_.pop_front()) {
    const JobIx job = due_.front();
    const auto found = entries_.find(raw(job));
    // A slot may have another job by now, which is listed by itself.
    if (found == entries_.end() || !std::exchange(found->second.listed, false)) continue;
    if (!found->second.unwritten || is_final(jobs[job].state)) continue;
    take(job, found->second, jobs, out);
    bytes += found->second.latest.bytes.size();
  }
}

void CheckpointBoard::take_write(JobIx job, const JobTable& jobs,
                                 std::vector<CheckpointWrite>& out) {
  Entry& entry = entries_.at(raw(job));
  if (is_final(jobs[job].state)) {
    if (entry.in_store) out.push_back({jobs[job].id, {}});
  } else if (entry.unwritten) {
    take(job, entry, jobs, out);
  }
}

std::optional<CheckpointBoard::Source> CheckpointBoard::stored(JobIx job) {
  const auto found = entries_.find(raw(job));
  if (found == entries_.end()) return std::nullopt;
  return std::exchange(found->second.taken, std::nullopt);
}

void CheckpointBoard::write_again(JobIx job) {
  const auto found = entries_.find(raw(job));
  if (found == entries_.end() || !found->second.taken) return;
  Entry& entry = found->second;
  if (!entry.unwritten) entry.unwritten = entry.taken;
  entry.taken.reset();
  list(job, entry);
}

std::optional<CheckpointBoard::Source> CheckpointBoard::drop(JobIx job) {
  const auto found = entries_.find(raw(job));
  if (found == entries_.end()) return std::nullopt;
  const std::optional<Source> unwritten = found->second.unwritten;
  assert(bytes_ >= found->second.latest.bytes.size());
  bytes_ -= found->second.latest.bytes.size();
  entries_.erase(found);
  return unwritten;
}

}  // namespace jobwire::core
