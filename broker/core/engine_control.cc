// SPDX-License-Identifier: Apache-2.0
// What operators set on queues: pause, drain, weight; and how queues look.
#include <algorithm>
#include <cassert>

#include "core/admission.h"
#include "core/engine.h"

namespace jobwire::core {
namespace {

constexpr Millis kRetrySoon{200};
constexpr Millis kRetryLater{1'000};
constexpr std::size_t kMaxBy = 128;
constexpr std::size_t kMaxWhy = 1'024;
constexpr std::uint32_t kMaxLook = 1'000;
constexpr std::size_t kMaxChanges = 1'000;
constexpr std::size_t kChangesInBatch = 64;
constexpr Millis kLiftEvery{100};
constexpr Millis kMaxSpan{366LL * 24 * 3'600'000};

}  // namespace

void Engine::restore_queue(std::string_view queue, const QueueSettings& settings, Now now) {
  Effects nobody_is_there;
  QueueSettings stored = settings;
  stored.weight = std::clamp(stored.weight, 1U, kMaxWeight);
  if (stored.closed() && stored.until != Wall{} && stored.until <= now.wall) stored.open();
  set(lanes_.queue(queue), stored, nobody_is_there);
}

void Engine::queue_names(std::vector<std::string>& out) const {
  auto& lanes = const_cast<Lanes&>(lanes_);
  for (std::uint32_t q = 0; q < lanes.queues(); ++q) out.emplace_back(lanes.name(QueueIx{q}));
}

std::optional<Objection> Engine::objection_to(const QueueAsked& asked, Now now) const {
  const bool closes = asked.action == QueueAction::kPause || asked.action == QueueAction::kDrain;
  auto& lanes = const_cast<Lanes&>(lanes_);
  if (!is_name(asked.queue)) return Objection{Code::kInvalidName, "queue", "queue: no name"};
  if (asked.by.empty() || asked.by.size() > kMaxBy)
    return Objection{Code::kInvalidArgument, "by", "by: 1 to 128 bytes"};
  if (asked.why.size() > kMaxWhy)
    return Objection{Code::kInvalidArgument, "why", "why: at most 1024 bytes"};
  const Wall until{Millis(asked.until_ms)};
  if (asked.until_ms != 0 && (!closes || until <= now.wall || until > now.wall + kMaxSpan)) {
    return Objection{Code::kInvalidArgument, "until_ms",
                     "until_ms: ahead, at most 366 days, for Pause and Drain"};
  }
  if (asked.action == QueueAction::kSetWeight && (asked.weight < 1 || asked.weight > kMaxWeight))
    return Objection{Code::kInvalidArgument, "weight", "weight: 1 to 1000"};
  // One that a command before this one makes counts.
  const auto is_it = [&](const QueueChange& change) { return change.queue == asked.queue; };
  if (lanes.queue_names().find(asked.queue) ||
      std::any_of(queue_changes_.begin(), queue_changes_.end(), is_it) ||
      std::any_of(staged_changes_.begin(), staged_changes_.end(), is_it)) {
    return std::nullopt;
  }
  if (asked.action == QueueAction::kResume)
    return Objection{Code::kUnknownQueue, "queue", "no queue of that name was ever used"};
  // Those on their way may be the same new one: better refused once too often.
  const auto fresh = std::count_if(
      queue_changes_.begin(), queue_changes_.end(),
      [&](const QueueChange& change) { return !lanes.queue_names().find(change.queue); });
  if (lanes.queue_names().size() + static_cast<std::size_t>(fresh) + staged_changes_.size() >=
      config_.max_queues) {
    return Objection{Code::kQuotaExceeded, "queue", "too many queues"};
  }
  return std::nullopt;
}

void Engine::on(const QueueAsked& asked, Now now, Effects& out) {
  if (!hear(asked.session, asked.request, now, out)) return;
  if (asked.action == QueueAction::kLook) return look(asked, out);
  const auto refuse_it = [&](Code code, const char* message, Millis retry_after) {
    out.queue_replies.push_back(
        {asked.session, asked.request, code, message, retry_after, {}, false});
  };
  if (const auto objection = objection_to(asked, now))
    return refuse_it(objection->code, objection->message, Millis{0});
  if (store_away_) return refuse_it(Code::kStoreUnavailable, "the store is away", kRetryLater);
  if (queue_changes_.size() >= kMaxChanges)
    return refuse_it(Code::kWindowFull, "too many commands wait for the store", kRetrySoon);
  queue_changes_.push_back({std::string(asked.queue), asked.session, asked.request, asked.action,
                            std::string(asked.by), std::string(asked.why),
                            Wall(Millis(asked.until_ms)), asked.weight});
}

QueueView Engine::view_of(QueueIx ix, std::uint32_t workers) const {
  auto& lanes = const_cast<Lanes&>(lanes_);
  const Queue& queue = lanes[ix];
  QueueView view;
  view.name = lanes.name(ix);
  view.settings = queue.settings;
  view.scheduled = queue.in_state[static_cast<std::size_t>(State::kScheduled)];
  view.queued = queue.in_state[static_cast<std::size_t>(State::kQueued)];
  view.running = queue.in_state[static_cast<std::size_t>(State::kRunning)];
  view.bytes = queue.bytes;
  view.workers = workers;
  view.dead = finished_.dead(ix);
  view.finished = finished_.ended(ix);
  return view;
}

std::vector<std::uint32_t> Engine::workers_by_queue() {
  std::vector<std::uint32_t> in_group(lanes_.groups());
  for (std::uint32_t i = 0; i < fleet_.worker_slots(); ++i) {
    const Worker& worker = fleet_[WorkerIx{i}];
    if (worker.alive && worker.connected && worker.group != kNoGroup) ++in_group[raw(worker.group)];
  }
  std::vector<std::uint32_t> workers(lanes_.queues());
  for (std::uint32_t g = 0; g < in_group.size(); ++g) {
    if (in_group[g] == 0) continue;
    for (const Group::Served& served : lanes_[GroupIx{g}].queues)
      workers[raw(served.queue)] += in_group[g];
  }
  return workers;
}

void Engine::look(const QueueAsked& asked, Effects& out) {
  QueueReplyOut reply;
  reply.session = asked.session;
  reply.request = asked.request;
  const std::vector<std::uint32_t> workers = workers_by_queue();
  if (!asked.queue.empty()) {
    const auto known = lanes_.queue_names().find(asked.queue);
    if (known) {
      reply.queues.push_back(view_of(QueueIx{*known}, workers[*known]));
    } else {
      reply.code = Code::kUnknownQueue;
      reply.message = "no queue of that name was ever used";
    }
    out.queue_replies.push_back(std::move(reply));
    return;
  }
  for (auto q = static_cast<std::uint32_t>(by_name_.size()); q < lanes_.queues(); ++q)
    by_name_.emplace(lanes_.name(QueueIx{q}), QueueIx{q});
  const std::size_t limit = asked.limit == 0 ? kMaxLook : std::min(asked.limit, kMaxLook);
  auto at = by_name_.upper_bound(asked.after);
  for (; at != by_name_.end() && reply.queues.size() < limit; ++at)
    reply.queues.push_back(view_of(at->second, workers[raw(at->second)]));
  reply.more = at != by_name_.end();
  out.queue_replies.push_back(std::move(reply));
}

void Engine::stage_queue_changes(Now now) {
  staged_changes_.clear();
  while (!queue_changes_.empty() && staged_changes_.size() < kChangesInBatch) {
    staged_changes_.push_back(std::move(queue_changes_.front()));
    queue_changes_.pop_front();
  }
  for (const QueueChange& change : staged_changes_) {
    QueueSettings settings;
    if (const auto known = lanes_.queue_names().find(change.queue))
      settings = lanes_[QueueIx{*known}].settings;
    for (const QueueWrite& before : batch_.settings) {
      if (before.queue == change.queue) settings = before.settings;
    }
    switch (change.action) {
      case QueueAction::kPause:
      case QueueAction::kDrain:
        (change.action == QueueAction::kPause ? settings.paused : settings.draining) = true;
        settings.by = change.by;
        settings.why = change.why;
        settings.since = now.wall;
        settings.until = change.until;
        break;
      case QueueAction::kResume:
        settings.open();
        break;
      case QueueAction::kSetWeight:
        settings.weight = change.weight;
        break;
      case QueueAction::kNone:
      case QueueAction::kLook:
        break;
    }
    batch_.settings.push_back({change.queue, std::move(settings)});
  }
}

void Engine::queue_changes_committed(Now now, Effects& out) {
  std::vector<std::uint32_t> workers;
  for (std::size_t i = 0; i < staged_changes_.size(); ++i) {
    const QueueChange& change = staged_changes_[i];
    const QueueIx ix = lanes_.queue(change.queue);
    const QueueSettings& settings = batch_.settings[i].settings;
    if (change.session == SessionId{}) continue;
    set(ix, settings, out);
    const bool closes =
        change.action == QueueAction::kPause || change.action == QueueAction::kDrain;
    std::string line = "queue " + change.queue + ": ";
    line += change.action == QueueAction::kPause    ? "paused"
            : change.action == QueueAction::kDrain  ? "draining"
            : change.action == QueueAction::kResume ? "resumed"
                                                    : "weight " + std::to_string(change.weight);
    line += " by " + change.by;
    if (!change.why.empty()) line += ": " + change.why;
    if (closes && change.until != Wall{})
      line += ", for " + std::to_string((change.until - now.wall).count() / 1'000) + " s";
    log(out, Severity::kInfo, std::move(line));
    if (workers.size() < lanes_.queues()) workers = workers_by_queue();
    out.queue_replies.push_back({change.session,
                                 change.request,
                                 Code::kNone,
                                 "",
                                 Millis{0},
                                 {view_of(ix, workers[raw(ix)])},
                                 false});
  }
  staged_changes_.clear();
}

void Engine::queue_changes_rejected(Code code, Effects& out) {
  for (std::size_t i = staged_changes_.size(); i-- > 0;) {
    QueueChange& change = staged_changes_[i];
    // It was refused with the new jobs of its batch; without them it is taken.
    if (change.session == SessionId{} || code == Code::kStoreFull) {
      queue_changes_.push_front(std::move(change));
      continue;
    }
    out.queue_replies.push_back({change.session,
                                 change.request,
                                 code,
                                 "the store did not take it",
                                 kRetryLater,
                                 {},
                                 false});
  }
  staged_changes_.clear();
}

void Engine::set(QueueIx ix, const QueueSettings& settings, Effects& out) {
  Queue& queue = lanes_[ix];
  const bool was_paused = queue.settings.paused;
  queue.settings = settings;
  if (settings.closed() && settings.until != Wall{}) {
    closed_until_.insert(ix);
  } else {
    closed_until_.erase(ix);
  }
  if (settings.paused && !was_paused) recall_unstarted(ix, out);
  if (was_paused && !settings.paused) lanes_.resume(ix);
}

void Engine::recall_unstarted(QueueIx queue, Effects& out) {
  for (std::uint32_t i = 0; i < fleet_.worker_slots(); ++i) {
    const Worker& worker = fleet_[WorkerIx{i}];
    if (!worker.alive || !worker.connected) continue;
    for (LeaseIx lease = worker.oldest; lease != kNoLease; lease = fleet_[lease].next) {
      if (lanes_.queue_of(jobs_[fleet_[lease].job]) == queue) recall(lease, out);
    }
  }
}

void Engine::lift_closed(Now now) {
  if (closed_until_.empty() || now.steady < lift_check_) return;
  lift_check_ = now.steady + kLiftEvery;
  std::vector<QueueIx> over;
  for (const QueueIx ix : closed_until_) {
    if (lanes_[ix].settings.until <= now.wall) over.push_back(ix);
  }
  Effects nothing_to_recall;
  for (const QueueIx ix : over) {
    QueueSettings settings = lanes_[ix].settings;
    settings.open();
    set(ix, settings, nothing_to_recall);
    // The store learns of it now and then: whoever reads it there sees that its time is over.
    QueueChange note;
    note.queue = lanes_.name(ix);
    queue_changes_.push_back(std::move(note));
  }
}

}  // namespace jobwire::core
