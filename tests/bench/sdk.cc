// SPDX-License-Identifier: Apache-2.0
// The client's own cost per job, against a broker in this process, behind a real socket, that
// accepts and finishes everything at once. Prints one line of JSON: what a caller of each call
// waits, what the I/O thread's CPU spends, and rates.
#include <jobwire/client.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "scripted_broker.h"

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

double ns_since(Clock::time_point start) {
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count();
}

// CPU time of the client's I/O thread, in nanoseconds.
double io_thread_cpu_ns() {
  double running = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::ifstream(task.path() / "comm") >> name;
    if (name != "jobwire-io") continue;
    double one = 0;
    std::ifstream(task.path() / "schedstat") >> one;
    running += one;
  }
  return running;
}

struct Percentiles {
  double p50 = 0;
  double p99 = 0;
};

/// Calls `one` so many times and sorts what each took.
template <class F>
Percentiles measure(std::size_t times, F one) {
  std::vector<double> took;
  took.reserve(times);
  for (std::size_t i = 0; i < times; ++i) {
    const auto start = Clock::now();
    one();
    took.push_back(ns_since(start));
  }
  std::sort(took.begin(), took.end());
  return {took[times / 2], took[times * 99 / 100]};
}

void fail(const char* what) {
  std::fprintf(stderr, "sdk: %s failed\n", what);
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "--help") {
    std::puts("ops/dev/bench sdk [JOBS]: the C++ client's own cost per job; JOBS posts (200,000)");
    return 0;
  }
  const std::size_t jobs = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 200'000;
  const std::vector<std::byte> payload(200, std::byte{0x5a});
  jobwire::testing_detail::ScriptedBroker broker;
  auto client = jobwire::Client::connect(broker.endpoint()).value();
  jobwire::Job job("noop", payload);
  job.queue("bench");

  // A hot thread: bursts, and time in between for what they leave behind.
  const auto bursts = [&](jobwire::Client& poster) {
    std::vector<double> took;
    for (std::size_t left = jobs; left > 0;) {
      const std::size_t burst = std::min<std::size_t>(left, 10'000);
      for (std::size_t i = 0; i < burst; ++i) {
        const auto start = Clock::now();
        if (!poster.post(job)) fail("post");
        took.push_back(ns_since(start));
      }
      if (!poster.flush(60s)) fail("flush");
      left -= burst;
    }
    std::sort(took.begin(), took.end());
    return Percentiles{took[took.size() / 2], took[took.size() * 99 / 100]};
  };
  const double cpu_before = io_thread_cpu_ns();
  const auto posting = Clock::now();
  const Percentiles post = bursts(client);
  const double post_rate = static_cast<double>(jobs) / ns_since(posting) * 1e9;
  const double io_ns = (io_thread_cpu_ns() - cpu_before) / static_cast<double>(jobs);
  const auto stats = client.stats();

  const std::string spool = std::filesystem::temp_directory_path() /
                            ("jobwire-bench-" + jobwire::JobId::make().to_string());
  Percentiles spooled;
  {
    auto poster =
        jobwire::Client::connect(broker.endpoint(), jobwire::ClientOptions().spool(spool));
    if (!poster) fail("connect with a spool");
    spooled = bursts(*poster);
  }
  std::filesystem::remove(spool);

  const Percentiles make = measure(100'000, [] { static_cast<void>(jobwire::JobId::make()); });
  const Percentiles submit = measure(5'000, [&] {
    if (!client.submit(job)) fail("submit");
  });

  broker.finish_everything();
  const Percentiles call = measure(5'000, [&] {
    if (!client.call(job, 10s)) fail("call");
  });

  const std::vector<jobwire::Job> batch(50'000, jobwire::Job(job).watch());
  const double cpu_batch = io_thread_cpu_ns();
  const auto submitting = Clock::now();
  std::vector<jobwire::JobId> ids;
  for (const auto& receipt : client.submit_batch(batch)) ids.push_back(receipt.value().id);
  const double batch_rate = static_cast<double>(ids.size()) / ns_since(submitting) * 1e9;
  std::size_t results = 0;
  client.wait_each(ids, 60s, [&results](std::size_t, jobwire::Result<jobwire::JobResult> result) {
    results += result.has_value();
  });
  const double watched_rate = static_cast<double>(results) / ns_since(submitting) * 1e9;
  const double batch_io_ns = (io_thread_cpu_ns() - cpu_batch) / static_cast<double>(batch.size());

  std::printf(
      "{\"jobs\": %zu, \"post_p50_ns\": %.0f, \"post_p99_ns\": %.0f, \"post_jobs_per_s\": %.0f, "
      "\"io_thread_ns_per_post\": %.0f, \"jobs_per_message\": %.1f, \"post_spooled_p50_ns\": %.0f, "
      "\"post_spooled_p99_ns\": %.0f, \"job_id_p50_ns\": %.0f, \"submit_p50_us\": %.1f, "
      "\"submit_p99_us\": %.1f, \"call_p50_us\": %.1f, \"call_p99_us\": %.1f, "
      "\"submit_batch_jobs_per_s\": %.0f, \"watched_jobs_per_s\": %.0f, "
      "\"io_thread_ns_per_watched_job\": %.0f}\n",
      jobs, post.p50, post.p99, post_rate, io_ns,
      static_cast<double>(jobs) / static_cast<double>(stats.messages), spooled.p50, spooled.p99,
      make.p50, submit.p50 / 1e3, submit.p99 / 1e3, call.p50 / 1e3, call.p99 / 1e3, batch_rate,
      watched_rate, batch_io_ns);
  return results == batch.size() ? 0 : 1;
}
