// SPDX-License-Identifier: Apache-2.0
// What holds for a job that says nothing itself: what its type's workers declare, then the broker's
// defaults.
#include <algorithm>

#include "core/admission.h"
#include "core/engine.h"
#include "core/obstacles.h"

namespace jobwire::core {
namespace {

/// Its workers may be about to come.
constexpr Millis kTellUnserved{10'000};

}  // namespace

RetryPolicy Engine::policy_of(const Job& job) {
  const JobType& type = lanes_[lanes_.type_of(job)];
  const bool own = job.extra && job.extra->options && job.extra->options->has_retry;
  if (!own && !type.retry) return config_.retry;
  const RetryPolicy base = type.retry ? with_defaults(*type.retry, config_.retry) : config_.retry;
  return own ? with_defaults(job.extra->options->retry, base) : base;
}

Millis Engine::timeout_of(const Job& job) {
  if (job.timeout_ms != 0) return Millis(job.timeout_ms);
  const std::uint32_t declared = lanes_[lanes_.type_of(job)].timeout_ms;
  return declared != 0 ? Millis(declared) : config_.default_timeout;
}

void Engine::declare(TypeIx ix, const TypeOffer& offer) {
  JobType& type = lanes_[ix];
  const auto same = [&] {
    if (type.timeout_ms != offer.timeout_ms || !type.retry != !offer.retry) return false;
    return !type.retry || *type.retry == *offer.retry;
  };
  if (same()) return;
  type.timeout_ms = static_cast<std::uint32_t>(offer.timeout_ms);
  type.retry = offer.retry;
  note_declared(ix);
}

void Engine::note_declared(TypeIx ix) {
  if (std::find(declared_types_.begin(), declared_types_.end(), ix) == declared_types_.end())
    declared_types_.push_back(ix);
}

void Engine::note_unserved(LaneIx lane, Now now) {
  if (!unserved_types_.insert(raw(lanes_[lane].type)).second) return;
  unserved_.push_back({now.steady + kTellUnserved, lane});
}

void Engine::tell_unserved(Now now, Effects& out) {
  if (unserved_.empty() || unserved_.front().tell_at > now.steady) return;
  Obstacles obstacles(lanes_, fleet_);
  for (; !unserved_.empty() && unserved_.front().tell_at <= now.steady; unserved_.pop_front()) {
    const Lane& lane = lanes_[unserved_.front().lane];
    if (lane.ready == 0 || !lane.servers.empty()) {
      unserved_types_.erase(raw(lane.type));  // another job of it may wait yet
      continue;
    }
    const Job& job = jobs_[lanes_.front(unserved_.front().lane)];
    const auto why = obstacles.before(job);
    if (why) log(out, Severity::kWarning, "job " + to_string(job.id) + " waits: " + *why);
  }
}

void Engine::restore_type(const TypeWrite& restored) {
  JobType& type = lanes_[lanes_.type(restored.type)];
  type.timeout_ms = static_cast<std::uint32_t>(restored.timeout.count());
  type.retry = restored.retry;
}

}  // namespace jobwire::core
