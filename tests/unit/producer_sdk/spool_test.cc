// SPDX-License-Identifier: Apache-2.0
#include "spool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "crc32c.h"

namespace jobwire::client_detail {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr std::size_t kBytes = 1U << 20;

class SpoolTest : public testing::Test {
 protected:
  SpoolTest() {
    std::string name = testing::TempDir() + "jobwire-spool-XXXXXX";
    folder_ = mkdtemp(name.data());
    path_ = folder_ + "/posts";
  }
  ~SpoolTest() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<Spool> open(Spool::Recovered& recovered, std::size_t bytes = kBytes) {
    auto spool = Spool::open(path_, bytes, recovered);
    EXPECT_TRUE(spool) << spool.error().to_string();
    return spool ? std::move(*spool) : nullptr;
  }
  std::unique_ptr<Spool> open() {
    Spool::Recovered recovered;
    return open(recovered);
  }
  static Job job(int number, std::size_t bytes = 20) {
    return Job("resize", std::string(bytes, static_cast<char>('a' + number % 26))).queue("images");
  }
  std::string read() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write(const std::string& bytes) const {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
  }
  static std::vector<JobId> ids_of(const Spool::Recovered& recovered) {
    std::vector<JobId> ids;
    for (const Job& one : recovered.jobs) ids.push_back(*one.id());
    return ids;
  }

  std::string folder_;
  std::string path_;
};

TEST(Crc32cTest, TheCheckValueAndPiecesLikeTheWhole) {
  const std::string digits = "123456789";
  const auto bytes = std::as_bytes(std::span(digits));
  EXPECT_EQ(crc32c(bytes), 0xE3069283U);
  for (std::size_t cut = 0; cut <= digits.size(); ++cut) {
    EXPECT_EQ(crc32c(bytes.subspan(cut), crc32c(bytes.first(cut))), 0xE3069283U);
  }
}

TEST_F(SpoolTest, WhatWasAddedAndNotStruckOffComesBackWholeAndInOrder) {
  const std::vector<JobId> ids = {JobId::make(), JobId::make(), JobId::make()};
  {
    const auto spool = open();
    Job rich = job(0).priority(9).timeout(3s).header("trace", "1").dedup_key("k", 1h).watch();
    rich.retry(RetryPolicy::fixed(5ms).attempts(2)).result_ttl(7s);
    ASSERT_TRUE(spool->add(rich, ids[0], Clock::now()));
    ASSERT_TRUE(spool->add(job(1), ids[1], Clock::now()));
    ASSERT_TRUE(spool->add(job(2), ids[2], Clock::now()));
    spool->remove({&ids[1], 1});
    EXPECT_EQ(spool->size(), 2U);
  }
  Spool::Recovered recovered;
  const auto spool = open(recovered);
  ASSERT_EQ(ids_of(recovered), (std::vector<JobId>{ids[0], ids[2]}));
  EXPECT_EQ(recovered.damaged_bytes, 0U);
  const Job& rich = recovered.jobs[0];
  EXPECT_EQ(rich.type(), "resize");
  EXPECT_EQ(rich.queue(), "images");
  EXPECT_EQ(rich.payload().size(), 20U);
  EXPECT_EQ(rich.encoding(), Encoding::Utf8);
  EXPECT_EQ(rich.priority(), 9);
  EXPECT_EQ(rich.timeout(), 3s);
  EXPECT_EQ(rich.result_ttl(), 7s);
  EXPECT_EQ(rich.headers().front().second, "1");
  EXPECT_EQ(rich.dedup_key(), "k");
  EXPECT_EQ(rich.retry()->base(), 5ms);
  EXPECT_EQ(rich.retry()->attempts(), 2);
  EXPECT_FALSE(rich.is_watched());
}

TEST_F(SpoolTest, AnIdThatIsPostedAgainAfterItWasStruckOffComesBackOnce) {
  const JobId id = JobId::make();
  const JobId other = JobId::make();
  {
    const auto spool = open();
    ASSERT_TRUE(spool->add(job(0), other, Clock::now()));
    ASSERT_TRUE(spool->add(job(1), id, Clock::now()));
    spool->remove({&id, 1});
    ASSERT_TRUE(spool->add(job(1), id, Clock::now()));
  }
  Spool::Recovered recovered;
  const auto spool = open(recovered);
  EXPECT_EQ(ids_of(recovered), (std::vector<JobId>{other, id}));
}

TEST_F(SpoolTest, AFileThatIsCutAnywhereGivesTheJobsBeforeTheCutAndTakesMore) {
  std::vector<JobId> ids;
  std::vector<std::size_t> ends;
  {
    const auto spool = open();
    for (int i = 0; i < 4; ++i) {
      ids.push_back(JobId::make());
      ASSERT_TRUE(spool->add(job(i), ids.back(), Clock::now()));
      ends.push_back(read().size());
    }
  }
  const std::string whole = read();
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    write(whole.substr(0, cut));
    const auto complete =
        std::count_if(ends.begin(), ends.end(), [cut](std::size_t end) { return end <= cut; });
    std::vector<JobId> expected(ids.begin(), ids.begin() + complete);
    const JobId more = JobId::make();
    {
      Spool::Recovered recovered;
      const auto spool = open(recovered);
      ASSERT_EQ(ids_of(recovered), expected) << cut;
      ASSERT_TRUE(spool->add(job(9), more, Clock::now()));
    }
    expected.push_back(more);
    Spool::Recovered recovered;
    const auto spool = open(recovered);
    ASSERT_EQ(ids_of(recovered), expected) << cut;
    EXPECT_EQ(recovered.damaged_bytes, 0U);
  }
}

TEST_F(SpoolTest, AByteThatChangedCostsItsOwnRecordAndInventsNothing) {
  std::vector<JobId> ids;
  {
    const auto spool = open();
    for (int i = 0; i < 3; ++i) {
      ids.push_back(JobId::make());
      // A payload that is itself a spool: its records are not to be taken for ours.
      const std::string nested = i == 1 ? read() : "payload";
      ASSERT_TRUE(spool->add(Job("resize", nested), ids.back(), Clock::now()));
    }
  }
  const std::string whole = read();
  std::size_t lost = 0;
  for (std::size_t at = 16; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    write(changed);
    Spool::Recovered recovered;
    const auto spool = open(recovered);
    const auto found = ids_of(recovered);
    ASSERT_GE(found.size(), 2U) << at;
    for (const JobId& id : found) {
      ASSERT_NE(std::find(ids.begin(), ids.end(), id), ids.end()) << at;
    }
    lost += 3 - found.size();
  }
  EXPECT_GT(lost, (whole.size() - 16) * 9 / 10);
}

TEST_F(SpoolTest, AFileOfSomebodyElseIsLeftAlone) {
  write("notes of somebody");
  Spool::Recovered recovered;
  const auto spool = Spool::open(path_, kBytes, recovered);
  ASSERT_FALSE(spool);
  EXPECT_EQ(spool.error().code(), ErrorCode::SpoolFailed);
  EXPECT_THAT(spool.error().message(), HasSubstr("no spool"));
  EXPECT_EQ(read(), "notes of somebody");
  const auto folder = Spool::open(folder_, kBytes, recovered);
  EXPECT_EQ(folder.error().code(), ErrorCode::SpoolFailed);
}

TEST_F(SpoolTest, OneUserAtATime) {
  const auto spool = open();
  Spool::Recovered recovered;
  const auto second = Spool::open(path_, kBytes, recovered);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message(), HasSubstr("another process"));
}

TEST_F(SpoolTest, TheFileStaysWithinItsBoundHoweverMuchPassesThroughIt) {
  const std::size_t bound = 64 * 1024;
  Spool::Recovered none;
  const auto spool = open(none, bound);
  const JobId stays = JobId::make();
  ASSERT_TRUE(spool->add(job(0, 1000), stays, Clock::now()));
  for (int i = 0; i < 1000; ++i) {
    const JobId id = JobId::make();
    ASSERT_TRUE(spool->add(job(i, 1000), id, Clock::now()));
    ASSERT_LE(std::filesystem::file_size(path_), bound);
    spool->remove({&id, 1});
  }
  EXPECT_EQ(spool->size(), 1U);
  EXPECT_FALSE(std::filesystem::exists(path_ + ".next"));
}

TEST_F(SpoolTest, CompactionKeepsWhatIsThere) {
  std::vector<JobId> left;
  {
    Spool::Recovered none;
    const auto spool = open(none, 64 * 1024);
    for (int i = 0; i < 500; ++i) {
      const JobId id = JobId::make();
      ASSERT_TRUE(spool->add(job(i, 500), id, Clock::now()));
      if (i % 25 == 0) {
        left.push_back(id);
      } else {
        spool->remove({&id, 1});
      }
    }
  }
  Spool::Recovered recovered;
  const auto spool = open(recovered, 64 * 1024);
  EXPECT_EQ(ids_of(recovered), left);
}

TEST_F(SpoolTest, AFullSpoolSaysSoAndHasRoomOnceSomethingIsStruckOff) {
  Spool::Recovered none;
  const auto spool = open(none, 16 * 1024);
  std::vector<JobId> ids;
  Status added;
  while (added) {
    const JobId id = JobId::make();
    added = spool->add(job(1, 1000), id, Clock::now());
    if (added) ids.push_back(id);
  }
  EXPECT_EQ(added.error().code(), ErrorCode::Full);
  EXPECT_EQ(spool->size(), ids.size());
  EXPECT_EQ(spool->add(job(1, 10'000), JobId::make(), Clock::now()).error().code(),
            ErrorCode::TooLarge);
  std::jthread strikes([&] { spool->remove(ids); });
  EXPECT_TRUE(spool->add(job(1, 1000), JobId::make(), Clock::now() + 60s));
}

TEST_F(SpoolTest, ADiskThatTakesNoMoreIsANamedErrorAndLeavesNothingHalfWritten) {
  const auto spool = open();
  const JobId first = JobId::make();
  ASSERT_TRUE(spool->add(job(1), first, Clock::now()));
  const std::size_t before = read().size();
  // The limit on a file's size stands for the disk's: the same calls fail in the same way.
  struct rlimit old {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit tight { before + 100, old.rlim_max };
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
  const Status added = spool->add(job(2, 5'000), JobId::make(), Clock::now());
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code(), ErrorCode::SpoolFailed);
  EXPECT_THAT(added.error().message(), HasSubstr("takes no more"));
  EXPECT_EQ(read().size(), before);
  EXPECT_TRUE(spool->add(job(3), JobId::make(), Clock::now()));
}

}  // namespace
}  // namespace jobwire::client_detail
