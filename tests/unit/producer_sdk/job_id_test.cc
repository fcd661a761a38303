// SPDX-License-Identifier: Apache-2.0
#include "jobwire/job_id.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <set>
#include <thread>
#include <vector>

namespace jobwire {
namespace {

TEST(JobIdTest, ANewIdIsAUuidOfVersionSeven) {
  for (int i = 0; i < 1000; ++i) {
    const JobId id = JobId::make();
    EXPECT_EQ(id.bytes()[6] >> 4U, 7);
    EXPECT_EQ(id.bytes()[8] >> 6U, 2);
    EXPECT_FALSE(id.is_nil());
  }
}

TEST(JobIdTest, AnIdCarriesTheTimeOfItsMaking) {
  using std::chrono::floor;
  using std::chrono::milliseconds;
  using Clock = std::chrono::system_clock;
  const auto before = floor<milliseconds>(Clock::now());
  const JobId id = JobId::make();
  EXPECT_GE(id.made_at(), before);
  EXPECT_LE(id.made_at(), Clock::now());
}

TEST(JobIdTest, TextAndBytesAreOneAndTheSame) {
  const auto id = JobId::parse("018f6d2c-7b1e-7c3a-9f00-5f1d2e3c4b5a");
  ASSERT_TRUE(id);
  EXPECT_EQ(id->to_string(), "018f6d2c-7b1e-7c3a-9f00-5f1d2e3c4b5a");
  EXPECT_EQ(id->bytes()[0], 0x01);
  EXPECT_EQ(id->bytes()[15], 0x5a);
  EXPECT_EQ(JobId::parse("018F6D2C-7B1E-7C3A-9F00-5F1D2E3C4B5A"), id);
  for (int i = 0; i < 100; ++i) {
    const JobId made = JobId::make();
    EXPECT_EQ(JobId::parse(made.to_string()), made);
  }
}

TEST(JobIdTest, WhatIsNoIdIsNotRead) {
  for (const char* text :
       {"", "018f6d2c", "018f6d2c-7b1e-7c3a-9f00-5f1d2e3c4b5",
        "018f6d2c-7b1e-7c3a-9f00-5f1d2e3c4b5aa", "018f6d2c+7b1e-7c3a-9f00-5f1d2e3c4b5a",
        "018f6d2c-7b1e-7c3a-9f00-5f1d2e3c4b5g", "018f6d2c7b1e-7c3a-9f00-5f1d2e3c4b5a-"}) {
    EXPECT_FALSE(JobId::parse(text)) << text;
  }
}

TEST(JobIdTest, ThreadsMakeDifferentIds) {
  std::vector<std::vector<JobId>> made(4);
  std::vector<std::thread> threads;
  for (auto& ids : made) {
    threads.emplace_back([&ids] {
      for (int i = 0; i < 5000; ++i) ids.push_back(JobId::make());
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<JobId> all;
  for (const auto& ids : made) all.insert(ids.begin(), ids.end());
  EXPECT_EQ(all.size(), 20'000U);
}

TEST(JobIdTest, AForkedChildDoesNotRepeatItsParentsIds) {
  static_cast<void>(JobId::make());  // the random bytes for the next ids lie in memory now
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    const JobId id = JobId::make();
    _exit(write(ends[1], id.bytes().data(), 16) == 16 ? 0 : 1);
  }
  const JobId own = JobId::make();
  JobId::Bytes bytes;
  ASSERT_EQ(read(ends[0], bytes.data(), 16), 16);
  waitpid(child, nullptr, 0);
  close(ends[0]);
  close(ends[1]);
  EXPECT_FALSE(std::equal(bytes.begin() + 9, bytes.end(), own.bytes().begin() + 9));
}

}  // namespace
}  // namespace jobwire
