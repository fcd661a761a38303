// SPDX-License-Identifier: Apache-2.0
// Which job goes to which worker next.
#include <algorithm>
#include <bit>
#include <cassert>

#include "core/engine.h"

namespace jobwire::core {
namespace {

/// A type that has not been measured counts as long: nobody waits behind it.
constexpr std::uint32_t kUnknownRunUs = 1'000'000;
constexpr std::size_t kFetchAtOnce = 256;
constexpr std::uint64_t kFetchBytes = 16ULL << 20;
constexpr std::size_t kMaxTimersPerTurn = 5'000;
/// Less than that is a clock that runs a little fast.
constexpr Millis kClockStep{500};

}  // namespace

std::uint32_t Engine::estimate(TypeIx type) const {
  const double run_us = const_cast<Lanes&>(lanes_)[type].run_us;
  if (run_us == 0) return kUnknownRunUs;
  return static_cast<std::uint32_t>(std::clamp(run_us, 1.0, 1e9));
}

void Engine::follow_clock(Now now) {
  const Millis offset =
      now.wall.time_since_epoch() - std::chrono::floor<Millis>(now.steady.time_since_epoch());
  const Millis ahead = offset - clock_offset_.value_or(offset);
  if (!clock_offset_ || ahead <= -kClockStep || ahead >= kClockStep) clock_offset_ = offset;
  if (ahead < kClockStep) return;  // set back: each timer looks again when it fires
  jobs_.for_each([&](JobIx ix) {
    Job& job = jobs_[ix];
    const bool scheduled = job.state == State::kScheduled && job.by_the_clock;
    if (scheduled && job.stored == State::kScheduled && !job.dirty) {
      timers_.set({now.steady + std::max(Millis{0}, job.due - now.wall), job.id.tail(), ix,
                   ++job.timer_stamp, Timers::Kind::kDue});
    }
    const bool waits = job.state == State::kQueued || job.state == State::kScheduled;
    if (waits && job.expires != Wall{}) {
      timers_.set({now.steady + std::max(Millis{0}, job.expires - now.wall), job.id.tail(), ix, 0,
                   Timers::Kind::kExpire});
    }
  });
}

void Engine::fire_timers(Now now) {
  follow_clock(now);
  timers_.sweep(
      [&](const Timers::Entry& entry) { return jobs_[entry.job].id.tail() != entry.id_tail; });
  for (std::size_t i = 0; i < kMaxTimersPerTurn; ++i) {
    const auto entry = timers_.take(now.steady);
    if (!entry) return;
    Job& job = jobs_[entry->job];
    if (job.id.tail() != entry->id_tail) continue;
    if (entry->kind == Timers::Kind::kExpire) {
      const bool waiting = job.state == State::kQueued || job.state == State::kScheduled;
      if (!waiting || job.expires == Wall{}) continue;
      // The clock was set back, or the same id has a new life.
      if (now.wall < job.expires) {
        timers_.set({now.steady + (job.expires - now.wall), entry->id_tail, entry->job, 0,
                     Timers::Kind::kExpire});
        continue;
      }
      finish(entry->job, Move::kExpire, now);
    } else if (job.state == State::kScheduled && job.timer_stamp == entry->stamp && !job.dirty) {
      if (job.by_the_clock && now.wall < job.due) {
        timers_.set({now.steady + (job.due - now.wall), entry->id_tail, entry->job, entry->stamp,
                     Timers::Kind::kDue});
        continue;
      }
      move(job, Move::kDue);
      job.due = Wall{};
      late_marks_.push_back(
          {now.steady + config_.running_mark_delay, entry->job, job.id.tail(), LeaseToken{}});
      lanes_.push_back(entry->job);
    }
  }
}

bool Engine::dispatches() const {
  if (adopting_until_ || shutting_down_) return false;
  // While the store does not take what workers report, no more of it is asked for.
  return unstored_report_bytes_ < config_.max_unstored_bytes &&
         dirty_.size() < unstored_jobs_ + config_.max_unstored_jobs;
}

void Engine::dispatch(Now now, Effects& out) {
  if (!dispatches()) return;
  std::vector<GroupIx> hot;
  hot.swap(lanes_.hot());
  for (const GroupIx ix : hot) {
    lanes_[ix].hot = false;
    dispatch_group(ix, now, out);
  }
}

LaneIx Engine::pick_lane(Group::Served& served, Effects& out) {
  constexpr LaneIx kNone{0xffffffff};
  LaneIx best = kNone;
  for (const LaneIx ix : served.lanes) {
    const Lane& lane = lanes_[ix];
    if (lane.ready == 0 || lane.fetching) continue;
    const Job& first = jobs_[lanes_.front(ix)];
    if (!first.payload && first.payload_size > 0) {
      fetch(ix, out);
      continue;
    }
    if (best == kNone || std::bit_width(lane.mask) > std::bit_width(lanes_[best].mask) ||
        (std::bit_width(lane.mask) == std::bit_width(lanes_[best].mask) &&
         first.created < jobs_[lanes_.front(best)].created)) {
      best = ix;
    }
  }
  return best;
}

void Engine::dispatch_group(GroupIx group_ix, Now now, Effects& out) {
  Group& group = lanes_[group_ix];
  const auto ahead = static_cast<std::uint64_t>(config_.dispatch_ahead.count());
  while (!group.ring.empty() && group.with_room > 0) {
    Group::Served& served = group.queues[group.ring.front()];
    constexpr LaneIx kNone{0xffffffff};
    const bool paused = lanes_[served.queue].settings.paused;
    const LaneIx lane_ix = paused ? kNone : pick_lane(served, out);
    if (lane_ix == kNone) {
      served.in_ring = false;
      group.ring.pop_front();
      group.quantum_left = 0;
      continue;
    }
    Lane& lane = lanes_[lane_ix];
    const std::uint64_t run_us = estimate(lane.type);
    WorkerIx worker_ix = group.idle.head;
    if (worker_ix == kNoWorker && run_us <= ahead) worker_ix = group.ahead.head;
    // Too long to wait behind others. It keeps its turn: were other queues to go on filling up
    // workers that are soon done, none would ever be idle.
    if (worker_ix == kNoWorker) return;
    // A fair share of what is ready, so that few jobs spread over all idle workers and many go in
    // large batches.
    const std::uint32_t takers = group.idle.size > 0 ? group.idle.size : group.with_room;
    const std::uint32_t share = std::max(1U, (lane.ready + takers - 1) / takers);
    const std::uint16_t offer = group.offers.at(raw(lane.type));
    Worker& worker = fleet_[worker_ix];
    for (std::uint32_t given = 0; given < share && lane.ready > 0; ++given) {
      const bool idle = worker.leases < worker.slots;
      const bool short_enough =
          worker.leases < worker.credit && worker.load_us < ahead && run_us <= ahead;
      if (!idle && !short_enough) break;
      const JobIx job = lanes_.front(lane_ix);
      if (!jobs_[job].payload && jobs_[job].payload_size > 0) {
        fetch(lane_ix, out);
        break;
      }
      grant(job, worker_ix, offer, now, out);
    }
    lanes_.set_room(worker_ix, Room::kNone);  // to the end of its list
    refresh_room(worker_ix);
    if (group.quantum_left == 0) group.quantum_left = lanes_[served.queue].settings.weight;
    if (--group.quantum_left == 0 && group.ring.size() > 1) {
      group.ring.push_back(group.ring.front());
      group.ring.pop_front();
    }
  }
}

void Engine::fetch(LaneIx lane_ix, Effects& out) {
  Lane& lane = lanes_[lane_ix];
  lane.fetching = true;
  PayloadReadOut read;
  std::uint64_t bytes = 0;
  for (std::size_t p = lane.lists.size(); p-- > 0 && read.ids.size() < kFetchAtOnce;) {
    JobIx ix = lane.lists[p].head;
    for (; ix != kNoJob && read.ids.size() < kFetchAtOnce && bytes < kFetchBytes;
         ix = jobs_[ix].next) {
      const Job& job = jobs_[ix];
      if (job.payload || job.payload_size == 0) continue;
      bytes += job.payload_size;
      fetches_[job.id] = lane_ix;
      read.ids.push_back(job.id);
    }
  }
  out.payload_reads.push_back(std::move(read));
}

void Engine::on(const PayloadsLoaded& event, Now now, Effects& out) {
  std::vector<LaneIx> loaded;
  for (const PayloadLoaded& answer : event.payloads) {
    const auto asked = fetches_.find(answer.id);
    if (asked == fetches_.end()) continue;
    if (std::find(loaded.begin(), loaded.end(), asked->second) == loaded.end())
      loaded.push_back(asked->second);
    fetches_.erase(asked);
    const JobIx ix = jobs_.find(answer.id);
    if (ix == kNoJob) continue;
    Job& job = jobs_[ix];
    if (is_final(job.state) || job.payload) continue;
    if (answer.found) {
      job.payload = answer.payload;
      make_resident(job, true);
      continue;
    }
    // The store has lost it behind our back. It cannot run, and nobody may think that it will.
    log(out, Severity::kWarning,
        "the payload of job " + to_string(answer.id) + " is not in the store: the job is dead");
    if (job.state == State::kQueued) {
      Failed failure;
      failure.outcome = Outcome::kRejected;
      failure.error_type = "jobwire.PayloadMissing";
      failure.error_message = "its payload is not in the store";
      lanes_.unlink(ix);
      move(job, Move::kLease);
      fail(ix, failure, now);
    }
  }
  for (const LaneIx lane : loaded) lanes_.unblock(lane);
}

}  // namespace jobwire::core
