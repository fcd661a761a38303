// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/engine.h"

namespace jobwire::core {

inline void PrintTo(State state, std::ostream* os) { *os << name_of(state); }

inline constexpr Wall kStart{Millis(1'800'000'000'000)};

/// A UUIDv7 whose random part counts.
inline JobId job_id(std::uint64_t n, Wall made = kStart) {
  JobId id;
  auto millis = static_cast<std::uint64_t>(made.time_since_epoch().count());
  for (std::size_t i = 6; i-- > 0; millis >>= 8) {
    id.bytes[i] = static_cast<std::uint8_t>(millis & 0xff);
  }
  id.bytes[6] = 0x70;
  id.bytes[8] = 0x80;
  for (std::size_t i = 16; i-- > 9; n >>= 8) id.bytes[i] = static_cast<std::uint8_t>(n & 0xff);
  return id;
}

inline HostId host_id(std::uint8_t n) {
  HostId id;
  id.bytes.fill(n);
  return id;
}

inline LeaseToken token_of(std::uint8_t n) {
  LeaseToken token;
  token.bytes.fill(n);
  return token;
}

inline std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// A job with a payload, in queue "q" of type "t", unless the test says otherwise.
inline Submission job(std::uint64_t n) {
  Submission submission;
  submission.id = job_id(n);
  submission.queue = "q";
  submission.type = "t";
  submission.payload = bytes_of("payload");
  submission.encoding = Encoding::kBytes;
  return submission;
}

inline JobOptions& options_of(Submission& submission) {
  if (!submission.options) submission.options = std::make_shared<JobOptions>();
  return *submission.options;
}

/// What a producer that names nothing but attempts sends.
inline RetryPolicy retries(std::uint16_t attempts, Millis fixed_delay = Millis(10)) {
  RetryPolicy policy;
  policy.attempts = attempts;
  policy.timeouts = 0;
  policy.crashes = 0;
  policy.backoff = BackoffKind::kFixed;
  policy.base = fixed_delay;
  policy.jitter = false;
  return policy;
}

/// How many effects of each kind; a refused event has exactly one.
inline std::size_t count_all(const Effects& e) {
  return e.refusals.size() + e.receipts.size() + e.acks.size() + e.lease_refusals.size() +
         e.results.size() + e.result_reads.size() + e.payload_reads.size() + e.revokes.size() +
         e.recalls.size() + e.dispatches.size() + e.cancel_replies.size() + e.cancel_leases.size() +
         e.queue_replies.size() + e.sweep_reports.size() + e.dead_scans.size() +
         e.contracts_done.size() + e.session_drops.size() + e.logs.size() + e.progress.size() +
         e.checkpoint_acks.size();
}

/// An engine, its time, and the store that the test plays.
class EngineTest : public ::testing::Test {
 protected:
  EngineTest() {
    config.retry.jitter = false;
    now.steady = Steady(Micros(1'000'000'000));
    now.wall = kStart;
  }

  /// Change `config` before the first call.
  Engine& engine() {
    if (!engine_) start(0);
    return *engine_;
  }

  /// A new broker after a crash: knows what the test restores.
  Engine& restart() {
    start(last_batch.sequence);
    return *engine_;
  }

  Effects apply(const Event& event) {
    Effects out;
    engine().apply(event, now, out);
    return out;
  }

  Effects end_turn() {
    Effects out;
    engine().end_turn(now, out);
    return out;
  }

  /// One event, and the end of the turn.
  Effects turn(const Event& event) {
    Effects out;
    engine().apply(event, now, out);
    engine().end_turn(now, out);
    return out;
  }

  /// Lets time pass, in one step.
  Effects advance(Micros span) {
    now.steady += span;
    fraction_ += span;
    const auto whole = std::chrono::floor<Millis>(fraction_);
    fraction_ -= whole;
    now.wall += whole;
    return end_turn();
  }

  // ---- the store

  const Batch& stage() {
    EXPECT_TRUE(engine().has_batch(now));
    last_batch = engine().stage(now);
    return last_batch;
  }

  Effects committed() { return turn(BatchCommitted{last_batch.sequence}); }
  Effects rejected(Code code) { return turn(BatchRejected{last_batch.sequence, code}); }

  Effects commit() {
    stage();
    return committed();
  }

  /// Commits until nothing waits.
  void settle() {
    end_turn();
    for (int i = 0; engine().has_batch(now); ++i) {
      ASSERT_LT(i, 1'000) << "there is always one more batch";
      commit();
    }
  }

  /// Commits whatever is left, and gives all that came of it.
  Effects commit_rest() {
    Effects all;
    while (engine().has_batch(now)) {
      stage();
      engine().apply(BatchCommitted{last_batch.sequence}, now, all);
      engine().end_turn(now, all);
    }
    return all;
  }

  // ---- peers

  SessionId next_session() { return SessionId{++sessions_}; }

  SessionId open(Role role, HostId host = {}, std::uint64_t number = 0) {
    SessionOpened opened;
    opened.session = next_session();
    opened.role = role;
    opened.host = host;
    opened.host_name = host.is_zero() ? "" : "box";
    opened.worker = WorkerNumber{number};
    opened.pid = 1000;
    turn(opened);
    return opened.session;
  }
  SessionId producer() { return open(Role::kProducer); }
  SessionId op() { return open(Role::kOperator); }
  SessionId agent(HostId host) { return open(Role::kAgent, host); }

  struct Serves {
    std::vector<std::string_view> queues{"q"};
    std::vector<std::string_view> types{"t"};
    std::uint16_t slots = 1;
    std::uint16_t credit = 1;
    std::vector<HeldLease> held{};
    /// The contract of every type.
    std::uint64_t contract = 0;
    std::vector<std::uint64_t> accepts{};
    std::string_view version{};
  };

  Effects ready(SessionId session, const Serves& serves) {
    std::vector<TypeOffer> types;
    for (const std::string_view name : serves.types)
      types.push_back({name, serves.contract, serves.accepts, serves.version});
    WorkerReady event;
    event.session = session;
    event.queues = serves.queues;
    event.types = types;
    event.slots = serves.slots;
    event.credit = serves.credit;
    event.held = serves.held;
    return turn(event);
  }

  static Serves room(std::uint16_t slots, std::uint16_t credit) {
    Serves serves;
    serves.slots = slots;
    serves.credit = credit;
    return serves;
  }

  /// A worker without an agent, ready. What it got at once is in `dispatched`.
  SessionId lone_worker(std::uint16_t slots = 1, std::uint16_t credit = 1) {
    return lone_worker(room(slots, credit));
  }
  SessionId lone_worker(const Serves& serves) {
    const SessionId session = open(Role::kWorker);
    dispatched = ready(session, serves).dispatches;
    return session;
  }

  SessionId hosted_worker(HostId host, std::uint64_t number, std::uint16_t slots = 1,
                          std::uint16_t credit = 1) {
    const SessionId session = open(Role::kWorker, host, number);
    dispatched = ready(session, room(slots, credit)).dispatches;
    return session;
  }

  Effects beat(SessionId agent, std::vector<WorkerNumber> workers,
               std::vector<HeldLease> running = {}) {
    HostBeat event;
    event.session = agent;
    event.workers = workers;
    event.running = running;
    return turn(event);
  }

  static HeldLease held(const DispatchOut& dispatch, std::uint64_t worker = 0) {
    HeldLease lease;
    lease.token = dispatch.token;
    lease.job = dispatch.job;
    lease.worker = WorkerNumber{worker};
    lease.attempt = dispatch.attempt;
    return lease;
  }

  // ---- jobs

  Effects submit(SessionId session, std::vector<Submission> jobs) {
    return turn(Submitted{session, jobs});
  }
  Effects submit(SessionId session, const Submission& job) {
    return turn(Submitted{session, std::span(&job, 1)});
  }

  /// Jobs first..first+count-1, committed.
  void stored_jobs(SessionId session, std::uint64_t first, std::uint64_t count) {
    std::vector<Submission> jobs;
    for (std::uint64_t n = first; n < first + count; ++n) jobs.push_back(job(n));
    submit(session, jobs);
    settle();
  }

  static ResultReport success(const DispatchOut& dispatch, std::string_view result = "result",
                              Micros run = Micros(100)) {
    ResultReport report;
    report.token = dispatch.token;
    report.job = dispatch.job;
    report.outcome = Outcome::kSucceeded;
    report.encoding = Encoding::kUtf8;
    report.run = run;
    report.payload = bytes_of(result);
    return report;
  }

  static ResultReport failure(const DispatchOut& dispatch, Outcome outcome = Outcome::kRaised,
                              std::string_view type = "builtins.ValueError") {
    ResultReport report;
    report.token = dispatch.token;
    report.job = dispatch.job;
    report.outcome = outcome;
    report.run = Micros(100);
    report.payload = bytes_of("error buffer");
    report.error_type = type;
    report.error_message = "it broke";
    return report;
  }

  Effects report(SessionId worker, std::uint64_t sequence, std::vector<ResultReport> results) {
    return turn(ResultsReported{worker, sequence, results});
  }

  /// The worker's word about a lease.
  Effects says(SessionId worker, const LeaseToken& token, float value,
               std::string_view message = "") {
    const ProgressNote note{token, value, message};
    return turn(ProgressReported{worker, std::span(&note, 1)});
  }

  Effects saves(SessionId worker, const LeaseToken& token, std::uint32_t number,
                std::string_view bytes, Encoding encoding = Encoding::kUtf8) {
    const CheckpointNote note{token, number, encoding, bytes_of(bytes)};
    return turn(CheckpointsReported{worker, std::span(&note, 1)});
  }

  Effects ask(SessionId session, std::vector<JobId> ids, bool wait = false,
              std::uint64_t request = 7) {
    return turn(ResultsAsked{session, request, ids, wait});
  }

  Effects cancel(SessionId session, std::vector<JobId> ids, std::uint64_t request = 8) {
    return turn(CancelAsked{session, request, ids});
  }

  Effects hand_back(SessionId session, std::vector<LeaseToken> tokens) {
    return turn(HandedBack{session, tokens});
  }

  std::optional<State> state(std::uint64_t n) { return engine().state_of(job_id(n)); }

  /// The write of that job in the last batch, or nullptr.
  const JobWrite* written(std::uint64_t n) const {
    const auto found = std::find_if(last_batch.jobs.begin(), last_batch.jobs.end(),
                                    [&](const JobWrite& w) { return w.job.id == job_id(n); });
    return found == last_batch.jobs.end() ? nullptr : &*found;
  }

  /// Everything that can be seen of the engine without touching it.
  struct View {
    std::array<std::uint64_t, 9> counts;
    bool has_batch;
    std::vector<std::optional<State>> states;
    friend bool operator==(const View&, const View&) = default;
  };
  View view() {
    const Engine::Counts c = engine().counts();
    View view{{c.jobs, c.finished, c.leases, c.workers, c.sessions, c.unstored_jobs,
               c.unstored_bytes, c.resident_bytes, c.checkpoint_bytes},
              engine().has_batch(now),
              {}};
    for (std::uint64_t n = 0; n < 64; ++n) view.states.push_back(state(n));
    return view;
  }

  /// Runs `act` and expects one effect only, which the caller looks at, and nothing changed.
  template <typename Act>
  Effects refused(Act&& act) {
    const View before = view();
    Effects out = act();
    EXPECT_EQ(count_all(out), 1U);
    const View after = view();
    EXPECT_EQ(before.counts, after.counts);
    EXPECT_EQ(before.has_batch, after.has_batch);
    EXPECT_TRUE(before.states == after.states);
    return out;
  }

  EngineConfig config;
  Now now;
  std::uint64_t seed = 1;
  std::uint64_t epoch = 1;
  Batch last_batch;
  std::vector<DispatchOut> dispatched;

 private:
  void start(std::uint64_t sequence) { engine_.emplace(config, seed++, epoch++, sequence); }

  std::optional<Engine> engine_;
  std::uint32_t sessions_ = 0;
  Micros fraction_{0};
};

}  // namespace jobwire::core
