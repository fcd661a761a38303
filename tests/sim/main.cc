// SPDX-License-Identifier: Apache-2.0
// The simulator's program: runs seeds, says which fail and how to see them again.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "sim/world.h"

namespace jobwire::sim {
namespace {

struct Request {
  std::uint64_t first = 1;
  std::uint64_t last = 100;
  bool thorough = false;   // --long: longer runs with more of everything
  bool loud = false;       // --trace: every line of it
  bool twice = false;      // --twice: each seed must give one hash
  bool coverage = false;   // --coverage: print the counters, and fail when one is zero
  bool must_fail = false;  // --must-fail: pass when a seed fails
  std::uint64_t most_failures = 1;
};

int usage() {
  std::fprintf(stderr,
               "jobwire_sim [--seed N | --seeds A..B] [--long] [--trace] [--twice] [--coverage] "
               "[--must-fail]"
               " [--failures N]\n");
  return 2;
}

bool read_request(int argc, char** argv, Request& request) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const char* const next = i + 1 < argc ? argv[i + 1] : nullptr;
    if (word == "--long") {
      request.thorough = true;
    } else if (word == "--trace") {
      request.loud = true;
    } else if (word == "--twice") {
      request.twice = true;
    } else if (word == "--coverage") {
      request.coverage = true;
    } else if (word == "--must-fail") {
      request.must_fail = true;
    } else if (word == "--seed" && next) {
      request.first = request.last = std::strtoull(next, nullptr, 10);
      ++i;
    } else if (word == "--failures" && next) {
      request.most_failures = std::strtoull(next, nullptr, 10);
      ++i;
    } else if (word == "--seeds" && next) {
      const char* const dots = std::strstr(next, "..");
      if (!dots) return false;
      request.first = std::strtoull(next, nullptr, 10);
      request.last = std::strtoull(dots + 2, nullptr, 10);
      ++i;
    } else {
      return false;
    }
  }
  return request.first <= request.last;
}

int run_all(const Request& request) {
  const auto start = std::chrono::steady_clock::now();
  Coverage coverage;
  std::uint64_t failures = 0;
  std::uint64_t all = 0;
  std::uint64_t turns = 0;
  std::uint64_t seed = request.first;
  for (; seed <= request.last && failures < request.most_failures; ++seed) {
    RunReport report = World(seed, request.thorough, request.loud).run();
    if (request.twice && report.passed) {
      const RunReport again = World(seed, request.thorough, false).run();
      if (again.hash != report.hash) {
        report.passed = false;
        report.violation = "the same seed went another way";
      }
    }
    coverage.add(report.coverage);
    turns += report.turns;
    all = all * 1'000'003 + report.hash;
    if (!report.passed) {
      ++failures;
      std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed),
                  report.violation.c_str());
    }
    if (request.first == request.last) {
      std::printf("seed %llu: trace %016llx of %llu notes, %llu turns\n",
                  static_cast<unsigned long long>(seed),
                  static_cast<unsigned long long>(report.hash),
                  static_cast<unsigned long long>(report.notes),
                  static_cast<unsigned long long>(report.turns));
    }
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const auto runs = static_cast<double>(seed - request.first);
  std::printf(
      "seeds %llu..%llu: %llu failed, %.1f s, %.0f seeds/s, %.0f turns a seed, all traces "
      "%016llx\n",
      static_cast<unsigned long long>(request.first), static_cast<unsigned long long>(seed - 1),
      static_cast<unsigned long long>(failures), seconds, runs / seconds,
      static_cast<double>(turns) / runs, static_cast<unsigned long long>(all));
  if (failures > 0 && !request.must_fail) {
    std::printf("again, with every line: jobwire_sim%s --trace --seed N\n",
                request.thorough ? " --long" : "");
  }
  std::size_t never = 0;
  if (request.coverage) never = coverage.print();
  if (never > 0) std::printf("%zu things never happened\n", never);
  if (request.must_fail) return failures > 0 ? 0 : 1;
  return failures > 0 || never > 0 ? 1 : 0;
}

}  // namespace
}  // namespace jobwire::sim

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  jobwire::sim::Request request;
  if (!jobwire::sim::read_request(argc, argv, request)) return jobwire::sim::usage();
  return jobwire::sim::run_all(request);
}
