// SPDX-License-Identifier: Apache-2.0
// What one job costs the rules alone: submit, commit, dispatch, result, commit. No socket, no
// store, no encoding.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/engine.h"

namespace {

using namespace jobwire::core;

constexpr std::size_t kPayloadBytes = 200;
constexpr std::size_t kMessageJobs = 256;
constexpr std::size_t kTurnJobs = 2'048;
constexpr Micros kJobTime{20};

/// An engine with producers, workers and a store that takes everything at once.
class Rig {
 public:
  /// With `contracts` above 0 the jobs carry that many hashes in turn, and the workers take all.
  Rig(const EngineConfig& config, std::size_t queues, std::size_t workers,
      std::size_t contracts = 0)
      : engine_(config, 1, 1, 0), payload_(kPayloadBytes, 'x') {
    now_.steady = Steady(Micros(1'000'000));
    now_.wall = Wall(Millis(1'800'000'000'000));
    engine_.finish_recovery(now_);
    for (std::size_t i = 0; i < queues; ++i) queue_names_.push_back("queue-" + std::to_string(i));
    producer_ = open(Role::kProducer);
    const std::vector<std::string_view> served(queue_names_.begin(), queue_names_.end());
    std::vector<std::uint64_t> hashes;
    for (std::size_t i = 1; i <= contracts; ++i) {
      hashes.push_back(i);
      auto options = std::make_shared<JobOptions>();
      options->contract = i;
      options_.push_back(std::move(options));
    }
    TypeOffer type;
    type.name = "type";
    type.contract = contracts;
    type.accepts = hashes;
    for (std::size_t i = 0; i < workers; ++i) {
      const SessionId session = open(Role::kWorker);
      WorkerReady ready;
      ready.session = session;
      ready.queues = served;
      ready.types = std::span(&type, 1);
      ready.slots = 1;
      ready.credit = 64;
      apply(ready);
      sequences_[session] = 0;
    }
  }

  void submit(std::size_t count) {
    submissions_.clear();
    for (std::size_t i = 0; i < count; ++i) {
      Submission& job = submissions_.emplace_back();
      job.id = next_id();
      job.queue = queue_names_[next_queue_];
      if (++next_queue_ == queue_names_.size()) next_queue_ = 0;
      job.type = "type";
      if (!options_.empty()) job.options = options_[i % options_.size()];
      job.encoding = Encoding::kBytes;
      job.payload = {reinterpret_cast<const std::uint8_t*>(payload_.data()), payload_.size()};
    }
    for (std::size_t at = 0; at < count; at += kMessageJobs) {
      apply(Submitted{producer_,
                      std::span(submissions_).subspan(at, std::min(kMessageJobs, count - at))});
    }
    now_.steady += kJobTime * count;
    const auto whole = std::chrono::floor<Millis>(now_.steady.time_since_epoch());
    now_.wall = Wall(Millis(1'800'000'000'000) + whole);
  }

  void commit() {
    engine_.end_turn(now_, effects_);
    take_dispatches();
    while (engine_.has_batch(now_)) {
      const std::uint64_t sequence = engine_.stage(now_).sequence;
      apply(BatchCommitted{sequence});
      engine_.end_turn(now_, effects_);
      take_dispatches();
    }
  }

  /// Answers at most `count` of the jobs that are out, a message for each worker that has some.
  std::size_t report(std::size_t count) {
    std::size_t done = 0;
    for (auto& [session, jobs] : out_) {
      if (jobs.empty()) continue;
      const std::size_t take = std::min(jobs.size(), count - done);
      if (take == 0) break;
      apply(ResultsReported{session, ++sequences_[session], std::span(jobs).first(take)});
      jobs.erase(jobs.begin(), jobs.begin() + static_cast<std::ptrdiff_t>(take));
      done += take;
    }
    return done;
  }

  const Engine& engine() const { return engine_; }

 private:
  SessionId open(Role role) {
    SessionOpened opened;
    opened.session = SessionId{++last_session_};
    opened.role = role;
    apply(opened);
    return opened.session;
  }

  JobId next_id() {
    JobId id;
    auto millis = static_cast<std::uint64_t>(now_.wall.time_since_epoch().count());
    for (std::size_t i = 6; i-- > 0; millis >>= 8)
      id.bytes[i] = static_cast<std::uint8_t>(millis & 0xff);
    const std::uint64_t tail = random_.next();
    std::memcpy(id.bytes.data() + 8, &tail, sizeof tail);
    return id;
  }

  void apply(const Event& event) {
    engine_.apply(event, now_, effects_);
    take_dispatches();
  }

  void take_dispatches() {
    for (const DispatchOut& dispatch : effects_.dispatches) {
      ResultReport& report = out_[dispatch.session].emplace_back();
      report.token = dispatch.token;
      report.job = dispatch.job;
      report.outcome = Outcome::kSucceeded;
      report.encoding = Encoding::kBytes;
      report.run = Micros(5);
    }
    effects_.clear();
  }

  Engine engine_;
  Now now_;
  Effects effects_;
  Random random_{7};
  std::string payload_;
  std::vector<std::string> queue_names_;
  std::size_t next_queue_ = 0;
  std::vector<std::shared_ptr<JobOptions>> options_;
  std::vector<Submission> submissions_;
  SessionId producer_{};
  std::uint32_t last_session_ = 0;
  std::unordered_map<SessionId, std::uint64_t> sequences_;
  std::unordered_map<SessionId, std::vector<ResultReport>> out_;
};

EngineConfig bench_config(std::size_t queues) {
  EngineConfig config;
  config.keep_finished_jobs =
      10'000 / queues;  // small, so that letting go of finished jobs is part of every turn
  config.session_timeout = Millis(3'600'000);
  return config;
}

void fill(Rig& rig, std::size_t waiting) {
  for (std::size_t done = 0; done < waiting; done += kTurnJobs) {
    rig.submit(std::min(kTurnJobs, waiting - done));
    rig.commit();
  }
}

/// ns per job with that many waiting, queues and workers.
void job(benchmark::State& state) {
  const auto queues = static_cast<std::size_t>(state.range(1));
  Rig rig(bench_config(queues), queues, static_cast<std::size_t>(state.range(2)),
          static_cast<std::size_t>(state.range(3)));
  fill(rig, static_cast<std::size_t>(state.range(0)));
  std::size_t jobs = 0;
  const auto turn = [&] {
    rig.submit(kTurnJobs);
    rig.commit();
    std::size_t done = 0;
    while (done < kTurnJobs) {
      done += rig.report(kTurnJobs - done);
      rig.commit();
    }
    jobs += done;
  };
  for (int i = 0; i < 30; ++i) turn();
  jobs = 0;
  for (auto _ : state) turn();
  state.SetItemsProcessed(static_cast<std::int64_t>(jobs));
  state.counters["ns_per_job"] = benchmark::Counter(
      static_cast<double>(jobs) * 1e-9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(job)
    ->ArgNames({"waiting", "queues", "workers", "contracts"})
    ->Args({1, 1, 2, 0})
    ->Args({100'000, 1, 2, 0})
    ->Args({1'000'000, 1, 2, 0})
    ->Args({100'000, 10, 2, 0})
    ->Args({100'000, 1'000, 2, 0})
    ->Args({100'000, 1, 1, 0})
    ->Args({100'000, 1, 50, 0})
    ->Args({100'000, 1, 500, 0})
    ->Args({1'000'000, 1'000, 500, 0})
    ->Args({100'000, 1, 2, 1})
    ->Args({100'000, 1, 2, 4})
    ->Unit(benchmark::kMicrosecond);

std::size_t allocated() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

/// Bytes per waiting job beside its payload, which stays in the store.
void waiting_job_memory(benchmark::State& state) {
  for (auto _ : state) {
    const auto count = static_cast<std::size_t>(state.range(0));
    EngineConfig config = bench_config(1);
    config.payload_budget = 0;
    Rig rig(config, 1, 0);
    fill(rig, kTurnJobs);
    const std::size_t before = allocated();
    fill(rig, count);
    state.counters["bytes_per_job"] =
        static_cast<double>(allocated() - before) / static_cast<double>(count);
    state.counters["resident_payload_bytes"] =
        static_cast<double>(rig.engine().counts().resident_bytes);
  }
}
BENCHMARK(waiting_job_memory)->Arg(1'000'000)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
