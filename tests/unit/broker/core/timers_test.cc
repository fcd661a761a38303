// SPDX-License-Identifier: Apache-2.0
#include "core/timers.h"

#include <gtest/gtest.h>

#include "core/random.h"

namespace jobwire::core {
namespace {

Steady at(std::int64_t micros) { return Steady(Micros(micros)); }

Timers::Entry entry(std::int64_t micros, std::uint32_t job) {
  return {at(micros), 7, JobIx{job}, 1, Timers::Kind::kDue};
}

TEST(TimersTest, EmptyHasNoNext) {
  Timers timers;
  EXPECT_EQ(timers.next(), std::nullopt);
  EXPECT_FALSE(timers.take(at(1'000'000)));
  EXPECT_EQ(timers.size(), 0U);
}

TEST(TimersTest, EntryIsTakenAtItsTimeAndOnce) {
  Timers timers;
  timers.set(entry(100, 3));
  EXPECT_EQ(timers.next(), at(100));
  EXPECT_FALSE(timers.take(at(99)));
  const auto taken = timers.take(at(100));
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->job, JobIx{3});
  EXPECT_EQ(taken->id_tail, 7U);
  EXPECT_EQ(taken->stamp, 1U);
  EXPECT_FALSE(timers.take(at(100)));
}

TEST(TimersTest, EntriesComeInTheOrderOfTheirTimes) {
  Timers timers;
  Random random(1);
  for (std::uint32_t i = 0; i < 10'000; ++i)
    timers.set(entry(static_cast<std::int64_t>(random.next() % 1'000), i));
  EXPECT_EQ(timers.size(), 10'000U);
  Steady last{};
  for (int i = 0; i < 10'000; ++i) {
    const auto taken = timers.take(at(1'000));
    ASSERT_TRUE(taken);
    ASSERT_LE(last, taken->at);
    last = taken->at;
  }
  EXPECT_EQ(timers.next(), std::nullopt);
}

}  // namespace
}  // namespace jobwire::core
