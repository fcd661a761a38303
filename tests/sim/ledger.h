// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/config.h"
#include "core/effect.h"
#include "core/record.h"
#include "sim/agenda.h"
#include "sim/coverage.h"
#include "sim/messages.h"
#include "sim/trace.h"

namespace jobwire::sim {

/// One attempt's run, as it truly went: known to the simulator whether or not any message about it
/// arrives.
struct Run {
  core::JobId job;
  std::uint64_t endpoint = 0;  // the broker that granted it
  std::uint32_t timeout_ms = 0;
  std::uint16_t attempt = 0;
  std::uint64_t superseded_by =
      0;                      // the last broker that dispatched the job again under another token
  bool outdated = false;      // the store shows a later one running
  bool started = false;       // a handler has begun
  bool died_running = false;  // its process ended while it ran
  /// Until when its host may count as lost; null when its worker has no agent.
  const core::Steady* trouble_until = nullptr;
  bool charged = false;
  bool recalled = false;           // a broker has asked for it, unless it has started
  std::uint32_t words = 0;         // said of its progress
  std::uint32_t words_told = 0;    // the last that a watcher was told
  std::uint32_t words_stored = 0;  // ... that the store was given
  std::uint32_t saves = 0;         // checkpoints that it has made
  std::uint32_t saves_stored = 0;  // ... that the store was given
  std::uint32_t life = 0;          // of its job: a replay, or the id again, begins another one
  core::Steady granted_at{};
  core::Steady started_at{};
  core::Outcome reported = core::Outcome::kNone;  // what its worker says of it
};

/// One job, as everybody outside the broker knows it.
struct Truth {
  JobSpec spec;
  bool invalid = false;
  std::uint32_t sent = 0;     // copies of the submit
  std::uint32_t refused = 0;  // copies that were answered by a refusal
  bool receipted = false;
  bool cancel_asked = false;
  core::JobId stands_for;  // by its receipt: another job has its dedup key
  bool stored = false;     // a batch with it took effect
  core::State end = core::State::kNone;
  core::LeaseToken winner;
  std::uint16_t end_attempts = 0;
  core::Wall ended{};
  core::Steady ended_at{};
  bool removed = false;
  std::string queue;          // where it is now
  std::uint32_t replays = 0;  // over all lives
  std::uint32_t lives = 0;
  std::vector<core::LeaseToken> runs;
  /// The latest checkpoint of this life that was acknowledged: its run's place in `runs`, and its
  /// number.
  std::pair<std::size_t, std::uint32_t> saved{};
  core::Steady first_sent{};
};

/// What was promised, to whom, and what came of it: written by peers, the network and the store,
/// which know nothing of the broker's own view. Every method checks what it is told against the
/// rest and throws Violation.
class Ledger {
 public:
  Ledger(const Agenda& agenda, const core::EngineConfig& config, Trace& trace, Coverage& coverage)
      : agenda_(agenda), config_(config), trace_(trace), coverage_(coverage) {}

  Truth& truth(const core::JobId& id);
  Run& run(const core::LeaseToken& token);
  Run* find_run(const core::LeaseToken& token);
  std::map<core::JobId, Truth>& jobs() { return jobs_; }

  // ---- from producers
  Truth& submitted(const JobSpec& spec, bool invalid);
  /// Every copy ever sent was answered by a refusal, and the producer gives up.
  bool truly_refused(const Truth& truth) const {
    return !truth.receipted && truth.refused >= truth.sent;
  }

  // ---- from the network: a broker has let go of something
  void receipt_sent(const wire::ReceiptHead& head);
  void end_told(const core::JobId& id, core::State state, const char* by);
  void view_sent(std::uint64_t endpoint, const wire::ResultView& view, ByteSpan payload);
  void progress_sent(std::uint64_t endpoint, const wire::ProgressView& view, ByteSpan blob);
  void cancel_reply_sent(std::uint64_t endpoint, const wire::CancelHead& head);
  void recall_sent(const core::LeaseToken& token);
  void dispatched(std::uint64_t endpoint, const wire::DispatchHead& head,
                  const wire::DispatchExtra* extra, ByteSpan blob);
  void checkpoint_acknowledged(std::uint64_t endpoint, const wire::CheckpointAckHead& head);

  // ---- from workers
  void started(const core::LeaseToken& token);
  void acknowledged(const ResultNote& note);
  /// A lease that a worker named in its first Ready to this broker, and had not finished, is not
  /// honoured.
  void claim_refused(const core::LeaseToken& token, std::uint64_t endpoint);

  // ---- from the store
  void inserted(const core::JobRecord& job, core::Wall now);
  void attempt_written(const core::JobRecord& job, const core::Attempt& attempt);
  void ended(const core::JobRecord& job);
  void running_written(const core::JobRecord& job);
  void checkpoint_written(const core::CheckpointWrite& write);
  void progress_written(const core::ProgressWrite& write);
  void removed(const core::JobId& id, core::Steady now);
  void replayed(const core::JobRecord& job);
  void queue_set(const std::string& queue, const core::QueueSettings& settings);
  /// What was set is undone: the store went backwards.
  void queue_unset(const std::string& queue, const core::QueueSettings& settings) {
    settings_[queue] = settings;
    told_paused_.erase(queue);  // the broker knows what the store has forgotten
  }

  // ---- from and to operators
  void sweep_sent(std::uint64_t request, core::SweepAction action, const std::string& queue,
                  bool dry);
  /// Its operator knows that it has begun.
  void sweep_known(std::uint64_t request);
  /// It was refused, or its session is lost.
  void sweep_over(std::uint64_t request);
  void dead_shown(const core::JobId& id, std::uint32_t generation);
  void queue_told(const std::string& queue, bool paused, core::Wall since);
  void command_refused(std::uint64_t request);
  /// A new owner knows what the store has.
  void know_settings();

  /// Batches that took effect belong to the shard's owner from here on.
  void set_owner(std::uint64_t endpoint) {
    owner_ = endpoint;
    owner_since_ = agenda_.steady();
  }
  std::uint64_t owner() const { return owner_; }
  bool wall_was_stepped = false;
  std::map<std::string, TypeDefault> declared;  // by workers, of their types
  bool truth_may_be_gone = false;  // bounds by count or bytes: a job may go as soon as it has ended

  [[noreturn]] void violated(const std::string& rule, const core::JobId& id) const;

 private:
  /// The run that a word of progress is about, by what the word says of itself.
  Run& spoken(const core::JobId& job, std::string_view message, float value);
  /// The run that saved a checkpoint of the job, and which of its run's it is.
  std::pair<Run*, std::uint32_t> saved(const core::JobId& job, ByteSpan bytes);
  void check_resumed(const Truth& known, const Run& run, const core::JobId& id,
                     const wire::DispatchExtra* extra, ByteSpan blob);
  bool superseded(const Run& run) const { return run.outdated || run.superseded_by == owner_; }
  /// What may have judged the job: its own policy over its type's; and, as long as no worker has
  /// told the broker the type's, over the broker's.
  std::array<core::RetryPolicy, 2> policies_of(const core::JobRecord& job) const;

  const Agenda& agenda_;
  const core::EngineConfig& config_;
  Trace& trace_;
  Coverage& coverage_;
  std::uint64_t owner_ = 0;
  core::Steady owner_since_{};
  std::map<core::JobId, Truth> jobs_;
  std::unordered_map<core::LeaseToken, Run, core::Id16Hash<core::LeaseTokenTag>> runs_;
  struct Hold {
    core::JobId job;
    core::Wall since{};
    std::uint64_t window_ms = 0;
  };
  std::map<std::string, Hold> dedups_;
  std::map<std::string, core::QueueSettings> settings_;  // as the store has them
  std::map<std::string, core::Wall> told_paused_;        // and since when
  std::set<std::string> refused_;                        // the `why` of commands that were refused
  struct Purge {
    std::string queue;
    core::Steady known_at = core::Steady::max();
  };
  std::map<std::uint64_t, Purge> purges_;
  bool replay_asked_ = false;
  bool drop_asked_ = false;
};

/// A checkpoint's bytes name the lease, and say which of its own it is.
Buffer checkpoint_bytes(const core::LeaseToken& token, std::uint32_t number);

/// A result's bytes name the lease and the job, so that whoever gets them can tell whose they are.
Buffer result_bytes(const core::LeaseToken& token, const core::JobId& job, std::size_t padding);

}  // namespace jobwire::sim
