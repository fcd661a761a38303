// SPDX-License-Identifier: Apache-2.0
// A busy hour of a broker, in seconds: the real engine and a real Redis under a clock that the test
// moves. Then the whole keyspace is walked: every key has an owner and an end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <charconv>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "core/engine.h"
#include "core/random.h"
#include "redis_rig.h"
#include "store_rig.h"

namespace jobwire::testing {
namespace {

using core::Millis;
using core::State;

constexpr int kSeconds = 3'600;
constexpr int kRestartEvery = 900;

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

class RetentionTest : public ::testing::Test {
 protected:
  RetentionTest() {
    config_.keep_finished = Millis(300'000);
    config_.keep_finished_jobs = 500;
    config_.keep_finished_bytes = 400'000;
    config_.keep_dead = Millis(900'000);
    config_.keep_dead_jobs = 100;
    config_.retry.base = Millis(1'000);
    config_.retry.cap = Millis(5'000);
    now_.steady = core::Steady(core::Micros(1'000'000'000));
    now_.wall = core::Wall(Millis(1'800'000'000'000));
  }

  // ---- the broker

  void start() {
    store_.emplace(rig_.broker());
    const ports::StoreOpened opened = store_->open();
    engine_.emplace(config_, ++starts_, opened.epoch, opened.last_sequence);
    ports::Store& store = **store_;
    for (bool last = false; !last;) {
      auto page = store.recover_jobs();
      for (ports::StoredJob& job : page->jobs) {
        job.rebind();
        EXPECT_TRUE(engine_->restore(job.job, now_));
      }
      last = page->last;
    }
    for (bool last = false; !last;) {
      auto page = store.recover_finals();
      for (const auto& job : page->jobs)
        engine_->restore_final(job.id, job.queue, job.state, job.finished, job.goes);
      last = page->last;
    }
    engine_->restore_gone_before(*store.recover_gone_before());
    auto dedups = store.recover_dedups();
    for (const auto& dedup : *dedups)
      engine_->restore_dedup(dedup.key, dedup.job, dedup.left, now_);
    auto types = store.recover_types();
    for (const auto& type : *types) engine_->restore_type({type.type, type.timeout, type.retry});
    engine_->finish_recovery(now_);
    producer_ = open(core::Role::kProducer, {});
    // One that stands alone, and one with its agent.
    core::HostId host;
    host.bytes.fill(static_cast<std::uint8_t>(starts_));
    agent_ = open(core::Role::kAgent, host);
    worker_ = open(core::Role::kWorker, host);
    sequence_ = 0;
    const std::vector<std::string_view> queues{"images", "mail", "reports"};
    std::vector<core::TypeOffer> types_served(1);
    types_served[0].name = "work";
    types_served[0].timeout_ms = 30'000;
    core::WorkerReady ready;
    ready.session = worker_;
    ready.queues = queues;
    ready.types = types_served;
    ready.slots = 50;
    ready.credit = 50;
    turn(ready);
  }

  core::SessionId open(core::Role role, const core::HostId& host) {
    core::SessionOpened opened;
    opened.session = core::SessionId{++sessions_};
    opened.role = role;
    opened.host = host;
    opened.host_name = "box";
    opened.worker = core::WorkerNumber{1};
    turn(opened);
    return opened.session;
  }

  void turn(const core::Event& event) {
    core::Effects out;
    engine_->apply(event, now_, out);
    engine_->end_turn(now_, out);
    take(std::move(out));
  }

  void take(core::Effects out) {
    for (core::DispatchOut& dispatch : out.dispatches) running_.push_back(std::move(dispatch));
    if (out.payload_reads.empty()) return;
    std::vector<core::PayloadLoaded> loaded;
    for (const core::PayloadReadOut& read : out.payload_reads) {
      for (const ports::StoredJob& job : store_->read(read.ids, ports::ReadRequest::What::kPayload))
        loaded.push_back({job.id, job.found, job.job.payload});
    }
    turn(core::PayloadsLoaded{loaded});
  }

  /// Writes until nothing waits.
  void write() {
    while (engine_->has_batch(now_)) {
      const core::Batch& batch = engine_->stage(now_);
      store_->commit(batch);
      turn(core::BatchCommitted{batch.sequence});
    }
  }

  // ---- what happens in a second

  void submit_some() {
    const char* const queues[] = {"images", "mail", "reports"};
    std::vector<core::Submission> jobs;
    std::deque<std::string> payloads;
    for (std::uint64_t count = dice_.next() % 9; count > 0; --count) {
      core::Submission& job = jobs.emplace_back();
      job.id = next_id();
      job.queue = queues[dice_.next() % 3];
      job.type = "work";
      job.encoding = core::Encoding::kBytes;
      payloads.emplace_back(dice_.next() % 500, 'p');
      job.payload = {reinterpret_cast<const std::uint8_t*>(payloads.back().data()),
                     payloads.back().size()};
      job.keep_payload = dice_.next() % 5 == 0;
      if (dice_.next() % 5 == 0) job.delay_ms = dice_.next() % 60'000;
      if (dice_.next() % 8 == 0) {
        job.expires_at_ms = now_.wall.time_since_epoch().count() +
                            static_cast<std::int64_t>(job.delay_ms + 1'000 + dice_.next() % 5'000);
      }
      if (dice_.next() % 4 != 0) continue;
      job.options = std::make_shared<core::JobOptions>();
      if (dice_.next() % 2 == 0)
        job.options->result_ttl = Millis(1'000 + static_cast<int>(dice_.next() % 600'000));
      if (dice_.next() % 2 == 0) {
        job.options->dedup_key = "key" + std::to_string(dice_.next() % 40);
        job.options->dedup_window = Millis(60'000);
      }
    }
    if (jobs.empty()) return;
    turn(core::Submitted{producer_, jobs});
    if (dice_.next() % 4 == 0) {
      const std::vector<core::JobId> ids{jobs[0].id};
      turn(core::CancelAsked{producer_, 1, ids, "a test"});
    }
  }

  core::JobId next_id() {
    core::JobId id;
    auto millis = static_cast<std::uint64_t>(now_.wall.time_since_epoch().count());
    for (std::size_t i = 6; i-- > 0; millis >>= 8)
      id.bytes[i] = static_cast<std::uint8_t>(millis & 0xff);
    const std::uint64_t tail = dice_.next();
    for (std::size_t i = 0; i < 8; ++i)
      id.bytes[8 + i] = static_cast<std::uint8_t>(tail >> (8 * i));
    return id;
  }

  void run_some() {
    std::vector<core::ResultReport> reports;
    std::deque<std::string> results;
    std::vector<core::ProgressNote> notes;
    for (std::uint64_t count = dice_.next() % 12; count > 0 && !running_.empty(); --count) {
      const core::DispatchOut dispatch = std::move(running_.front());
      running_.pop_front();
      notes.push_back({dispatch.token, 0.5F, "half"});
      core::ResultReport& report = reports.emplace_back();
      report.token = dispatch.token;
      report.job = dispatch.job;
      report.run = core::Micros(1'000);
      results.emplace_back(dice_.next() % 2'000, 'r');
      report.payload = {reinterpret_cast<const std::uint8_t*>(results.back().data()),
                        results.back().size()};
      if (dice_.next() % 10 < 7) {
        report.outcome = core::Outcome::kSucceeded;
        report.encoding = core::Encoding::kBytes;
      } else {
        report.outcome = dice_.next() % 6 == 0 ? core::Outcome::kRejected : core::Outcome::kRaised;
        report.error_type = "builtins.ValueError";
        report.error_message = "no";
      }
      last_ = report;
      last_.payload = {};
    }
    if (!notes.empty()) turn(core::ProgressReported{worker_, notes});
    if (!reports.empty()) turn(core::ResultsReported{worker_, ++sequence_, reports});
    if (dice_.next() % 10 == 0 && !last_.job.is_zero()) {
      // The same again, late: refused, and noted on the job while there is one.
      turn(core::ResultsReported{worker_, ++sequence_, std::span(&last_, 1)});
    }
  }

  void beat() {
    const std::vector<core::WorkerNumber> workers{core::WorkerNumber{1}};
    core::HostBeat event;
    event.session = agent_;
    event.workers = workers;
    turn(event);
    turn(core::ResultsAsked{producer_, 0, {}, false});  // keeps its session
  }

  void second() {
    now_.steady += core::Micros(1'000'000);
    now_.wall += Millis(1'000);
    beat();
    submit_some();
    run_some();
    write();
  }

  // ---- Redis

  std::string redis(const std::vector<std::string>& words) { return rig_.server.command(words); }
  std::vector<std::string> members(const std::string& key) {
    return lines(redis({"ZRANGE", key, "0", "-1"}));
  }
  std::string field(const std::string& id, const std::string& name) {
    return redis({"HGET", "jw:{0}:job:" + id, name});
  }
  std::vector<std::string> keys() { return lines(redis({"KEYS", "*"})); }

  /// What each key is, by REDIS.md; a failure for one that nobody owns or that nothing ends.
  void walk() {
    std::map<std::string, std::string> indexed;  // job -> index
    std::set<std::string> jobs, ttls, all;
    for (const std::string& key : keys()) all.insert(key);
    for (const std::string& key : all) {
      ASSERT_TRUE(key.starts_with("jw:{0}:")) << key;
      const std::string name = key.substr(7);
      if (name.starts_with("job:")) {
        jobs.insert(name.substr(4));
      } else if (name.starts_with("idx:")) {
        for (const std::string& id : members(key))
          EXPECT_TRUE(indexed.emplace(id, name.substr(4)).second) << id << " is in two indexes";
      } else if (name.starts_with("dedup:") || name.starts_with("host:")) {
        EXPECT_GT(std::stol(redis({"PTTL", key})), 0) << key;
      } else if (name.starts_with("queue:")) {
        EXPECT_EQ(redis({"SISMEMBER", "jw:{0}:queues", name.substr(6)}), "1") << key;
      } else if (name == "ttl") {
        for (const std::string& id : members(key)) ttls.insert(id);
      } else if (name == "events") {
        EXPECT_LE(std::stol(redis({"XLEN", key})), 11'000);
      } else {
        const std::set<std::string> alone{"queues", "dedups", "hosts", "types",
                                          "epoch",  "owner",  "seq",   "gone_before_ms"};
        EXPECT_TRUE(alone.contains(name)) << key << " is in nobody's list";
      }
    }
    for (const std::string& id : jobs) {
      const auto at = indexed.find(id);
      ASSERT_NE(at, indexed.end()) << "job " << id << " is in no index";
      EXPECT_EQ(at->second, field(id, "queue") + ":" + field(id, "state"));
    }
    for (const auto& [id, index] : indexed)
      EXPECT_TRUE(jobs.contains(id)) << id << " is in index " << index << " and has no hash";
    for (const std::string& id : ttls) EXPECT_TRUE(jobs.contains(id)) << "a time for no job " << id;
    EXPECT_LE(members("jw:{0}:dedups").size(), 40U);
    EXPECT_LE(lines(redis({"HKEYS", "jw:{0}:types"})).size(), 1U);
  }

  void expect_bounds() {
    for (const char* queue : {"images", "mail", "reports"}) {
      std::size_t finished = 0;
      for (const State state : {State::kSucceeded, State::kExpired, State::kCancelled})
        finished += members(index_of(queue, state)).size();
      EXPECT_LE(finished, config_.keep_finished_jobs) << queue;
      EXPECT_LE(members(index_of(queue, State::kDead)).size(), config_.keep_dead_jobs) << queue;
      std::uint64_t bytes = 0;
      for (const State state : {State::kSucceeded, State::kExpired, State::kCancelled}) {
        for (const std::string& id : members(index_of(queue, state))) {
          bytes += std::stoull("0" + redis({"HSTRLEN", "jw:{0}:job:" + id, "result"}));
          if (field(id, "options").find("result_ttl_ms") != std::string::npos) continue;
          EXPECT_GE(std::stoll(field(id, "finished_ms")) + config_.keep_finished.count() + 2'000,
                    now_.wall.time_since_epoch().count())
              << "too old: " << id;
        }
      }
      EXPECT_LE(bytes, config_.keep_finished_bytes) << queue;
    }
  }

  static std::string index_of(const std::string& queue, State state) {
    return "jw:{0}:idx:" + queue + ":" + std::string(core::name_of(state));
  }

  RedisRig rig_;
  core::EngineConfig config_;
  core::Now now_;
  core::Random dice_{20};
  std::optional<Driver> store_;
  std::optional<core::Engine> engine_;
  std::uint64_t starts_ = 0;
  std::uint32_t sessions_ = 0;
  core::SessionId producer_{};
  core::SessionId agent_{};
  core::SessionId worker_{};
  std::uint64_t sequence_ = 0;
  std::deque<core::DispatchOut> running_;
  core::ResultReport last_;
};

TEST_F(RetentionTest, AfterABusyHourWithRestartsNoKeyIsWithoutOwnerAndEnd) {
  start();
  for (int i = 1; i <= kSeconds; ++i) {
    second();
    if (i % kRestartEvery == 0 && i < kSeconds) {
      running_.clear();  // whoever ran them has gone with the broker
      start();
      write();
      walk();
    }
  }
  walk();
  expect_bounds();
  EXPECT_GT(engine_->counts().finished, 500U) << "the hour was not busy";

  // Nobody comes any more: what waits ends, and everything goes in its time.
  for (int i = 0; i < 3'000 && engine_->counts().jobs > 0; ++i) {
    now_.steady += core::Micros(1'000'000);
    now_.wall += Millis(1'000);
    beat();
    run_some();
    write();
  }
  EXPECT_EQ(engine_->counts().jobs, 0U);
  for (int i = 0; i < 30; ++i) {
    now_.steady += core::Micros(60'000'000);
    now_.wall += Millis(60'000);
    turn(core::StoreCameBack{});
    write();
  }
  std::set<std::string> left;
  for (const std::string& key : keys()) {
    const std::string name = key.substr(7);
    if (name.starts_with("dedup:") || name.starts_with("host:") || name.starts_with("queue:"))
      continue;
    left.insert(name);
  }
  for (const std::string& name : left) {
    const std::set<std::string> stay{"queues", "dedups", "hosts", "types",         "events",
                                     "epoch",  "owner",  "seq",   "gone_before_ms"};
    EXPECT_TRUE(stay.contains(name)) << name;
  }
}

}  // namespace
}  // namespace jobwire::testing
