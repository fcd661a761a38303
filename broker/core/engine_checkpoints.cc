// SPDX-License-Identifier: Apache-2.0
// What attempts save for the next ones.
#include <unordered_map>

#include "core/engine.h"

namespace jobwire::core {

void Engine::restore_checkpoint(const JobId& id, Checkpoint checkpoint) {
  checkpoints_.restore(jobs_.find(id), std::move(checkpoint));
}

void Engine::on(const CheckpointsReported& event, Now now, Effects& out) {
  Session* session = hear_worker(event.session, 0, now, out);
  if (!session) return;
  std::unordered_map<LeaseToken, JobIx, Id16Hash<LeaseTokenTag>> leases(
      0, Id16Hash<LeaseTokenTag>(hash_seed_));
  for (const CheckpointNote& note : event.notes) leases[note.token] = kNoJob;
  for (LeaseIx ix = fleet_[session->worker].oldest; ix != kNoLease; ix = fleet_[ix].next) {
    const auto named = leases.find(fleet_[ix].token);
    if (named != leases.end()) named->second = fleet_[ix].job;
  }
  // They would use up the room that is kept for what ends jobs.
  const bool full = store_scarce_ || now.steady < store_full_until_;
  for (const CheckpointNote& note : event.notes) {
    const JobIx job = leases[note.token];
    Code code = Code::kNone;
    if (job == kNoJob) {
      code = Code::kStaleLease;
    } else if (full) {
      code = Code::kStoreFull;
    } else if (!checkpoints_.note(job, note, event.session)) {
      code = Code::kQuotaExceeded;
    }
    if (code == Code::kNone) continue;
    out.checkpoint_acks.push_back({event.session, note.token, note.number, code});
  }
}

void Engine::checkpoints_committed(Effects& out) {
  for (const CheckpointWrite& write : batch_.checkpoints) {
    const JobIx ix = jobs_.find(write.id);
    if (ix == kNoJob) continue;
    const auto source = checkpoints_.stored(ix);
    if (!source || !sessions_.contains(source->session)) continue;
    out.checkpoint_acks.push_back({source->session, source->token, source->number, Code::kNone});
  }
}

void Engine::checkpoints_rejected() {
  for (const CheckpointWrite& lost : batch_.checkpoints) {
    const JobIx ix = jobs_.find(lost.id);
    if (ix != kNoJob) checkpoints_.write_again(ix);
  }
}

void Engine::drop_checkpoint(JobIx ix, Effects& out) {
  const auto unwritten = checkpoints_.drop(ix);
  if (!unwritten || !sessions_.contains(unwritten->session)) return;
  out.checkpoint_acks.push_back(
      {unwritten->session, unwritten->token, unwritten->number, Code::kStaleLease});
}

}  // namespace jobwire::core
