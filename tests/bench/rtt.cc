// SPDX-License-Identifier: Apache-2.0
// One job at a time, from submit to its result at the caller, while another thread posts a steady
// background load; and the same to the receipt alone, which says how much of it is one commit and
// the way to the broker and back. Prints one line of JSON. Exit code 1 when a job did not succeed.
#include <jobwire/client.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

int main(int argc, char** argv) {
  using Clock = std::chrono::steady_clock;
  std::string endpoint;
  std::size_t jobs = 2000;
  long background_per_s = 1000;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view flag = argv[i];
    if (flag == "--endpoint") endpoint = argv[i + 1];
    if (flag == "--jobs") jobs = std::stoul(argv[i + 1]);
    if (flag == "--background") background_per_s = std::stol(argv[i + 1]);
  }
  jobwire::ClientOptions options;
  options.name("rtt").connect_timeout(std::chrono::seconds(20));
  auto caller = jobwire::Client::connect(endpoint, options);
  auto poster = jobwire::Client::connect(endpoint, options);
  if (!caller || !poster) {
    std::fprintf(stderr, "rtt: cannot connect to %s\n", endpoint.c_str());
    return 2;
  }
  const std::vector<std::byte> payload(200, std::byte{0x5a});
  jobwire::Job job("noop", payload);
  job.queue("bench");

  std::atomic<bool> stop{false};
  std::atomic<std::size_t> posted{0};
  std::thread background([&] {
    if (background_per_s <= 0) return;
    const auto step = std::chrono::microseconds(1'000'000 / background_per_s);
    auto next = Clock::now();
    while (!stop) {
      if (poster->post(job)) ++posted;
      next += step;
      std::this_thread::sleep_until(next);
    }
  });

  std::vector<double> micros;
  std::size_t failed = 0;
  const std::size_t warm_up = jobs / 10;
  const auto begun = Clock::now();
  for (std::size_t i = 0; i < jobs + warm_up; ++i) {
    const auto start = Clock::now();
    const auto result = caller->call(job, std::chrono::seconds(10));
    const double took = std::chrono::duration<double, std::micro>(Clock::now() - start).count();
    if (!result || !result->succeeded()) ++failed;
    if (i >= warm_up) micros.push_back(took);
  }
  std::vector<double> receipt_micros;
  for (std::size_t i = 0; i < jobs; ++i) {
    const auto start = Clock::now();
    if (!caller->submit(job)) ++failed;
    receipt_micros.push_back(
        std::chrono::duration<double, std::micro>(Clock::now() - start).count());
  }
  std::sort(receipt_micros.begin(), receipt_micros.end());
  const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
  stop = true;
  background.join();
  std::sort(micros.begin(), micros.end());
  const auto at = [&](double p) {
    return micros[static_cast<std::size_t>(p * static_cast<double>(micros.size() - 1))];
  };
  std::printf(
      "{\"jobs\": %zu, \"failed\": %zu, \"background_per_s\": %.0f, \"p50_us\": %.1f, \"p90_us\": "
      "%.1f, \"p99_us\": %.1f, "
      "\"max_us\": %.1f, \"receipt_p50_us\": %.1f}\n",
      jobs, failed, static_cast<double>(posted) / seconds, at(0.5), at(0.9), at(0.99),
      micros.back(), receipt_micros[receipt_micros.size() / 2]);
  return failed == 0 ? 0 : 1;
}
