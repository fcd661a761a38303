// SPDX-License-Identifier: Apache-2.0
// A loop that must keep its pace and hands work to Python on the way: it posts from the hot thread,
// never waits for anybody, and would rather lose old jobs than be late. What post() cost the loop
// is printed at the end.
//
//     jobwire-example-hot-loop [--broker ENDPOINT] [TICKS]
//
// The worker is hot_loop_worker.py.
#include <jobwire/client.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

int main(int argc, char** argv) {
  std::string broker = "tcp://127.0.0.1:7700";
  std::size_t ticks = 20'000;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--broker" && i + 1 < argc) {
      broker = argv[++i];
    } else {
      ticks = std::strtoul(argv[i], nullptr, 10);
    }
  }
  auto client =
      jobwire::Client::connect(broker, jobwire::ClientOptions()
                                           .name("hot-loop")
                                           .backlog(50'000, 64U << 20)
                                           .overflow(jobwire::OverflowPolicy::DropOldest));
  if (!client || ticks == 0) {
    std::fprintf(stderr, "%s\n", client ? "no ticks" : client.error().to_string().c_str());
    return 2;
  }

  std::vector<double> cost_ns;
  cost_ns.reserve(ticks);
  const std::vector<std::byte> sample(200, std::byte{0x5a});
  auto next = Clock::now();
  for (std::size_t tick = 0; tick < ticks; ++tick) {
    next += 50us;
    std::this_thread::sleep_until(next);  // what the loop is there for
    const auto before = Clock::now();
    const auto posted = client->post(jobwire::Job("sample", sample).queue("hot"));
    cost_ns.push_back(std::chrono::duration<double, std::nano>(Clock::now() - before).count());
    if (!posted) std::fprintf(stderr, "%s\n", posted.error().to_string().c_str());
  }

  const jobwire::CloseReport report = client->close(30s);
  std::sort(cost_ns.begin(), cost_ns.end());
  std::printf("%zu posts: p50 %.0f ns, p99 %.0f ns; %llu dropped, %zu not receipted\n", ticks,
              cost_ns[ticks / 2], cost_ns[ticks * 99 / 100],
              static_cast<unsigned long long>(report.dropped), report.unreceipted.size());
  return report.unreceipted.empty() ? 0 : 1;
}
