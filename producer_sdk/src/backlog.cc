// SPDX-License-Identifier: Apache-2.0
#include "backlog.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "stoppable_wait.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {
namespace {

// Nodes kept for reuse: enough that a busy client allocates none, small enough to forget (about 1
// MiB).
constexpr std::size_t kMaxSpare = 4096;

// Callers of submit_batch let others in between so many jobs.
constexpr std::size_t kJobsPerLock = 256;

// What remains of a settled entry: nothing of the user's, so that buffers go when their job does.
void wipe(Entry& entry) {
  entry.job.payload(nullptr, 0, Encoding::Bytes);
  entry.receipt.sink.reset();
  entry.last_refusal.reset();
  entry.deadline = TimePoint::max();
  entry.request = 0;
  entry.sends = 0;
  entry.spooled = false;
}

}  // namespace

Backlog::Backlog(const ClientOptions& options, Waker& waker)
    : max_jobs_(options.backlog_jobs()),
      max_bytes_(options.backlog_bytes()),
      overflow_(options.overflow()),
      block_for_(options.submit_timeout()),
      stamps_(options.on_job_event() != nullptr),
      waker_(waker) {}

bool Backlog::fits(std::size_t bytes) const noexcept {
  // One job always fits into an empty backlog, whatever its size: otherwise it never would.
  return jobs_ == 0 || (jobs_ < max_jobs_ && bytes_ + bytes <= max_bytes_);
}

void Backlog::add(EntryList& list, const Job& job, const JobId& id, std::size_t envelope_bytes) {
  if (spare_.empty()) spare_.emplace_back();
  list.splice(list.end(), spare_, spare_.begin());
  Entry& entry = list.back();
  entry.job = job;
  entry.id = id;
  entry.envelope_bytes = envelope_bytes;
  if (stamps_) entry.taken_at = Clock::now();
  entry.sequence = next_sequence_++;
  entry.flush_epoch = epochs_.back().epoch;
  ++epochs_.back().unsettled;
  ++jobs_;
  bytes_ += entry.bytes();
  ++counts_.submitted;
}

Backlog::Taken Backlog::post(const Job& job, const JobId& id, std::size_t envelope_bytes,
                             bool may_wait, bool spooled, EntryList& dropped) {
  const std::size_t bytes = job.payload().size() + envelope_bytes;
  std::unique_lock lock(mutex_);
  if (!closed_ && !fits(bytes)) {
    if (overflow_ == OverflowPolicy::DropOldest) {
      while (!fits(bytes) && !posted_.empty()) {
        release(posted_.front());
        ++counts_.dropped;
        dropped.splice(dropped.end(), posted_, posted_.begin());
      }
    } else if (overflow_ == OverflowPolicy::Block && may_wait) {
      ++waiting_for_room_;
      room_.wait_until(lock, deadline_in(block_for_), [&] { return closed_ || fits(bytes); });
      --waiting_for_room_;
    }
  }
  if (closed_) return Taken::Closed;
  if (!fits(bytes)) {
    ++counts_.overflows;
    return Taken::Full;
  }
  add(posted_, job, id, envelope_bytes);
  posted_.back().spooled = spooled;
  lock.unlock();
  waker_.wake_for_job();
  return Taken::Yes;
}

void Backlog::restore(const Job& job, const JobId& id, std::size_t envelope_bytes) {
  const std::lock_guard lock(mutex_);
  add(posted_, job, id, envelope_bytes);
  posted_.back().spooled = true;
}

EntryList Backlog::drop_oldest() {
  EntryList dropped;
  const std::lock_guard lock(mutex_);
  if (posted_.empty()) return dropped;
  release(posted_.front());
  ++counts_.dropped;
  dropped.splice(dropped.end(), posted_, posted_.begin());
  return dropped;
}

std::size_t Backlog::submit(std::span<const Job> jobs, std::span<const JobId> ids,
                            std::span<const std::size_t> envelope_bytes,
                            const std::shared_ptr<Sink<Receipt>>& sink, TimePoint deadline,
                            bool wait_for_room, const std::stop_token& stop) {
  std::size_t at = 0;
  while (at < jobs.size()) {
    std::unique_lock lock(mutex_);
    const std::size_t pause = std::min(jobs.size(), at + kJobsPerLock);
    for (; at < pause && !closed_; ++at) {
      if (ids[at].is_nil()) continue;
      const std::size_t bytes = jobs[at].payload().size() + envelope_bytes[at];
      if (!fits(bytes)) break;
      add(submitted_, jobs[at], ids[at], envelope_bytes[at]);
      submitted_.back().receipt = {sink, at};
      submitted_.back().deadline = deadline;
    }
    waker_.wake_for_job();  // before waiting for room that only the I/O thread can make
    if (closed_ || at == jobs.size()) break;
    if (at == pause) continue;
    const std::size_t bytes = jobs[at].payload().size() + envelope_bytes[at];
    if (wait_for_room) {
      ++waiting_for_room_;
      wait_until(lock, room_, deadline, stop, [&] { return closed_ || fits(bytes); });
      --waiting_for_room_;
    }
    if (closed_ || fits(bytes)) continue;
    counts_.overflows += jobs.size() - at;
    break;
  }
  return at;
}

EntryList Backlog::take(MessageRoom room) {
  EntryList taken;
  const std::lock_guard lock(mutex_);
  while (room.jobs > 0) {
    const bool from_posted =
        submitted_.empty() ||
        (!posted_.empty() && posted_.front().sequence < submitted_.front().sequence);
    EntryList& list = from_posted ? posted_ : submitted_;
    if (list.empty()) break;
    const Entry& entry = list.front();
    const bool large = entry.payload_bytes() >= kLargePayload;
    const bool too_much =
        entry.payload_bytes() > room.payload_bytes || entry.envelope_bytes > room.envelope_bytes;
    if (!taken.empty() && (large || too_much)) break;
    if (entry.bytes() > room.window_bytes && !(taken.empty() && room.window_idle)) break;
    taken.splice(taken.end(), list, list.begin());
    if (large || too_much) break;
    --room.jobs;
    room.window_bytes -= std::min(room.window_bytes, entry.bytes());
    room.payload_bytes -= entry.payload_bytes();
    room.envelope_bytes -= entry.envelope_bytes;
  }
  return taken;
}

void Backlog::put_back(EntryList entries) {
  EntryList posted;
  EntryList submitted;
  while (!entries.empty()) {
    EntryList& list = entries.front().posted() ? posted : submitted;
    list.splice(list.end(), entries, entries.begin());
  }
  const auto older = [](const Entry& a, const Entry& b) { return a.sequence < b.sequence; };
  posted.sort(older);
  submitted.sort(older);
  const std::lock_guard lock(mutex_);
  posted_.splice(posted_.begin(), posted);
  submitted_.splice(submitted_.begin(), submitted);
}

void Backlog::release(const Entry& entry) {
  --jobs_;
  bytes_ -= entry.bytes();
  const std::size_t index = static_cast<std::size_t>(entry.flush_epoch - epochs_.front().epoch);
  --epochs_[index].unsettled;
  bool done = false;
  while (epochs_.size() > 1 && epochs_.front().unsettled == 0) {
    epochs_.pop_front();
    done = true;
  }
  if ((done || jobs_ == 0) && flushing_ > 0) flushed_.notify_all();
}

void Backlog::forget(EntryList entries) {
  if (entries.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    for (const Entry& entry : entries) release(entry);
    if (waiting_for_room_ > 0) room_.notify_all();
  }
  for (Entry& entry : entries) wipe(entry);  // frees payloads: not under the lock
  recycle(entries);
}

void Backlog::recycle(EntryList& entries) {
  const std::lock_guard lock(mutex_);
  if (spare_.size() + entries.size() <= kMaxSpare) spare_.splice(spare_.end(), entries);
}

EntryList Backlog::take_expired(TimePoint now) {
  EntryList expired;
  const std::lock_guard lock(mutex_);
  for (auto entry = submitted_.begin(); entry != submitted_.end();) {
    const auto next = std::next(entry);
    if (entry->deadline <= now) expired.splice(expired.end(), submitted_, entry);
    entry = next;
  }
  return expired;
}

EntryList Backlog::take_all() {
  EntryList all;
  const std::lock_guard lock(mutex_);
  all.splice(all.end(), submitted_);
  all.splice(all.end(), posted_);
  return all;
}

bool Backlog::holds(const JobId& id) const {
  const auto is_it = [&id](const Entry& entry) { return entry.id == id; };
  const std::lock_guard lock(mutex_);
  return std::any_of(posted_.begin(), posted_.end(), is_it) ||
         std::any_of(submitted_.begin(), submitted_.end(), is_it);
}

bool Backlog::flush(TimePoint deadline, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  if (jobs_ == 0) return true;
  const std::uint64_t until = epochs_.back().epoch;
  epochs_.push_back({until + 1, 0});
  ++flushing_;
  const bool done = wait_until(lock, flushed_, deadline, stop,
                               [&] { return jobs_ == 0 || epochs_.front().epoch > until; });
  --flushing_;
  return done;
}

void Backlog::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  room_.notify_all();
}

Backlog::Counts Backlog::counts() const {
  const std::lock_guard lock(mutex_);
  Counts counts = counts_;
  counts.pending = jobs_;
  return counts;
}

bool Backlog::has_waiting() const {
  const std::lock_guard lock(mutex_);
  return !posted_.empty() || !submitted_.empty();
}

bool Backlog::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
