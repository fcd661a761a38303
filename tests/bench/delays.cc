// SPDX-License-Identifier: Apache-2.0
// Delayed jobs: first so many that are due in an hour and not awaited, then so many that become due
// one after another at a fixed rate. The handler of these (delay_app.py) answers how many
// microseconds after its time it ran. Prints one line of JSON. Exit code 1 when a job failed.
#include <jobwire/client.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

int main(int argc, char** argv) {
  using namespace std::chrono_literals;
  using Wall = std::chrono::system_clock;
  std::string endpoint;
  std::size_t far = 0;
  std::size_t due = 0;
  long per_s = 1'000;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view flag = argv[i];
    if (flag == "--endpoint") endpoint = argv[i + 1];
    if (flag == "--far") far = std::stoul(argv[i + 1]);
    if (flag == "--due") due = std::stoul(argv[i + 1]);
    if (flag == "--per-s") per_s = std::stol(argv[i + 1]);
  }
  jobwire::ClientOptions options;
  options.name("delays").connect_timeout(20s).submit_timeout(300s);
  auto client = jobwire::Client::connect(endpoint, options);
  if (!client) {
    std::fprintf(stderr, "delays: cannot connect to %s\n", endpoint.c_str());
    return 2;
  }
  const std::vector<std::byte> nothing(200);
  jobwire::Job later("lateness", nothing);
  later.queue("delays").delay(1h);
  for (std::size_t i = 0; i < far; ++i) {
    if (!client->post(later)) return 1;
  }
  if (!client->flush(300s)) return 1;

  // Far enough ahead for the last to be stored before the first is due.
  const auto first = Wall::now() + 2s + std::chrono::microseconds(50 * due);
  std::vector<jobwire::JobId> ids;
  for (std::size_t i = 0; i < due; ++i) {
    const auto time = std::chrono::floor<std::chrono::milliseconds>(
        first + std::chrono::microseconds(static_cast<long>(i) * 1'000'000 / per_s));
    const auto micros =
        std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
    jobwire::Job job("lateness", std::as_bytes(std::span<const char>(std::to_string(micros))));
    job.queue("delays").not_before(time).watch();
    const auto id = client->post(job);
    if (!id) return 1;
    ids.push_back(*id);
  }
  std::vector<double> late_ms;
  std::size_t failed = 0;
  client->wait_each(ids, 300s, [&](std::size_t, jobwire::Result<jobwire::JobResult> result) {
    if (!result || !result->succeeded()) {
      ++failed;
      return;
    }
    late_ms.push_back(std::stod(std::string(result->text())) / 1'000);
  });
  std::sort(late_ms.begin(), late_ms.end());
  const auto at = [&](double p) {
    if (late_ms.empty()) return 0.0;
    return late_ms[static_cast<std::size_t>(p * static_cast<double>(late_ms.size() - 1))];
  };
  std::printf(
      "{\"far\": %zu, \"due\": %zu, \"per_s\": %ld, \"failed\": %zu, \"earliest_ms\": %.3f, "
      "\"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f}\n",
      far, due, per_s, failed, at(0), at(0.5), at(0.99), at(1));
  return failed == 0 ? 0 : 1;
}
