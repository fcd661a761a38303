// SPDX-License-Identifier: Apache-2.0
#include "core/job_table.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "core/random.h"
#include "engine_driver.h"

namespace jobwire::core {
namespace {

TEST(JobTableTest, JobIsFoundByItsIdUntilItIsErased) {
  JobTable jobs;
  EXPECT_EQ(jobs.find(job_id(1)), kNoJob);
  const JobIx ix = jobs.insert(job_id(1));
  EXPECT_EQ(jobs.find(job_id(1)), ix);
  EXPECT_EQ(jobs[ix].id, job_id(1));
  EXPECT_EQ(jobs[ix].state, State::kNone);
  EXPECT_EQ(jobs[ix].lease, kNoLease);
  EXPECT_EQ(jobs.size(), 1U);
  jobs.erase(ix);
  EXPECT_EQ(jobs.find(job_id(1)), kNoJob);
  EXPECT_EQ(jobs.size(), 0U);
}

TEST(JobTableTest, ErasedSlotIsUsedAgainAndIsFreshButForItsTimerStamp) {
  JobTable jobs;
  const JobIx first = jobs.insert(job_id(1));
  jobs[first].payload = Bytes::copy_of(std::string_view("x"));
  jobs[first].more().watchers.push_back(SessionId{1});
  jobs[first].state = State::kQueued;
  jobs[first].timer_stamp = 5;
  jobs.erase(first);
  const JobIx second = jobs.insert(job_id(2));
  EXPECT_EQ(second, first);
  EXPECT_EQ(jobs[second].id, job_id(2));
  EXPECT_FALSE(jobs[second].payload);
  EXPECT_EQ(jobs[second].extra, nullptr);
  EXPECT_EQ(jobs[second].state, State::kNone);
  EXPECT_EQ(jobs[second].next, kNoJob);
  EXPECT_GT(jobs[second].timer_stamp, 5U);
}

TEST(JobTableTest, JobsStayWhereTheyAreWhileItGrows) {
  JobTable jobs;
  const JobIx first = jobs.insert(job_id(0));
  const Job* where = &jobs[first];
  std::set<std::uint32_t> slots{raw(first)};
  for (std::uint64_t n = 1; n < 10'000; ++n) slots.insert(raw(jobs.insert(job_id(n))));
  EXPECT_EQ(slots.size(), 10'000U);
  EXPECT_EQ(&jobs[first], where);
  for (std::uint64_t n = 0; n < 10'000; ++n) ASSERT_EQ(jobs[jobs.find(job_id(n))].id, job_id(n));
}

TEST(JobTableTest, FindsExactlyWhatIsThereAfterAnyOrderOfInsertsAndErases) {
  JobTable jobs;
  Random random(11);
  std::map<std::uint64_t, JobIx> there;
  for (int step = 0; step < 50'000; ++step) {
    const std::uint64_t n = random.next() % 3'000;
    const auto held = there.find(n);
    if (held == there.end()) {
      there[n] = jobs.insert(job_id(n));
    } else {
      ASSERT_EQ(jobs.find(job_id(n)), held->second);
      jobs.erase(held->second);
      there.erase(held);
    }
    ASSERT_EQ(jobs.size(), there.size());
  }
  for (std::uint64_t n = 0; n < 3'000; ++n) {
    const auto held = there.find(n);
    ASSERT_EQ(jobs.find(job_id(n)), held == there.end() ? kNoJob : held->second);
  }
}

TEST(JobTableTest, EveryJobIsVisitedOnce) {
  JobTable jobs;
  for (std::uint64_t n = 0; n < 100; ++n) jobs.insert(job_id(n));
  jobs.erase(jobs.find(job_id(50)));
  std::set<std::uint32_t> seen;
  jobs.for_each([&](JobIx ix) { seen.insert(raw(ix)); });
  EXPECT_EQ(seen.size(), 99U);
}

TEST(JobTableTest, JobIsSmall) { EXPECT_LE(sizeof(Job), 136U); }

}  // namespace
}  // namespace jobwire::core
