// SPDX-License-Identifier: Apache-2.0
// A producer for tests and benchmarks: submits a number of jobs through the public SDK, waits for
// every end, and prints one line of JSON about what it saw. Exit code 0 when every job was
// receipted and ended as SUCCEEDED, 1 when not, 2 when it could not start.
#include <jobwire/client.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct Options {
  std::string endpoint;
  std::string queue = "bench";
  std::string type = "noop";
  std::string ledger;  // ids as they are receipted, one a line
  std::size_t jobs = 1000;
  std::size_t payload_bytes = 200;
  std::size_t window = 16'384;  // jobs that are submitted and have not ended
  long timeout_s = 120;
  long job_timeout_ms = 0;
  bool keep_going = false;  // submit everything, then exit without waiting for the ends
};

std::string value_of(int argc, char** argv, int& at) {
  if (at + 1 >= argc) {
    std::fprintf(stderr, "campaign: %s lacks its value\n", argv[at]);
    std::exit(2);
  }
  return argv[++at];
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    if (flag == "--endpoint")
      options.endpoint = value_of(argc, argv, i);
    else if (flag == "--queue")
      options.queue = value_of(argc, argv, i);
    else if (flag == "--type")
      options.type = value_of(argc, argv, i);
    else if (flag == "--ledger")
      options.ledger = value_of(argc, argv, i);
    else if (flag == "--jobs")
      options.jobs = std::stoul(value_of(argc, argv, i));
    else if (flag == "--payload-bytes")
      options.payload_bytes = std::stoul(value_of(argc, argv, i));
    else if (flag == "--window")
      options.window = std::stoul(value_of(argc, argv, i));
    else if (flag == "--timeout")
      options.timeout_s = std::stol(value_of(argc, argv, i));
    else if (flag == "--job-timeout-ms")
      options.job_timeout_ms = std::stol(value_of(argc, argv, i));
    else if (flag == "--submit-only")
      options.keep_going = true;
    else {
      std::fprintf(stderr, "campaign: unknown argument %s\n", argv[i]);
      std::exit(2);
    }
  }
  if (options.endpoint.empty()) {
    std::fprintf(stderr, "campaign: --endpoint is needed\n");
    std::exit(2);
  }
  return options;
}

/// Chunks of ids on their way from the submitting thread to the one that waits for their ends.
class Chunks {
 public:
  struct Chunk {
    std::vector<jobwire::JobId> ids;
    std::vector<Clock::time_point> posted;
  };

  void put(Chunk chunk) {
    const std::lock_guard lock(mutex_);
    chunks_.push_back(std::move(chunk));
    changed_.notify_all();
  }

  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

  bool take(Chunk& chunk) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || !chunks_.empty(); });
    if (chunks_.empty()) return false;
    chunk = std::move(chunks_.front());
    chunks_.erase(chunks_.begin());
    return true;
  }

  void ended(std::size_t jobs) {
    const std::lock_guard lock(mutex_);
    ended_ += jobs;
    changed_.notify_all();
  }

  bool wait_until_under(std::size_t submitted, std::size_t window, Clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, deadline, [&] { return submitted - ended_ < window; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Chunk> chunks_;
  std::size_t ended_ = 0;
  bool closed_ = false;
};

/// User and system time of this process so far.
double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double percentile(std::vector<double>& sorted, double p) {
  if (sorted.empty()) return 0;
  const auto at = static_cast<std::size_t>(p * static_cast<double>(sorted.size() - 1));
  return sorted[at];
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  const Clock::time_point deadline = Clock::now() + std::chrono::seconds(options.timeout_s);
  const auto left = [&] {
    return std::max(milliseconds(1),
                    std::chrono::duration_cast<milliseconds>(deadline - Clock::now()));
  };

  std::atomic<std::size_t> lost{0};
  jobwire::ClientOptions client_options;
  client_options.name("campaign")
      .connect_timeout(milliseconds(20'000))
      .submit_timeout(std::chrono::seconds(options.timeout_s));
  client_options.on_lost([&](const jobwire::JobId&, const jobwire::Error& error) {
    if (lost.fetch_add(1) == 0)
      std::fprintf(stderr, "campaign: a job was refused: %s\n", error.message().c_str());
  });
  auto connected = jobwire::Client::connect(options.endpoint, client_options);
  if (!connected) {
    std::fprintf(stderr, "campaign: %s\n", connected.error().message().c_str());
    return 2;
  }
  jobwire::Client client = std::move(connected).value();

  const std::vector<std::byte> payload(options.payload_bytes, std::byte{0x5a});
  jobwire::Job job(options.type, payload);
  job.queue(options.queue).watch(!options.keep_going);
  if (options.job_timeout_ms > 0) job.timeout(milliseconds(options.job_timeout_ms));

  Chunks chunks;
  std::map<std::string, std::size_t> ends;
  std::vector<double> latencies_ms;
  latencies_ms.reserve(options.jobs);
  std::string first_error;
  std::thread waiter([&] {
    Chunks::Chunk chunk;
    while (chunks.take(chunk)) {
      client.wait_each(
          chunk.ids, left(), [&](std::size_t at, jobwire::Result<jobwire::JobResult> result) {
            if (result) {
              ++ends[std::string(jobwire::to_string(result->state()))];
              latencies_ms.push_back(
                  std::chrono::duration<double, std::milli>(Clock::now() - chunk.posted[at])
                      .count());
              if (result->error() && first_error.empty())
                first_error = result->error()->type + ": " + result->error()->message;
            } else {
              ++ends["no answer"];
              if (first_error.empty()) first_error = result.error().message();
            }
            if (at % 64 == 63) chunks.ended(64);
          });
      chunks.ended(chunk.ids.size() % 64);
    }
  });

  const Clock::time_point begun = Clock::now();
  const std::size_t chunk_size =
      std::max<std::size_t>(64, std::min<std::size_t>(4096, options.window / 4));
  Chunks::Chunk chunk;
  std::vector<jobwire::JobId> ids;
  std::size_t submitted = 0;
  bool in_time = true;
  for (; submitted < options.jobs && in_time; ++submitted) {
    if (!options.keep_going && submitted % 64 == 0)
      in_time = chunks.wait_until_under(submitted, options.window, deadline);
    auto id = client.post(job);
    if (!id) {
      std::fprintf(stderr, "campaign: post: %s\n", id.error().message().c_str());
      break;
    }
    if (!options.ledger.empty()) ids.push_back(*id);
    if (options.keep_going) continue;
    chunk.ids.push_back(*id);
    chunk.posted.push_back(Clock::now());
    if (chunk.ids.size() == chunk_size) chunks.put(std::exchange(chunk, {}));
  }
  if (!chunk.ids.empty()) chunks.put(std::move(chunk));
  const bool receipted = static_cast<bool>(client.flush(left()));
  const double receipted_s = std::chrono::duration<double>(Clock::now() - begun).count();
  if (!options.ledger.empty() && receipted) {
    std::ofstream ledger(options.ledger);
    for (const jobwire::JobId& id : ids) ledger << id.to_string() << '\n';
  }
  chunks.close();
  waiter.join();
  const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
  const auto report = client.close(milliseconds(5'000));

  std::sort(latencies_ms.begin(), latencies_ms.end());
  std::string states;
  for (const auto& [state, count] : ends) {
    states += (states.empty() ? "\"" : ", \"") + state + "\": " + std::to_string(count);
  }
  for (char& c : first_error) {
    if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < ' ') c = '\'';
  }
  std::printf(
      "{\"jobs\": %zu, \"submitted\": %zu, \"receipted\": %s, \"unreceipted\": %zu, \"refused\": "
      "%zu, \"seconds\": %.4f, "
      "\"receipted_seconds\": %.4f, \"cpu_s\": %.4f, \"ends\": {%s}, \"p50_ms\": %.3f, \"p99_ms\": "
      "%.3f, \"first_error\": \"%s\"}\n",
      options.jobs, submitted, receipted ? "true" : "false", report.unreceipted.size(), lost.load(),
      seconds, receipted_s, cpu_seconds(), states.c_str(), percentile(latencies_ms, 0.5),
      percentile(latencies_ms, 0.99), first_error.c_str());
  const bool all = options.keep_going || (ends.size() == 1 && ends.begin()->first == "Succeeded");
  return submitted == options.jobs && receipted && report.clean() && all && lost == 0 ? 0 : 1;
}
