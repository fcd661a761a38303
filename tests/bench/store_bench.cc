// SPDX-License-Identifier: Apache-2.0
// What a job costs the store: jobs are accepted and finished in batches as the broker makes them,
// one thread, a Redis of its own on a unix socket. Prints one line per run:
//
//     store_bench [--aof always|everysec|off] [--jobs N] [--batch N] [--payload BYTES] [--running]
//                 [--keep N] [--recover N]
//
// --batch: jobs accepted in a batch, in which as many of those before are finished.
// --running: each job is also written as running, in a batch of its own.
// --keep: finished jobs that retention leaves (0: all).
// --recover: only so many waiting jobs are written, and then read back as at a broker's start.
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <variant>

#include "adapters/redis/embedded_redis.h"
#include "adapters/redis/redis_store.h"
#include "core/config.h"

namespace {

using namespace jobwire;

struct Options {
  redis::Aof aof = redis::Aof::kAlways;
  std::string aof_name = "always";
  std::size_t jobs = 200'000;
  std::size_t batch = 500;
  std::size_t payload = 200;
  bool running = false;
  std::size_t keep = 100'000;
  std::size_t recover = 0;
};

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "store_bench: %s\n", why.c_str());
  std::exit(1);
}

Options read_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--running") {
      options.running = true;
      continue;
    }
    if (++i == argc) fail(name + " wants a value");
    const std::string value = argv[i];
    if (name == "--aof") {
      options.aof_name = value;
      options.aof = value == "always"     ? redis::Aof::kAlways
                    : value == "everysec" ? redis::Aof::kEverysec
                                          : redis::Aof::kOff;
    } else if (name == "--jobs") {
      options.jobs = std::stoul(value);
    } else if (name == "--batch") {
      options.batch = std::stoul(value);
    } else if (name == "--payload") {
      options.payload = std::stoul(value);
    } else if (name == "--keep") {
      options.keep = std::stoul(value);
    } else if (name == "--recover") {
      options.recover = std::stoul(value);
    } else {
      fail("unknown option " + name);
    }
  }
  return options;
}

core::Steady now() {
  const auto time = std::chrono::steady_clock::now().time_since_epoch();
  return core::Steady(std::chrono::duration_cast<core::Micros>(time));
}

core::Wall wall() {
  return std::chrono::time_point_cast<core::Millis>(std::chrono::system_clock::now());
}

double own_cpu() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double cpu_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string word;
  double ticks = 0;
  for (int i = 1; i <= 15 && file >> word; ++i) {
    if (i >= 14) ticks += std::stod(word);
  }
  return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

core::JobId id_of(std::uint64_t number) {
  core::JobId id;
  const std::uint64_t mixed = number * 0x9e3779b97f4a7c15ULL;
  const std::uint64_t time = 0x0190a6f200007000ULL + (number << 16);
  for (std::size_t i = 0; i < 8; ++i) {
    id.bytes[i] = static_cast<std::uint8_t>(time >> (56 - 8 * i));
    id.bytes[8 + i] = static_cast<std::uint8_t>(mixed >> (56 - 8 * i));
  }
  return id;
}

class Bench {
 public:
  explicit Bench(Options options) : options_(std::move(options)) {
    char pattern[] = "/tmp/store_bench-XXXXXX";
    directory_ = ::mkdtemp(pattern);
    redis::EmbeddedOptions embedded;
    embedded.data_directory = directory_;
    embedded.aof = options_.aof;
    redis_.emplace(embedded);
    if (auto status = redis_->start(); !status) fail(status.failure().message);
    open();
    payload_ = core::Bytes::copy_of(std::string(options_.payload, 'x'));
  }
  ~Bench() {
    store_.reset();
    redis_->stop();
    std::filesystem::remove_all(directory_);
  }

  void run() {
    const double redis_before = cpu_of(redis_->pid());
    const double own_before = own_cpu();
    const core::Steady start = now();
    std::size_t accepted = 0;
    std::deque<std::uint64_t> waiting;
    std::deque<std::uint64_t> finished;
    std::size_t done = 0;
    std::size_t batches = 0;
    while (done < options_.jobs) {
      core::Batch batch = next_batch();
      for (std::size_t i = 0; i < options_.batch && !waiting.empty(); ++i, waiting.pop_front()) {
        batch.jobs.push_back(finish(waiting.front(), batch.now));
        finished.push_back(waiting.front());
        ++done;
      }
      const std::size_t first = accepted;
      for (std::size_t i = 0; i < options_.batch && accepted < options_.jobs; ++i) {
        waiting.push_back(accepted);
        batch.jobs.push_back(accept(accepted++, batch.now));
      }
      for (std::size_t i = 0;
           options_.keep && finished.size() > options_.keep && i < 2 * options_.batch;
           ++i, finished.pop_front())
        batch.removals.push_back({id_of(finished.front()), kQueue, core::State::kSucceeded});
      const auto count = static_cast<std::uint32_t>(options_.batch);
      batch.queues.push_back({kQueue, count, count});
      commit(batch);
      ++batches;
      if (!options_.running || first == accepted) continue;
      core::Batch marks = next_batch();
      for (std::size_t i = first; i < accepted; ++i) marks.jobs.push_back(mark(i, batch.now));
      commit(marks);
      ++batches;
    }
    const double seconds = std::chrono::duration<double>(now() - start).count();
    const auto jobs = static_cast<double>(options_.jobs);
    std::printf(
        "aof %s, payload %zu, batch %zu%s: %.0f jobs/s, redis %.2f us CPU/job, "
        "broker side %.2f us CPU/job, %.0f us/commit\n",
        options_.aof_name.c_str(), options_.payload, options_.batch,
        options_.running ? ", running marks" : "", jobs / seconds,
        (cpu_of(redis_->pid()) - redis_before) * 1e6 / jobs, (own_cpu() - own_before) * 1e6 / jobs,
        seconds * 1e6 / static_cast<double>(batches));
  }

  void recover() {
    for (std::size_t accepted = 0; accepted < options_.recover;) {
      core::Batch batch = next_batch();
      for (std::size_t i = 0; i < options_.batch && accepted < options_.recover; ++i)
        batch.jobs.push_back(accept(accepted++, batch.now));
      commit(batch);
    }
    const double redis_before = cpu_of(redis_->pid());
    const core::Steady start = now();
    open();
    std::size_t read = 0;
    double first = 0;
    for (bool last = false; !last;) {
      auto page = store_->recover_jobs();
      if (!page) fail(page.failure().message);
      read += page->jobs.size();
      last = page->last;
      if (first == 0) first = std::chrono::duration<double>(now() - start).count();
    }
    const double seconds = std::chrono::duration<double>(now() - start).count();
    std::printf(
        "recovered %zu jobs in %.2f s: %.0f jobs/s, first page after %.1f ms, "
        "redis %.2f us CPU/job\n",
        read, seconds, static_cast<double>(read) / seconds, first * 1e3,
        (cpu_of(redis_->pid()) - redis_before) * 1e6 / static_cast<double>(read));
  }

 private:
  static constexpr std::string_view kQueue = "images";

  void open() {
    redis::RedisOptions options;
    options.endpoint = redis_->endpoint();
    options.log = [](std::string_view line) {
      std::fprintf(stderr, "%s\n", std::string(line).c_str());
    };
    store_.emplace(options);
    auto opened = store_->open();
    if (!opened) fail(opened.failure().message);
    sequence_ = opened->last_sequence;
  }

  core::Batch next_batch() {
    core::Batch batch;
    batch.sequence = ++sequence_;
    batch.now = wall();
    return batch;
  }

  core::JobWrite accept(std::uint64_t number, core::Wall time) const {
    core::JobWrite write;
    write.job.id = id_of(number);
    write.job.queue = kQueue;
    write.job.type = "thumbnail";
    write.job.state = core::State::kQueued;
    write.job.encoding = core::Encoding::kBytes;
    write.job.payload = payload_;
    write.job.payload_size = static_cast<std::uint32_t>(payload_.size());
    write.job.timeout = core::EngineConfig{}.default_timeout;
    write.job.created = time;
    return write;
  }

  core::JobWrite mark(std::uint64_t number, core::Wall time) const {
    core::JobWrite write = accept(number, time);
    write.stored = core::State::kQueued;
    write.job.state = core::State::kRunning;
    write.job.token = core::LeaseToken::from_bytes(write.job.id.bytes.data());
    write.job.worker = "host-1/1";
    write.job.started = time;
    return write;
  }

  core::JobWrite finish(std::uint64_t number, core::Wall time) const {
    core::JobWrite write = accept(number, time);
    write.stored = options_.running ? core::State::kRunning : core::State::kQueued;
    write.job.state = core::State::kSucceeded;
    write.job.attempts = 1;
    write.job.worker = "host-1/1";
    write.job.started = time;
    write.job.finished = time;
    write.job.run = core::Micros(1234);
    write.job.result = core::Bytes::copy_of("ok");
    write.job.result_encoding = core::Encoding::kBytes;
    write.drop_payload = true;
    return write;
  }

  void commit(const core::Batch& batch) {
    store_->commit(batch);
    std::vector<ports::StoreEvent> events;
    std::vector<pollfd> descriptors;
    for (;;) {
      store_->poll(now(), events);
      for (const ports::StoreEvent& event : events) {
        if (std::holds_alternative<ports::Committed>(event)) return;
        fail("a batch was not committed");
      }
      descriptors.clear();
      store_->descriptors(descriptors);
      ::poll(descriptors.data(), descriptors.size(), 1000);
    }
  }

  Options options_;
  std::string directory_;
  std::optional<redis::EmbeddedRedis> redis_;
  std::optional<redis::RedisStore> store_;
  core::Bytes payload_;
  std::uint64_t sequence_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const Options options = read_options(argc, argv);
  Bench bench(options);
  if (options.recover > 0) {
    bench.recover();
  } else {
    bench.run();
  }
  return 0;
}
