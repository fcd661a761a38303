// SPDX-License-Identifier: Apache-2.0
// How far running jobs are: what workers say, and who hears it.
#include <unordered_map>

#include "core/engine.h"

namespace jobwire::core {

void Engine::on(const ProgressReported& event, Now now, Effects& out) {
  const auto session = sessions_.find(event.session);
  const bool agent = session != sessions_.end() && session->second.role == Role::kAgent;
  if (session == sessions_.end() || (!agent && session->second.worker == kNoWorker)) {
    out.refusals.push_back({event.session, Code::kUnknownWorker, 0, Millis{0}, "no such worker"});
    return;
  }
  session->second.heard = now.steady;
  // Of one lease the last word counts. What is over is over: its words are for nobody.
  std::unordered_map<LeaseToken, const ProgressNote*, Id16Hash<LeaseTokenTag>> latest(
      0, Id16Hash<LeaseTokenTag>(hash_seed_));
  for (const ProgressNote& note : event.notes) latest[note.token] = &note;
  const auto match = [&](WorkerIx worker) {
    for (LeaseIx ix = fleet_[worker].oldest; ix != kNoLease && !latest.empty();
         ix = fleet_[ix].next) {
      const Lease& lease = fleet_[ix];
      const auto note = latest.find(lease.token);
      if (note == latest.end()) continue;
      progress_.note(lease.job, lease.token, note->second->value, note->second->message, now);
      latest.erase(note);
    }
  };
  if (!agent) return match(session->second.worker);
  // It reads the words of its workers in the memory that they share.
  for (std::uint32_t i = 0; i < fleet_.worker_slots() && !latest.empty(); ++i) {
    const Worker& worker = fleet_[WorkerIx{i}];
    if (worker.alive && worker.host == session->second.host) match(WorkerIx{i});
  }
}

void Engine::tell_progress(Now now, Effects& out) {
  progress_.take_news(now.steady, [&](JobIx ix, const LeaseToken& token, const Progress& progress) {
    const Job& job = jobs_[ix];
    if (job.lease == kNoLease || fleet_[job.lease].token != token) return;  // it has ended
    const auto tell = [&](SessionId watcher) {
      if (sessions_.contains(watcher)) out.progress.push_back({watcher, job.id, progress});
    };
    tell(job.watcher);
    if (!job.extra) return;
    for (const SessionId watcher : job.extra->watchers) tell(watcher);
  });
}

void Engine::answer_progress(JobIx ix, SessionId session, Effects& out) const {
  const Job& job = jobs_[ix];
  if (job.lease == kNoLease) return;
  const LeaseToken& token = const_cast<Fleet&>(fleet_)[job.lease].token;
  if (const Progress* word = progress_.find(ix, token))
    out.progress.push_back({session, job.id, *word});
}

}  // namespace jobwire::core
