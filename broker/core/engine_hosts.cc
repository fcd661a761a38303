// SPDX-License-Identifier: Apache-2.0
// Who is there: sessions, workers, host agents; and what becomes of their leases when they are not.
#include <algorithm>
#include <cassert>
#include <cstring>
#include <unordered_set>
#include <utility>

#include "core/admission.h"
#include "core/engine.h"

namespace jobwire::core {
namespace {

constexpr Millis kCheckEvery{500};
constexpr Millis kNoteHostEvery{10'000};
constexpr Millis kDeclinesFor{2'000};
constexpr std::uint16_t kMaxSlots = 1'024;
constexpr std::uint16_t kMaxCredit = 4'096;
constexpr std::size_t kMaxServed = 1'000;
constexpr std::size_t kMaxAccepted = 64;
constexpr std::size_t kMaxVersionBytes = 128;
constexpr std::size_t kMaxLogTail = 500;

/// The end of a log, where the reason is; not beginning inside a UTF-8 character.
std::string_view last_words(std::string_view log) {
  if (log.size() <= kMaxLogTail) return log;
  log.remove_prefix(log.size() - kMaxLogTail);
  while (!log.empty() && (static_cast<unsigned char>(log.front()) & 0xc0) == 0x80)
    log.remove_prefix(1);
  return log;
}

/// Epoch and counter of a token: in one shard the later grant has the greater number.
std::uint64_t grant_of(const LeaseToken& token) {
  std::uint64_t grant;
  std::memcpy(&grant, token.bytes.data(), sizeof grant);
  return grant;
}

std::string label_of(std::string_view host, WorkerNumber number) {
  return std::string(host.empty() ? std::string_view("worker") : host) + "/" +
         std::to_string(static_cast<std::uint64_t>(number));
}

std::string describe(const WorkerDown& event) {
  if (event.signal != 0) return "died of signal " + std::to_string(event.signal);
  return "exited with code " + std::to_string(event.exit_code);
}

}  // namespace

void Engine::on(const SessionOpened& event, Now now, Effects& out) {
  Session session;
  session.role = event.role;
  session.heard = now.steady;
  session.host = event.host;
  if (event.role == Role::kAgent) {
    Host& host = fleet_.hosts()[event.host];
    if (host.session != SessionId{} && host.session != event.session) {
      // Which of two connections lives is not known here: the one that reads this greets again.
      out.session_drops.push_back({host.session, Code::kHelloFirst});
      sessions_.erase(host.session);
    }
    host.session = event.session;
    host.name = event.host_name;
    host.last_beat = now.steady;
    host.alive = true;
    note_host(event.host, host, false, now);
  } else if (event.role == Role::kWorker) {
    const bool alone = event.host.is_zero();
    const WorkerNumber number = alone ? WorkerNumber{raw(event.session)} : event.worker;
    WorkerIx ix = fleet_.find(event.host, number);
    if (ix == kNoWorker) {
      ix = fleet_.add_worker(event.host, number);
    } else if (fleet_[ix].session != SessionId{} && fleet_[ix].session != event.session) {
      out.session_drops.push_back({fleet_[ix].session, Code::kHelloFirst});
      sessions_.erase(fleet_[ix].session);
    }
    Worker& worker = fleet_[ix];
    worker.session = event.session;
    worker.connected = true;
    worker.pid = event.pid;
    worker.label = label_of(event.host_name, number);
    worker.unsettled.clear();
    worker.settled = 0;
    lanes_.set_room(ix, Room::kNone);
    lanes_.leave(ix);  // until it says Ready
    worker.ready = false;
    if (!alone) {
      // It lives as long as its agent beats: one that never greets is as silent as one that stops.
      const auto [host, fresh] = fleet_.hosts().try_emplace(event.host);
      if (fresh) {
        host->second.name = event.host_name;
        host->second.last_beat = now.steady;
      }
    }
    session.worker = ix;
  }
  sessions_[event.session] = session;
}

void Engine::on(const SessionClosed& event, Now now, Effects& out) {
  const auto found = sessions_.find(event.session);
  if (found == sessions_.end()) return;
  const Session session = found->second;
  sessions_.erase(found);
  stop_sweeps(event.session, Code::kHelloFirst, "its session has ended");
  if (session.worker != kNoWorker) {
    Worker& worker = fleet_[session.worker];
    worker.connected = false;
    worker.session = SessionId{};
    worker.disconnected_at = now.steady;
    lanes_.set_room(session.worker, Room::kNone);
    // An agent will say what became of it. Without one, a polite end charges nothing.
    if (event.polite) {
      retire_worker(session.worker, {}, {}, now, out);
    } else if (worker.host.is_zero()) {
      const std::vector<LeaseToken> running = presumed_running(worker);
      Failed failure;
      failure.outcome = Outcome::kCrashed;
      failure.error_type = "jobwire.WorkerLost";
      failure.error_message = "the worker's connection ended";
      retire_worker(session.worker, running, failure, now, out);
    }
  } else if (session.role == Role::kAgent) {
    const auto host = fleet_.hosts().find(session.host);
    if (host == fleet_.hosts().end() || host->second.session != event.session) return;
    host->second.session = SessionId{};
    if (event.polite) {
      lose_host(session.host, now, "", out);
    }
  }
}

void Engine::refresh_room(WorkerIx ix) {
  const Worker& worker = fleet_[ix];
  Room room = Room::kNone;
  if (worker.connected && worker.group != kNoGroup && worker.declined_at == Steady{}) {
    if (worker.leases < worker.slots) {
      room = Room::kIdle;
    } else if (worker.leases < worker.credit && !worker.held_up &&
               worker.load_us < static_cast<std::uint64_t>(config_.dispatch_ahead.count())) {
      room = Room::kAhead;
    }
  }
  lanes_.set_room(ix, room);
}

void Engine::on(const WorkerReady& event, Now now, Effects& out) {
  const auto session = sessions_.find(event.session);
  if (session == sessions_.end() || session->second.worker == kNoWorker) {
    out.refusals.push_back(
        {event.session, Code::kUnknownWorker, 0, Millis{0}, "say Hello as a worker first"});
    return;
  }
  session->second.heard = now.steady;
  const auto refuse_all = [&](Code code, const char* message) {
    out.refusals.push_back({event.session, code, 0, Millis{0}, message});
  };
  if (event.slots == 0 || event.slots > kMaxSlots)
    return refuse_all(Code::kCreditExceeded, "slots: 1 to 1024");
  if (event.credit < event.slots || event.credit > kMaxCredit) {
    return refuse_all(Code::kCreditExceeded, "credit: at least slots, at most 4096");
  }
  if (event.queues.empty() || event.queues.size() > kMaxServed)
    return refuse_all(Code::kCreditExceeded, "queues: 1 to 1000");
  if (event.types.empty() || event.types.size() > kMaxServed)
    return refuse_all(Code::kCreditExceeded, "types: 1 to 1000");
  if (event.held.size() > kMaxCredit)
    return refuse_all(Code::kCreditExceeded, "held: at most 4096");
  for (const std::string_view name : event.queues) {
    if (!is_name(name)) return refuse_all(Code::kInvalidName, "a queue's name");
  }
  std::unordered_set<std::string_view> offered;
  for (const TypeOffer& offer : event.types) {
    if (!is_name(offer.name)) return refuse_all(Code::kInvalidName, "a type's name");
    if (!offered.insert(offer.name).second)
      return refuse_all(Code::kInvalidArgument, "a type twice");
    if (offer.accepts.size() > kMaxAccepted)
      return refuse_all(Code::kCreditExceeded, "accepts: at most 64 contracts a type");
    if (offer.contract == 0 && !offer.accepts.empty())
      return refuse_all(Code::kInvalidArgument, "accepts: without a contract");
    if (offer.version.size() > kMaxVersionBytes)
      return refuse_all(Code::kInvalidArgument, "version: at most 128 bytes");
    if (const auto objection = examine(offer))
      return refuse_all(objection->code, objection->message);
  }
  if (lanes_.queue_names().size() + event.queues.size() > config_.max_queues + kMaxServed ||
      lanes_.type_names().size() + event.types.size() > config_.max_types + kMaxServed) {
    return refuse_all(Code::kQuotaExceeded, "too many queues or types");
  }

  std::vector<QueueIx> queues;
  for (const std::string_view name : event.queues) {
    const QueueIx queue = lanes_.queue(name);
    if (std::find(queues.begin(), queues.end(), queue) == queues.end()) queues.push_back(queue);
  }
  std::vector<Offer> offers;
  for (const TypeOffer& offer : event.types) {
    Contract contract{
        offer.contract, {offer.accepts.begin(), offer.accepts.end()}, std::string(offer.version)};
    std::sort(contract.accepts.begin(), contract.accepts.end());
    offers.push_back({lanes_.type(offer.name), std::move(contract)});
    declare(offers.back().type, offer);
  }
  const WorkerIx ix = session->second.worker;
  Worker& worker = fleet_[ix];
  lanes_.set_room(ix, Room::kNone);
  lanes_.join(ix, lanes_.group(queues, offers));
  worker.slots = event.slots;
  worker.credit = event.credit;
  worker.declined_at = Steady{};
  reconcile(ix, event.held, now, out);
  refresh_room(ix);
}

void Engine::reconcile(WorkerIx ix, std::span<const HeldLease> held, Now now, Effects& out) {
  const bool first = !std::exchange(fleet_[ix].ready, true);
  std::unordered_set<LeaseToken, Id16Hash<LeaseTokenTag>> kept;
  for (const HeldLease& claim : held) {
    const JobIx job_ix = jobs_.find(claim.job);
    if (job_ix != kNoJob) {
      const LeaseIx lease = jobs_[job_ix].lease;
      if (lease != kNoLease && fleet_[lease].token == claim.token) {
        const WorkerIx before = fleet_[lease].worker;
        if (before != ix) {
          // What an older connection says late takes nothing from where the worker is by now.
          if (fleet_[before].session > fleet_[ix].session) continue;
          fleet_.move_lease(lease, ix);
          refresh_room(before);
        }
        if (first) fleet_[lease].recalled = false;  // nobody knows what became of the asking
        kept.insert(claim.token);
        continue;
      }
      if (adopt(ix, claim, now, out)) {
        kept.insert(claim.token);
        continue;
      }
    }
    out.revokes.push_back({fleet_[ix].session, claim.token});
  }
  // A later Ready of the same session cannot name what crossed it on the way; and nothing has been
  // lost since the first.
  std::vector<JobIx> missing;
  for (LeaseIx lease = first ? fleet_[ix].youngest : kNoLease; lease != kNoLease;
       lease = fleet_[lease].previous) {
    if (!kept.contains(fleet_[lease].token)) missing.push_back(fleet_[lease].job);
  }
  for (const JobIx job : missing) give_back(job, now);
  if (fleet_[ix].leases > fleet_[ix].slots && !recall_check_at_)
    recall_check_at_ = now.steady + config_.recall_after;
}

bool Engine::adopt(WorkerIx worker, const HeldLease& held, Now now, Effects& out) {
  const JobIx ix = jobs_.find(held.job);
  if (ix == kNoJob) return false;
  const Job& job = jobs_[ix];
  if (!job.adoptable || job.lease != kNoLease || held.attempt != job.attempts + 1) return false;
  if (job.state != State::kRunning && !next_state(job.state, Move::kAdopt)) return false;
  // The mark of a later lease may have been on its way when the last broker ended; that of an
  // earlier one means that this claim was superseded.
  if (job.extra && !job.extra->recovered_token.is_zero() &&
      held.token != job.extra->recovered_token &&
      grant_of(held.token) <= grant_of(job.extra->recovered_token)) {
    return false;
  }
  const LeaseIx lease = bind(ix, worker, held.token, Move::kAdopt, now);
  if (held.started.time_since_epoch().count() != 0) {
    jobs_[ix].started = held.started;
    // Not from its start: that is another machine's time of day, and clocks differ and jump.
    fleet_[lease].started = now.steady;
  }
  if (jobs_[ix].cancelling) ask_to_stop(jobs_[ix], out);
  return true;
}

void Engine::on(const HostBeat& event, Now now, Effects& out) {
  const auto session = sessions_.find(event.session);
  if (session == sessions_.end()) return;
  session->second.heard = now.steady;
  if (session->second.role != Role::kAgent) return;
  const HostId host_id = session->second.host;
  Host& host = fleet_.hosts()[host_id];
  host.last_beat = now.steady;
  host.alive = true;
  host.reported = true;
  host.workers.assign(event.workers.begin(), event.workers.end());
  host.busy.clear();
  if (now.steady - host.last_written >= kNoteHostEvery) note_host(host_id, host, false, now);

  std::vector<JobIx> overdue;
  for (const HeldLease& running : event.running) {
    host.busy.insert(static_cast<std::uint64_t>(running.worker));
    const JobIx ix = jobs_.find(running.job);
    if (ix == kNoJob) continue;
    WorkerIx worker = fleet_.find(host_id, running.worker);
    if (jobs_[ix].lease == kNoLease && jobs_[ix].adoptable) {
      if (worker == kNoWorker) {
        // Busy since before our start: it will greet us when its job has ended.
        worker = fleet_.add_worker(host_id, running.worker);
        fleet_[worker].label = label_of(host.name, running.worker);
        fleet_[worker].disconnected_at = now.steady;
      }
      // Once it has said Ready, that tells what it holds: the rest it runs for nobody.
      if (fleet_[worker].group == kNoGroup) adopt(worker, running, now, out);
    }
    const LeaseIx lease_ix = jobs_[ix].lease;
    if (lease_ix == kNoLease || fleet_[lease_ix].token != running.token) continue;
    Lease& lease = fleet_[lease_ix];
    if (lease.started == Steady{}) lease.started = now.steady;
    if (now.steady - lease.started > Millis(lease.timeout_ms) + config_.deadline_grace)
      overdue.push_back(ix);
  }
  for (const JobIx ix : overdue) {
    // The agent should have ended it. Whoever still runs it has lost the right to.
    const Lease& lease = fleet_[jobs_[ix].lease];
    const Worker& worker = fleet_[lease.worker];
    out.cancel_leases.push_back({event.session, lease.token, worker.number, Millis{0}});
    if (worker.connected) out.revokes.push_back({worker.session, lease.token});
    Failed failure;
    failure.outcome = Outcome::kTimedOut;
    failure.error_type = "jobwire.TimedOut";
    const std::string text = "ran longer than its " + std::to_string(lease.timeout_ms) + " ms";
    failure.error_message = text;
    fail(ix, failure, now);
  }
  // A worker that its agent no longer lists is gone, even if the word of its end was lost on the
  // way.
  std::vector<WorkerIx> missing;
  for (std::uint32_t i = 0; i < fleet_.worker_slots(); ++i) {
    Worker& worker = fleet_[WorkerIx{i}];
    if (!worker.alive || worker.host != host_id) continue;
    const bool listed =
        std::find(host.workers.begin(), host.workers.end(), worker.number) != host.workers.end();
    worker.missed_beats = listed ? 0 : static_cast<std::uint8_t>(worker.missed_beats + 1);
    if (worker.missed_beats >= 2) missing.push_back(WorkerIx{i});
  }
  for (const WorkerIx worker : missing) retire_worker(worker, {}, {}, now, out);
}

void Engine::on(const WorkerDown& event, Now now, Effects& out) {
  const auto session = sessions_.find(event.session);
  if (session == sessions_.end() || session->second.role != Role::kAgent) return;
  session->second.heard = now.steady;
  const HostId host_id = session->second.host;
  WorkerIx ix = fleet_.find(host_id, event.worker);
  if (ix == kNoWorker) {
    // It may have run a job of ours before this broker started, and never greeted us.
    ix = fleet_.add_worker(host_id, event.worker);
    fleet_[ix].label = label_of(fleet_.hosts()[host_id].name, event.worker);
  }
  std::vector<LeaseToken> running;
  std::string of;
  for (const HeldLease& lease : event.running) {
    const JobIx job = jobs_.find(lease.job);
    if (job == kNoJob) continue;
    if (jobs_[job].adoptable) adopt(ix, lease, now, out);
    running.push_back(lease.token);
    of += " running " + std::string(lanes_.name(lanes_.type_of(jobs_[job]))) + " " +
          to_string(lease.job);
  }
  Failed failure;
  const std::string how = describe(event);
  std::string text;
  switch (event.end) {
    case WorkerEnd::kTimedOut:
      failure.outcome = Outcome::kTimedOut;
      failure.error_type = "jobwire.TimedOut";
      text = "stopped by its host agent: it ran longer than its timeout";
      break;
    case WorkerEnd::kCancelled:
      failure.outcome = Outcome::kCancelled;
      failure.error_type = "jobwire.Cancelled";
      text = "stopped by its host agent";
      break;
    case WorkerEnd::kRecycled:
    case WorkerEnd::kStopped:
      running.clear();  // ending on purpose charges nobody
      break;
    case WorkerEnd::kNone:
    case WorkerEnd::kCrashed:
      failure.outcome = Outcome::kCrashed;
      failure.error_type = "jobwire.WorkerCrashed";
      text = "worker " + fleet_[ix].label + " (pid " + std::to_string(event.pid) + ") " + how;
      if (!event.log_tail.empty())
        text += "; last words: " + std::string(last_words(event.log_tail));
      log(out, Severity::kWarning, "worker " + fleet_[ix].label + " " + how + of);
      break;
  }
  failure.error_message = text;
  retire_worker(ix, running, failure, now, out);
}

std::vector<LeaseToken> Engine::presumed_running(const Worker& worker) {
  std::vector<LeaseToken> running;
  LeaseIx lease = worker.oldest;
  for (std::uint16_t slot = 0; slot < std::max<std::uint16_t>(worker.slots, 1); ++slot) {
    if (lease == kNoLease) break;
    running.push_back(fleet_[lease].token);
    lease = fleet_[lease].next;
  }
  return running;
}

void Engine::retire_worker(WorkerIx ix, std::span<const LeaseToken> running, const Failed& failure,
                           Now now, Effects& out) {
  Worker& worker = fleet_[ix];
  worker.connected = false;
  lanes_.set_room(ix, Room::kNone);
  std::vector<JobIx> jobs;
  for (LeaseIx lease = worker.youngest; lease != kNoLease; lease = fleet_[lease].previous) {
    jobs.push_back(fleet_[lease].job);
  }
  for (const JobIx job : jobs) {
    const LeaseToken token = fleet_[jobs_[job].lease].token;
    const bool ran = std::find(running.begin(), running.end(), token) != running.end();
    if (!ran || (failure.outcome == Outcome::kCancelled && !jobs_[job].cancelling)) {
      give_back(job, now);
    } else {
      fail(job, failure, now);
    }
  }
  if (worker.session != SessionId{}) {
    // If it lives after all it must learn that nothing comes to it any more.
    sessions_.erase(worker.session);
    out.session_drops.push_back({worker.session, Code::kHelloFirst});
  }
  lanes_.leave(ix);
  fleet_.remove_worker(ix);
}

void Engine::lose_host(const HostId& id, Now now, std::string_view why, Effects& out) {
  const auto found = fleet_.hosts().find(id);
  if (found == fleet_.hosts().end()) return;
  const std::string name = found->second.name;
  if (!why.empty()) log(out, Severity::kWarning, "host " + name + " is lost: " + std::string(why));
  const std::string text = "host " + name + " is lost: " + std::string(why);
  for (std::uint32_t i = 0; i < fleet_.worker_slots(); ++i) {
    const WorkerIx ix{i};
    if (!fleet_[ix].alive || fleet_[ix].host != id) continue;
    Failed failure;
    std::vector<LeaseToken> running;
    if (!why.empty()) {
      // They are charged, so that a job that takes its whole host down does not come back for ever.
      failure.outcome = Outcome::kCrashed;
      failure.error_type = "jobwire.HostLost";
      failure.error_message = text;
      running = presumed_running(fleet_[ix]);
    }
    retire_worker(ix, running, failure, now, out);
  }
  if (found->second.session != SessionId{}) {
    sessions_.erase(found->second.session);
    out.session_drops.push_back({found->second.session, Code::kHelloFirst});
  }
  note_host(id, found->second, true, now);
  fleet_.hosts().erase(found);
  awaited_hosts_.erase(id);
}

void Engine::note_host(const HostId& id, Host& host, bool left, Now now) {
  HostWrite write;
  write.id = id;
  write.name = host.name;
  write.workers = static_cast<std::uint32_t>(host.workers.size());
  write.seen = now.wall;
  write.left = left;
  for (std::uint32_t i = 0; i < fleet_.worker_slots(); ++i) {
    const Worker& worker = fleet_[WorkerIx{i}];
    if (worker.alive && worker.host == id) write.slots += worker.slots;
  }
  host.last_written = now.steady;
  // The latest word counts: while the store is away they must not pile up.
  std::erase_if(host_writes_, [&](const HostWrite& older) { return older.id == id; });
  host_writes_.push_back(std::move(write));
}

void Engine::check_silence(Now now, Effects& out) {
  if (now.steady < next_check_) return;
  next_check_ = now.steady + kCheckEvery;
  const Micros beat_limit = 2 * config_.heartbeat + Millis(1'000);
  std::vector<HostId> lost;
  for (const auto& [id, host] : fleet_.hosts()) {
    const Steady lost_at = host.last_beat + beat_limit + Micros(1);
    if (lost_at <= now.steady) {
      lost.push_back(id);
    } else {
      next_check_ = std::min(next_check_, lost_at);  // to the moment
    }
  }
  for (const HostId& id : lost) {
    lose_host(id, now, "no heartbeat for " + std::to_string(beat_limit.count() / 1000) + " ms",
              out);
  }
  std::vector<SessionId> silent;
  for (const auto& [id, session] : sessions_) {
    const bool beats_itself =
        session.role == Role::kProducer || session.role == Role::kOperator ||
        (session.worker != kNoWorker && fleet_[session.worker].host.is_zero());
    if (beats_itself && now.steady - session.heard > config_.session_timeout) silent.push_back(id);
  }
  std::sort(silent.begin(), silent.end());
  for (const SessionId id : silent) {
    out.session_drops.push_back({id, Code::kHelloFirst});
    on(SessionClosed{id, false}, now, out);
  }
  // Its agent says that it lives, but its connection is gone and it is not busy: its leases are
  // waiting for nobody.
  std::vector<WorkerIx> unreachable;
  for (std::uint32_t i = 0; i < fleet_.worker_slots(); ++i) {
    Worker& worker = fleet_[WorkerIx{i}];
    if (worker.alive && worker.declined_at != Steady{} &&
        now.steady - worker.declined_at > kDeclinesFor) {
      worker.declined_at = Steady{};
      refresh_room(WorkerIx{i});
    }
    if (!worker.alive || worker.connected || worker.host.is_zero()) continue;
    const auto host = fleet_.hosts().find(worker.host);
    const bool busy = host != fleet_.hosts().end() &&
                      host->second.busy.contains(static_cast<std::uint64_t>(worker.number));
    if (!busy && now.steady - worker.disconnected_at > config_.session_timeout)
      unreachable.push_back(WorkerIx{i});
  }
  for (const WorkerIx ix : unreachable) retire_worker(ix, {}, {}, now, out);
  check_overdue(now, out);
  while (!dedup_ends_.empty() && dedup_ends_.begin()->first <= now.steady) {
    const auto held = dedups_.find(dedup_ends_.begin()->second);
    if (held != dedups_.end() && held->second.until <= now.steady) dedups_.erase(held);
    dedup_ends_.erase(dedup_ends_.begin());
  }
}

void Engine::check_overdue(Now now, Effects& out) {
  // Workers without an agent have nobody who tells when a job began: its time counts from the
  // moment when it came to the front of the worker's leases, at the latest from its grant.
  // With an agent it is the beats that tell; what they do not list any more ends here, some beats
  // later.
  const Micros beats = 2 * config_.heartbeat + Millis(1'000);
  for (std::uint32_t i = 0; i < fleet_.worker_slots(); ++i) {
    const Worker& worker = fleet_[WorkerIx{i}];
    const bool alone = worker.host.is_zero();
    if (!worker.alive || (!alone && !worker.connected)) continue;
    std::vector<JobIx> overdue;
    std::uint32_t before = 0;
    for (LeaseIx ix = worker.oldest; ix != kNoLease && (!alone || before < worker.slots);
         ix = fleet_[ix].next, ++before) {
      Lease& lease = fleet_[ix];
      if (alone && lease.started == Steady{}) lease.started = now.steady;
      const Micros most =
          Millis(lease.timeout_ms) + config_.deadline_grace + (alone ? Micros{0} : beats);
      if (lease.started != Steady{} && now.steady - lease.started > most)
        overdue.push_back(lease.job);
    }
    for (const JobIx job : overdue) {
      if (worker.connected) out.revokes.push_back({worker.session, fleet_[jobs_[job].lease].token});
      Failed failure;
      failure.outcome = Outcome::kTimedOut;
      failure.error_type = "jobwire.TimedOut";
      failure.error_message = "ran longer than its timeout";
      fail(job, failure, now);
    }
  }
}

void Engine::check_adoption(Now now, Effects& out) {
  if (!adopting_until_) return;
  bool all_here = true;
  for (const HostId& id : awaited_hosts_) {
    const auto host = fleet_.hosts().find(id);
    if (host == fleet_.hosts().end() || !host->second.reported) {
      all_here = false;
      break;
    }
    for (const WorkerNumber number : host->second.workers) {
      const WorkerIx ix = fleet_.find(id, number);
      const bool ready = ix != kNoWorker && fleet_[ix].group != kNoGroup;
      if (!ready && !host->second.busy.contains(static_cast<std::uint64_t>(number)))
        all_here = false;
    }
  }
  if (all_here || now.steady >= *adopting_until_) close_adoption(now, out);
}

void Engine::close_adoption(Now now, Effects& out) {
  adopting_until_.reset();
  awaited_hosts_.clear();
  std::size_t again = 0;
  for (const JobIx ix : orphans_) {
    const Job& job = jobs_[ix];
    if (job.state != State::kRunning || job.lease != kNoLease || !job.adoptable) continue;
    give_back(ix, now);
    ++again;
  }
  orphans_.clear();
  if (again > 0) {
    log(out, Severity::kInfo,
        std::to_string(again) +
            " jobs that ran before the restart were claimed by no worker and run again");
  }
  for (std::uint32_t g = 0; g < lanes_.groups(); ++g) lanes_.heat(GroupIx{g});
}

}  // namespace jobwire::core
