// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/admission.h"
#include "core/checkpoints.h"
#include "core/config.h"
#include "core/effect.h"
#include "core/event.h"
#include "core/finished_jobs.h"
#include "core/fleet.h"
#include "core/job_table.h"
#include "core/lanes.h"
#include "core/progress.h"
#include "core/random.h"
#include "core/record.h"
#include "core/sweep.h"
#include "core/timers.h"

namespace jobwire::core {

/// The rules of the broker, and nothing else: no clock, no randomness of its own, no socket, no
/// store, no log. The same events with the same times and seed give the same effects and batches,
/// so that the simulator can run it a million times. One thread.
///
/// A turn: apply() each event, then end_turn(); execute the effects; and whenever the store is
/// ready and has_batch(), give it stage(). What must wait for a commit (receipts, acknowledgements,
/// results, the first dispatch) is kept here until BatchCommitted: every effect may be executed at
/// once.
///
/// Order of durability: a job runs only after the commit that took it in; a failed attempt's retry
/// is armed only after the commit that notes the failure. So no state in memory that others can see
/// is ahead of the store, but for one: that a job is running is written late, or never when it ends
/// before.
class Engine {
 public:
  /// `epoch` is the store's; tokens of different epochs differ. `sequence` is that of the store's
  /// last batch.
  Engine(const EngineConfig& config, std::uint64_t seed, std::uint64_t epoch,
         std::uint64_t sequence);

  // ---- recovery, before the first turn

  /// A job that had not ended. False when it makes no sense, or is known (and was left out). Those
  /// that did not run may also come between later turns, each before anything is said of it, as
  /// long as no new jobs are taken.
  bool restore(const JobRecord& job, Now now);
  /// What its last attempt had saved. Requires: the job was restored.
  void restore_checkpoint(const JobId& id, Checkpoint checkpoint);
  /// `goes`: at a time of its own; zero: with the others.
  void restore_final(const JobId& id, std::string_view queue, State state, Wall finished,
                     Wall goes = {});
  void restore_gone_before(Wall moment) { finished_.restore_gone_before(moment); }
  void restore_queue(std::string_view queue, const QueueSettings& settings, Now now);
  void restore_dedup(std::string_view key, const JobId& job, Millis left, Now now);
  void restore_type(const TypeWrite& type);
  /// A host that was there before: its workers may still run our jobs.
  void restore_host(const HostId& id);
  /// Opens the adoption window if there is anybody to wait for. Until it closes nothing is
  /// dispatched.
  void finish_recovery(Now now);

  // ---- turns

  void apply(const Event& event, Now now, Effects& out);
  /// Timers, silent peers, dispatch.
  void end_turn(Now now, Effects& out);
  /// When end_turn() has something to do even if nothing comes in.
  std::optional<Steady> next_deadline() const;

  // ---- towards the store

  /// Something waits to be written, and no batch is under way.
  bool has_batch(Now now) const;
  /// The next batch. It stays the engine's and unchanged until BatchCommitted or BatchRejected
  /// names its sequence. Requires: has_batch().
  const Batch& stage(Now now);

  // ---- questions, for logs, checks and tests

  struct Counts {
    std::size_t jobs = 0;  // not ended, or their end not stored
    std::size_t finished = 0;
    std::size_t leases = 0;
    std::size_t workers = 0;
    std::size_t groups = 0;  // of workers that serve the same
    std::size_t sessions = 0;
    std::uint64_t unstored_jobs = 0;
    std::uint64_t unstored_bytes = 0;
    std::uint64_t resident_bytes = 0;
    std::uint64_t checkpoint_bytes = 0;
    std::uint64_t stale_results = 0;
  };
  Counts counts() const;
  /// Every queue that has a name here, in no set order, and whether it has dead jobs.
  void queue_names(std::vector<std::string>& out) const;
  bool adopting() const { return adopting_until_.has_value(); }
  /// The state of a job that has not ended or is still kept; nothing when it is not known.
  std::optional<State> state_of(const JobId& id) const;
  /// Shutting down, and everything that was taken is stored.
  bool drained() const {
    return shutting_down_ && !batch_under_way_ && dirty_.empty() && queue_changes_.empty() &&
           !contract_change_ && unstored_jobs_ == 0;
  }

 private:
  friend class EngineAudit;  // tests/sim: compares the sums and links in here with what they are
                             // made of

  struct Session {
    Role role = Role::kNone;
    WorkerIx worker = kNoWorker;
    HostId host;
    Steady heard{};
    std::uint32_t unreceipted = 0;
    std::uint64_t unreceipted_bytes = 0;
  };

  /// One job of the batch under way, and the Results message that its commit helps to settle.
  struct Staged {
    JobIx job;
    State state;
    bool inserted;
    SessionId ack_session;
    std::uint64_t ack_sequence;
    std::uint64_t report_bytes;
    std::uint8_t sweep;
  };

  /// The session of a message that has just come; null, and the message is refused, when there is
  /// none, or (hear_worker) when it is no worker's.
  Session* hear(SessionId id, std::uint64_t request, Now now, Effects& out);
  Session* hear_worker(SessionId id, std::uint64_t request, Now now, Effects& out);

  // engine_intake.cc
  void on(const Submitted& event, Now now, Effects& out);
  void on(const ResultsAsked& event, Now now, Effects& out);
  void on(const CancelAsked& event, Now now, Effects& out);
  void submit(SessionId id, Session& session, const Submission& job, Now now, Effects& out);
  void refuse(SessionId id, const Submission& job, Code code, const char* field,
              const char* message, Millis retry_after, Effects& out) const;
  bool answer_known(SessionId id, const Submission& job, Effects& out);
  bool too_many_contracts(std::string_view type, std::uint64_t contract);
  std::optional<Code> full(const Session& session, std::string_view queue, std::uint64_t bytes,
                           Now now) const;
  /// False when too many watch it already.
  bool can_watch(Job& job, SessionId session);
  /// Requires: can_watch().
  void watch(Job& job, SessionId session);
  void cancel(const CancelAsked& event, JobIx ix, Now now, Effects& out);
  /// Requires: it is leased.
  void ask_to_stop(const Job& job, Effects& out);
  /// The state that peers may see: an end that is not stored yet is not an end, since a crash could
  /// undo it.
  static State shown(const Job& job);
  ResultOut view(const Job& job) const;

  // engine_attempts.cc
  void on(const ResultsReported& event, Now now, Effects& out);
  void on(const HandedBack& event, Now now, Effects& out);
  void grant(JobIx ix, WorkerIx worker, std::uint16_t offer, Now now, Effects& out);
  LeaseIx bind(JobIx ix, WorkerIx worker, const LeaseToken& token, Move move, Now now);
  void succeed(JobIx ix, const ResultReport& report, Now now);
  struct Failed {
    Outcome outcome = Outcome::kNone;
    std::string_view error_type;
    std::string_view error_message;
    bool retryable = true;
    Millis asked{0};
    Micros run{0};
    Wall started{};
    std::span<const std::uint8_t> error;
  };
  void fail(JobIx ix, const Failed& failed, Now now);
  /// Ends the lease; the job goes back to its queue as if it had never been leased.
  void give_back(JobIx ix, Now now);
  void confirm_cancel(JobIx ix, Now now);
  void drop_lease(Job& job);
  void finish(JobIx ix, Move move, Now now);
  /// The only places where a job's state changes; the counts of its queue go with it. Requires: its
  /// lane is set, and the table has the move.
  void move(Job& job, Move move);
  void enter(Job& job, State state);
  LeaseToken new_token();

  // engine_types.cc
  /// A job's own policy, with its type's and then the broker's where it says nothing.
  RetryPolicy policy_of(const Job& job);
  Millis timeout_of(const Job& job);
  void declare(TypeIx type, const TypeOffer& offer);
  void note_declared(TypeIx type);
  /// A job of a lane that nobody ever served: told in the log, once a type, if it stays so for a
  /// while.
  void note_unserved(LaneIx lane, Now now);
  void tell_unserved(Now now, Effects& out);

  // engine_recall.cc
  /// Asks for a lease, unless it has started. Requires: its worker is connected.
  void recall(LeaseIx ix, Effects& out);
  void recall_held_up(Now now, Effects& out);
  /// True when something still waits in that worker and was not asked for.
  bool relieve(WorkerIx ix, Now now, Effects& out);
  bool idle_elsewhere(const Job& job);

  // engine_progress.cc
  void on(const ProgressReported& event, Now now, Effects& out);
  void tell_progress(Now now, Effects& out);
  /// With the answer to a question.
  void answer_progress(JobIx ix, SessionId session, Effects& out) const;

  // engine_checkpoints.cc
  void on(const CheckpointsReported& event, Now now, Effects& out);
  void checkpoints_committed(Effects& out);
  void checkpoints_rejected();
  /// The job has ended, and its end is stored.
  void drop_checkpoint(JobIx ix, Effects& out);

  // engine_hosts.cc
  void on(const SessionOpened& event, Now now, Effects& out);
  void on(const SessionClosed& event, Now now, Effects& out);
  void on(const WorkerReady& event, Now now, Effects& out);
  void on(const HostBeat& event, Now now, Effects& out);
  void on(const WorkerDown& event, Now now, Effects& out);
  void reconcile(WorkerIx worker, std::span<const HeldLease> held, Now now, Effects& out);
  bool adopt(WorkerIx worker, const HeldLease& held, Now now, Effects& out);
  /// The oldest leases, as many as there are slots: nobody can be asked any more.
  std::vector<LeaseToken> presumed_running(const Worker& worker);
  void retire_worker(WorkerIx worker, std::span<const LeaseToken> running, const Failed& failure,
                     Now now, Effects& out);
  void lose_host(const HostId& id, Now now, std::string_view why, Effects& out);
  void check_silence(Now now, Effects& out);
  void check_overdue(Now now, Effects& out);
  void check_adoption(Now now, Effects& out);
  void close_adoption(Now now, Effects& out);
  void note_host(const HostId& id, Host& host, bool left, Now now);
  void refresh_room(WorkerIx worker);

  // engine_control.cc
  /// A command that is not in the store yet.
  struct QueueChange {
    std::string queue;
    SessionId session{};  // zero: nobody asked
    std::uint64_t request = 0;
    QueueAction action = QueueAction::kNone;  // kNone: the settings as they are
    std::string by;
    std::string why;
    Wall until{};
    std::uint32_t weight = 0;
  };
  void on(const QueueAsked& event, Now now, Effects& out);
  std::optional<Objection> objection_to(const QueueAsked& asked, Now now) const;
  void look(const QueueAsked& asked, Effects& out);
  QueueView view_of(QueueIx ix, std::uint32_t workers) const;
  std::vector<std::uint32_t> workers_by_queue();
  void stage_queue_changes(Now now);
  void queue_changes_committed(Now now, Effects& out);
  void queue_changes_rejected(Code code, Effects& out);
  void set(QueueIx ix, const QueueSettings& settings, Effects& out);
  void recall_unstarted(QueueIx queue, Effects& out);
  void lift_closed(Now now);

  // engine_contracts.cc
  void on(const ContractAsked& event, Now now, Effects& out);
  void contract_committed(Effects& out);
  void contract_rejected(Code code, Effects& out);

  // engine_sweeps.cc
  void on(const SweepAsked& event, Now now, Effects& out);
  void on(const DeadScanned& event, Now now, Effects& out);
  std::optional<Objection> objection_to(const SweepAsked& asked) const;
  void run_sweeps(Now now, Effects& out);
  /// Jobs that the sweep may change now.
  std::uint64_t allowance(Sweep& sweep, Now now) const;
  /// False when it cannot go on now, but for want of time.
  void purge(std::uint8_t slot, Sweep& sweep, std::uint32_t& looks, Now now);
  bool purges(const Sweep& sweep, JobIx ix);
  void walk_dead(Sweep& sweep, Effects& out);
  /// False when it may not change another one now.
  bool sweep_dead(std::uint8_t slot, Sweep& sweep, const DeadView& dead, Now now);
  bool replay(std::uint8_t slot, const Sweep& sweep, const JobRecord& record);
  void swept(std::uint8_t slot, bool stored);
  void report(const Sweep& sweep, bool finished, Effects& out) const;
  void stop_sweeps(SessionId session, Code code, const char* message);

  // engine_import.cc
  void on(const DeadImported& event, Now now, Effects& out);
  void import(SessionId id, Session& session, const Submission& job, ImportedJob& imported, Now now,
              Effects& out);

  // engine_dispatch.cc
  void fire_timers(Now now);
  /// The time of day has moved on by itself: what waits for it is due by the new one.
  void follow_clock(Now now);
  /// Whether anything may be handed out at all.
  bool dispatches() const;
  void dispatch(Now now, Effects& out);
  void dispatch_group(GroupIx ix, Now now, Effects& out);
  LaneIx pick_lane(Group::Served& served, Effects& out);
  void fetch(LaneIx lane, Effects& out);
  void on(const PayloadsLoaded& event, Now now, Effects& out);
  std::uint32_t estimate(TypeIx type) const;

  // engine_store.cc
  void on(const BatchCommitted& event, Now now, Effects& out);
  void on(const BatchRejected& event, Now now, Effects& out);
  void on(const StoreWentAway& event, Now now, Effects& out);
  void on(const StoreCameBack& event, Now now, Effects& out);
  void on(const StoreRoomChanged& event, Now now, Effects& out);
  void on(const ShutdownBegun& event, Now now, Effects& out);
  void mark_dirty(JobIx ix);
  void write_of(JobIx ix, JobWrite& write);
  void take_late_marks(Now now);
  void stored(const Staged& staged, Now now, Effects& out);
  void arm(JobIx ix, Now now);
  void settle(SessionId session, std::uint64_t sequence);
  void acknowledge(Effects& out);
  void announce_end(Job& job, Effects& out) const;
  /// Whoever waits for a job that the store refused, and is not told by a receipt.
  void tell_unknown(const Job& job, SessionId watcher, Effects& out) const;
  /// Forgets a job that was never stored, and refuses it to whoever asked for it. Requires: it is
  /// not in dirty_.
  void turn_away(JobIx ix, Code code, Effects& out);
  /// Turns away what was taken in and is in no batch yet.
  void turn_away_unstaged(Code code, Effects& out);
  void forget(JobIx ix);
  void receipt(SessionId session, const Job& job, bool duplicate, Effects& out) const;
  void note_stored(Job& job, Effects& out);
  void make_resident(Job& job, bool resident);
  QueueDelta& delta(QueueIx queue);
  void log(Effects& out, Severity severity, std::string text) const;

  EngineConfig config_;
  Random random_;
  std::uint64_t hash_seed_;  // ids come from outside: nobody can choose ids that collide
  std::uint64_t epoch_;
  std::uint64_t lease_counter_ = 0;

  JobTable jobs_;
  Fleet fleet_;
  Lanes lanes_;
  FinishedJobs finished_;
  Timers timers_;
  ProgressBoard progress_;
  CheckpointBoard checkpoints_;
  /// Payloads asked for, and the lanes that wait for them: their jobs may be gone when they come.
  std::unordered_map<JobId, LaneIx, Id16Hash<JobIdTag>> fetches_;
  std::unordered_map<SessionId, Session> sessions_;

  struct Dedup {
    JobId job;
    Steady until{};
  };
  std::unordered_map<std::string, Dedup> dedups_;
  std::multimap<Steady, std::string> dedup_ends_;

  // Operators.
  std::deque<QueueChange> queue_changes_;
  std::vector<QueueChange> staged_changes_;
  std::set<QueueIx> closed_until_;  // paused or draining until a set time
  Steady lift_check_{};
  std::map<std::string_view, QueueIx> by_name_;
  std::optional<ContractDoneOut> contract_change_;  // one at a time
  Sweeps sweeps_;
  std::optional<Steady> sweep_at_;                                        // when a sweep can go on
  std::unordered_map<JobId, std::uint8_t, Id16Hash<JobIdTag>> dropping_;  // and the sweep that does

  // Towards the store.
  std::deque<JobIx> dirty_;
  std::vector<QueueIx> changed_queues_;
  std::vector<HostWrite> host_writes_;
  std::vector<TypeIx> declared_types_;  // their defaults wait to be written, each once
  std::vector<JobId> stale_notes_;
  /// A change that is written only if it still holds a moment later: the job runs under this token,
  /// or (zero token) waits in its queue after a delay.
  struct LateMark {
    Steady due;
    JobIx job;
    std::uint64_t id_tail;
    LeaseToken token;
  };
  std::deque<LateMark> late_marks_;
  struct Unserved {
    Steady tell_at;
    LaneIx lane;
  };
  std::deque<Unserved> unserved_;                     // in the order of their times
  std::unordered_set<std::uint32_t> unserved_types_;  // in it, or told
  std::optional<Steady> recall_check_at_;             // something waits in a worker
  Batch batch_;
  std::vector<Staged> staged_;
  std::vector<WorkerIx> to_acknowledge_;
  bool batch_under_way_ = false;
  Steady staged_at_{};  // the batch under way
  std::uint64_t sequence_;
  Steady retry_batch_at_{};

  std::uint64_t unstored_jobs_ = 0;  // taken in, not yet committed
  std::uint64_t unstored_bytes_ = 0;
  std::uint64_t unstored_report_bytes_ = 0;  // of results and errors
  std::uint64_t resident_bytes_ = 0;
  std::uint64_t stale_results_ = 0;
  bool store_away_ = false;
  bool store_scarce_ = false;
  Steady store_full_until_{};
  bool shutting_down_ = false;

  std::optional<Millis>
      clock_offset_;  // of the time of day against steady time, when last looked at
  std::optional<Steady> adopting_until_;
  std::set<HostId> awaited_hosts_;
  std::vector<JobIx> orphans_;  // running, says the store, at nobody who has come back
  Steady next_check_{};
};

}  // namespace jobwire::core
