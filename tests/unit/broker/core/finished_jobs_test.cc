// SPDX-License-Identifier: Apache-2.0
#include "core/finished_jobs.h"

#include <gmock/gmock.h>

#include "engine_driver.h"

namespace jobwire::core {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr QueueIx kQueue{0};
constexpr QueueIx kOther{1};

class FinishedJobsTest : public ::testing::Test {
 protected:
  FinishedJobs jobs{{Millis(1'000), 3, 10'000}, {Millis(5'000), 2, 10'000}};

  void add(std::uint64_t n, Wall finished = kStart, State state = State::kSucceeded,
           QueueIx queue = kQueue, Millis ttl = Millis(0), std::uint32_t bytes = 100) {
    jobs.add(job_id(n), queue, state, finished, ttl, bytes);
  }
  /// Collects and lets go.
  std::vector<JobId> collect(Wall now, std::size_t limit = 100) {
    std::vector<FinishedJobs::Removal> out;
    jobs.collect(now, limit, out);
    std::vector<JobId> ids;
    for (const auto& removal : out) {
      jobs.gone(removal.id, now);
      ids.push_back(removal.id);
    }
    return ids;
  }
};

TEST_F(FinishedJobsTest, JobIsKnownUntilItIsGone) {
  add(1, kStart, State::kCancelled, kOther);
  const FinishedJobs::Entry* entry = jobs.find(job_id(1));
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(entry->queue, kOther);
  EXPECT_EQ(entry->state, State::kCancelled);
  EXPECT_FALSE(jobs.has_work(kStart + Millis(999)));
  EXPECT_THAT(collect(kStart + Millis(999)), IsEmpty());
  EXPECT_TRUE(jobs.has_work(kStart + Millis(1'000)));
  std::vector<FinishedJobs::Removal> out;
  jobs.collect(kStart + Millis(1'000), 10, out);
  ASSERT_THAT(out, SizeIs(1));
  EXPECT_EQ(out[0].queue, kOther);
  EXPECT_EQ(out[0].state, State::kCancelled);
  EXPECT_NE(jobs.find(job_id(1)), nullptr) << "the store still has it";
  EXPECT_FALSE(jobs.has_work(kStart + Millis(1'000))) << "it is being removed";
  jobs.gone(job_id(1), kStart + Millis(1'000));
  EXPECT_EQ(jobs.find(job_id(1)), nullptr);
  EXPECT_EQ(jobs.size(), 0U);
}

TEST_F(FinishedJobsTest, SameJobTwiceCountsOnce) {
  add(1);
  add(1, kStart + Millis(500));
  EXPECT_EQ(jobs.size(), 1U);
  EXPECT_THAT(collect(kStart + Millis(1'000)), ElementsAre(job_id(1)));
}

TEST_F(FinishedJobsTest, OldestGoFirstWhenThereAreTooMany) {
  for (std::uint64_t n = 1; n <= 5; ++n) add(n, kStart + Millis(static_cast<std::int64_t>(n)));
  EXPECT_TRUE(jobs.has_work(kStart));
  EXPECT_THAT(collect(kStart), ElementsAre(job_id(1), job_id(2)));
  EXPECT_FALSE(jobs.has_work(kStart));
}

TEST_F(FinishedJobsTest, OldestGoFirstWhenTheyAreTooLarge) {
  add(1, kStart, State::kSucceeded, kQueue, Millis(0), 6'000);
  add(2, kStart, State::kSucceeded, kQueue, Millis(0), 4'000);
  EXPECT_FALSE(jobs.has_work(kStart));
  add(3, kStart, State::kSucceeded, kQueue, Millis(0), 1);
  EXPECT_THAT(collect(kStart), ElementsAre(job_id(1)));
}

TEST_F(FinishedJobsTest, BoundsAreForEachQueue) {
  for (std::uint64_t n = 1; n <= 3; ++n) add(n);
  for (std::uint64_t n = 11; n <= 13; ++n) add(n, kStart, State::kSucceeded, kOther);
  EXPECT_FALSE(jobs.has_work(kStart));
}

TEST_F(FinishedJobsTest, DeadJobsHaveBoundsAndAnAgeOfTheirOwn) {
  add(1, kStart, State::kDead);
  for (std::uint64_t n = 2; n <= 4; ++n) add(n);
  EXPECT_FALSE(jobs.has_work(kStart));
  EXPECT_THAT(collect(kStart + Millis(1'000)), SizeIs(3));
  EXPECT_NE(jobs.find(job_id(1)), nullptr);
  add(5, kStart, State::kDead);
  add(6, kStart, State::kDead);
  EXPECT_THAT(collect(kStart), ElementsAre(job_id(1)));
  EXPECT_THAT(collect(kStart + Millis(5'000)), SizeIs(2));
}

TEST_F(FinishedJobsTest, OwnTtlIsShorterOrLonger) {
  add(1, kStart, State::kSucceeded, kQueue, Millis(10));
  add(2, kStart, State::kSucceeded, kQueue, Millis(9'000));
  add(3);
  EXPECT_THAT(collect(kStart + Millis(10)), ElementsAre(job_id(1)));
  EXPECT_THAT(collect(kStart + Millis(1'000)), ElementsAre(job_id(3)));
  EXPECT_THAT(collect(kStart + Millis(8'999)), IsEmpty());
  EXPECT_THAT(collect(kStart + Millis(9'000)), ElementsAre(job_id(2)));
}

TEST_F(FinishedJobsTest, OneCallTakesAtMostItsLimit) {
  for (std::uint64_t n = 1; n <= 3; ++n) add(n);
  EXPECT_THAT(collect(kStart + Millis(1'000), 2), SizeIs(2));
  EXPECT_TRUE(jobs.has_work(kStart + Millis(1'000)));
  EXPECT_THAT(collect(kStart + Millis(1'000), 2), SizeIs(1));
}

TEST_F(FinishedJobsTest, ClockThatWasSetBackKeepsTheOrder) {
  add(1, kStart);
  add(2, kStart - Millis(60'000));
  EXPECT_FALSE(jobs.has_work(kStart + Millis(999)));
  EXPECT_THAT(collect(kStart + Millis(1'000)), ElementsAre(job_id(1), job_id(2)));
}

TEST_F(FinishedJobsTest, RemovalThatDidNotHappenComesAgainFirst) {
  for (std::uint64_t n = 1; n <= 4; ++n) add(n);
  std::vector<FinishedJobs::Removal> out;
  jobs.collect(kStart, 10, out);
  ASSERT_THAT(out, SizeIs(1));
  jobs.put_back(out[0]);
  EXPECT_TRUE(jobs.has_work(kStart));
  EXPECT_THAT(collect(kStart), ElementsAre(job_id(1)));
  EXPECT_FALSE(jobs.has_work(kStart));
}

TEST_F(FinishedJobsTest, OneThatIsTakenAwayIsForgottenAndMakesRoom) {
  for (std::uint64_t n = 1; n <= 3; ++n) add(n);
  EXPECT_EQ(jobs.ended(kQueue), 3U);
  jobs.take(job_id(2));
  EXPECT_EQ(jobs.find(job_id(2)), nullptr);
  EXPECT_EQ(jobs.ended(kQueue), 2U);
  add(4);
  EXPECT_FALSE(jobs.has_work(kStart)) << "its place must not count against the bound";
  add(2, kStart + Millis(500));
  EXPECT_THAT(collect(kStart), ElementsAre(job_id(1)));
  EXPECT_THAT(collect(kStart + Millis(1'000)), ElementsAre(job_id(3), job_id(4)));
  EXPECT_THAT(collect(kStart + Millis(1'499)), IsEmpty()) << "its first place is not its place";
  EXPECT_THAT(collect(kStart + Millis(1'500)), ElementsAre(job_id(2)));
}

TEST_F(FinishedJobsTest, PlacesOfThoseTakenAwayDoNotPileUp) {
  FinishedJobs many{{Millis(1'000'000), 1'000'000, 1ULL << 40}, {}};
  for (std::uint64_t n = 1; n <= 10'000; ++n)
    many.add(job_id(n), kQueue, State::kSucceeded, kStart, Millis(0), 100);
  for (std::uint64_t n = 2; n <= 10'000; ++n) many.take(job_id(n));
  EXPECT_EQ(many.ended(kQueue), 1U);
  std::vector<FinishedJobs::Removal> out;
  many.collect(kStart + Millis(1'000'000), 100, out);
  ASSERT_THAT(out, SizeIs(1));
  EXPECT_EQ(out[0].id, job_id(1));
}

TEST_F(FinishedJobsTest, OneThatIsExpelledGoesNextAndIsKnownUntilItIsGone) {
  add(1, kStart, State::kDead);
  add(2, kStart, State::kDead);
  jobs.expel(job_id(2));
  ASSERT_NE(jobs.find(job_id(2)), nullptr);
  EXPECT_TRUE(jobs.find(job_id(2))->leaving);
  EXPECT_FALSE(jobs.find(job_id(1))->leaving);
  EXPECT_EQ(jobs.dead(kQueue), 1U);
  EXPECT_TRUE(jobs.has_work(kStart));
  EXPECT_THAT(collect(kStart), ElementsAre(job_id(2)));
  EXPECT_EQ(jobs.find(job_id(2)), nullptr);
  EXPECT_THAT(collect(kStart + Millis(5'000)), ElementsAre(job_id(1)));
}

TEST_F(FinishedJobsTest, AnEndIsToldFromAnEarlierOneByItsTime) {
  add(1, kStart, State::kDead);
  EXPECT_TRUE(jobs.find(job_id(1))->ended_at(kStart));
  EXPECT_FALSE(jobs.find(job_id(1))->ended_at(kStart - Millis(1)));
}

TEST_F(FinishedJobsTest, GoneBeforeFollowsTheYoungestThatWasRemoved) {
  const Wall made = kStart - Millis(500);
  jobs.add(job_id(1, made), kQueue, State::kSucceeded, kStart, Millis(0), 1);
  EXPECT_EQ(jobs.gone_before(), Wall{});
  collect(kStart + Millis(1'000));
  EXPECT_EQ(jobs.gone_before(), made + Millis(1));
}

TEST_F(FinishedJobsTest, IdFromAProducerWhoseClockIsAheadDoesNotMakeTheFutureGone) {
  const Wall now = kStart + Millis(1'000);
  jobs.add(job_id(1, kStart + Millis(3'600'000)), kQueue, State::kSucceeded, kStart, Millis(0), 1);
  collect(now);
  EXPECT_EQ(jobs.gone_before(), now);
}

TEST(MadeAtTest, ReadsTheMomentInTheId) { EXPECT_EQ(made_at(job_id(5, kStart)), kStart); }

}  // namespace
}  // namespace jobwire::core
