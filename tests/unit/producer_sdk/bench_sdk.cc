// SPDX-License-Identifier: Apache-2.0
// The client's own cost per job, against a broker in this process that accepts and finishes
// everything. Prints one line of JSON: the caller's cost of post() and JobId::make(), the I/O
// thread's CPU time per posted job, and the rate of submit_batch() with watch to the last result.
#include <gtest/gtest.h>
#include <jobwire/client.h>
#include <sys/resource.h>

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
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::ifstream(task.path() / "comm") >> name;
    if (name != "jobwire-io") continue;
    double running = 0;
    std::ifstream(task.path() / "schedstat") >> running;
    return running;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t jobs = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 200'000;
  const std::vector<std::byte> payload(200, std::byte{0x5a});
  jobwire::testing_detail::ScriptedBroker broker;
  auto client = jobwire::Client::connect(broker.endpoint()).value();
  jobwire::Job job("noop", payload);
  job.queue("bench");

  std::vector<double> post_ns;
  post_ns.reserve(jobs);
  const double cpu_before = io_thread_cpu_ns();
  const auto posting = Clock::now();
  for (std::size_t i = 0; i < jobs; ++i) {
    const auto start = Clock::now();
    if (!client.post(job)) return 1;
    post_ns.push_back(ns_since(start));
  }
  if (!client.flush(60s)) return 1;
  const double post_rate = static_cast<double>(jobs) / ns_since(posting) * 1e9;
  const double io_ns = (io_thread_cpu_ns() - cpu_before) / static_cast<double>(jobs);
  const auto stats = client.stats();
  std::sort(post_ns.begin(), post_ns.end());

  const auto making = Clock::now();
  for (int i = 0; i < 100'000; ++i) static_cast<void>(jobwire::JobId::make());
  const double make_ns = ns_since(making) / 100'000;

  broker.finish_everything();
  const std::vector<jobwire::Job> batch(50'000, jobwire::Job(job).watch());
  const double cpu_batch = io_thread_cpu_ns();
  const auto submitting = Clock::now();
  std::vector<jobwire::JobId> ids;
  for (const auto& receipt : client.submit_batch(batch)) ids.push_back(receipt.value().id);
  std::size_t results = 0;
  client.wait_each(ids, 60s, [&results](std::size_t, jobwire::Result<jobwire::JobResult> result) {
    results += result.has_value();
  });
  const double batch_rate = static_cast<double>(results) / ns_since(submitting) * 1e9;
  const double batch_io_ns = (io_thread_cpu_ns() - cpu_batch) / static_cast<double>(batch.size());

  std::printf(
      "{\"jobs\": %zu, \"post_p50_ns\": %.0f, \"post_p99_ns\": %.0f, \"post_jobs_per_s\": %.0f, "
      "\"io_thread_ns_per_post\": %.0f, \"jobs_per_message\": %.1f, \"job_id_ns\": %.0f, "
      "\"watched_jobs_per_s\": %.0f, \"io_thread_ns_per_watched_job\": %.0f}\n",
      jobs, post_ns[jobs / 2], post_ns[jobs * 99 / 100], post_rate, io_ns,
      static_cast<double>(jobs) / static_cast<double>(stats.messages), make_ns, batch_rate,
      batch_io_ns);
  return results == batch.size() ? 0 : 1;
}
