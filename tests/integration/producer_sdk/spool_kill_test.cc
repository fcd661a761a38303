// SPDX-License-Identifier: Apache-2.0
// A program that posts through a spool is killed at random points, and its broker comes and goes:
// nothing that post() took is lost, and nothing is there that was never posted.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <string>
#include <thread>

#include "scripted_broker.h"

extern char** environ;

namespace jobwire {
namespace {

using testing_detail::ScriptedBroker;

pid_t start(const std::string& endpoint, const std::string& folder, const char* mode) {
  std::string program = JOBWIRE_SPOOL_POSTER;
  std::string broker = endpoint;
  std::string spool = folder + "/spool";
  std::string ledger = folder + "/ledger";
  std::string how = mode;
  char* arguments[] = {program.data(), broker.data(), spool.data(),
                       ledger.data(),  how.data(),    nullptr};
  pid_t pid = -1;
  EXPECT_EQ(posix_spawn(&pid, program.c_str(), nullptr, nullptr, arguments, environ), 0);
  return pid;
}

int wait_for(pid_t pid) {
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return status;
}

struct Ledger {
  std::set<std::string> tried;
  std::set<std::string> posted;
};

Ledger read_ledger(const std::string& folder) {
  Ledger ledger;
  std::ifstream file(folder + "/ledger");
  for (std::string line; std::getline(file, line);) {
    // The last line of a killed program may be half a line.
    if (line.size() != 38) continue;
    (line[0] == 'P' ? ledger.posted : ledger.tried).insert(line.substr(2));
  }
  return ledger;
}

TEST(SpoolKillTest, NothingPostedIsLostAndNothingIsInventedWhereverTheKillHits) {
  const bool long_run = std::getenv("JOBWIRE_LONG") && *std::getenv("JOBWIRE_LONG") != '\0';
  const int trials = long_run ? 500 : 40;
  const std::uint64_t seed = std::random_device()();
  std::printf("seed %llu, %d trials\n", static_cast<unsigned long long>(seed), trials);
  std::mt19937_64 random(seed);
  const auto up_to = [&random](int most) {
    return std::chrono::microseconds(std::uniform_int_distribution<int>(0, most)(random));
  };
  std::size_t posted = 0;
  std::size_t kills = 0;
  for (int trial = 0; trial < trials; ++trial) {
    std::string name = testing::TempDir() + "jobwire-kill-XXXXXX";
    const std::string folder = mkdtemp(name.data());
    ScriptedBroker broker;
    bool away = false;
    for (int life = 0; life < 1 + trial % 3; ++life) {
      const pid_t pid = start(broker.endpoint(), folder, "post");
      std::this_thread::sleep_for(up_to(20'000));  // the random point
      if (random() % 2 == 0) {
        away ? broker.come_back() : broker.go_away();
        away = !away;
        std::this_thread::sleep_for(up_to(20'000));
      }
      kill(pid, SIGKILL);
      const int status = wait_for(pid);
      ASSERT_TRUE(WIFSIGNALED(status)) << "it ended by itself: " << status;
      ++kills;
    }
    if (away) broker.come_back();
    ASSERT_EQ(wait_for(start(broker.endpoint(), folder, "drain")), 0) << "trial " << trial;

    const Ledger ledger = read_ledger(folder);
    posted += ledger.posted.size();
    const auto jobs = broker.jobs();
    for (const std::string& id : ledger.posted) {
      ASSERT_TRUE(jobs.contains(*JobId::parse(id))) << id << " is lost, trial " << trial;
    }
    for (const auto& [id, job] : jobs) {
      ASSERT_TRUE(ledger.tried.contains(id.to_string())) << id.to_string() << " is invented";
      ASSERT_EQ(job.payload, id.to_string());
    }
    std::filesystem::remove_all(folder);
  }
  std::printf("%zu kills, %zu jobs posted, none lost, none invented\n", kills, posted);
  EXPECT_GT(posted, 0U);
}

}  // namespace
}  // namespace jobwire
