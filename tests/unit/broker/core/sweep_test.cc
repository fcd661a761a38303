// SPDX-License-Identifier: Apache-2.0
#include "core/sweep.h"

#include <gtest/gtest.h>

namespace jobwire::core {
namespace {

constexpr Steady kBegin{Micros(1'000'000)};

std::uint64_t take_all(Pace& pace, Steady now) {
  std::uint64_t taken = 0;
  while (pace.allows(now) > 0) {
    pace.take();
    ++taken;
  }
  return taken;
}

TEST(PaceTest, WithoutACapEverythingIsAllowed) {
  Pace pace(0, kBegin);
  EXPECT_EQ(pace.allows(kBegin), UINT64_MAX);
}

TEST(PaceTest, AllowsItsRateAndNoMore) {
  for (const std::uint32_t rate : {1U, 7U, 100U, 5'000U}) {
    Pace pace(rate, kBegin);
    std::uint64_t taken = 0;
    for (int ms = 0; ms <= 10'000; ++ms) taken += take_all(pace, kBegin + Millis(ms));
    EXPECT_GE(taken, 10ULL * rate) << rate;
    EXPECT_LE(taken, 10ULL * rate + 1) << rate;
  }
}

TEST(PaceTest, IdleTimeSavesUpATenthOfASecondOnly) {
  Pace pace(100, kBegin);
  take_all(pace, kBegin);
  EXPECT_EQ(take_all(pace, kBegin + Millis(60'000)), 10U);
}

TEST(PaceTest, NextIsWhenOneMoreIsAllowed) {
  Pace pace(3, kBegin);
  take_all(pace, kBegin);
  const Steady next = pace.next();
  EXPECT_EQ(pace.allows(next - Micros(10)), 0U);
  EXPECT_EQ(pace.allows(next), 1U);
}

TEST(SweepsTest, SixteenAtOnce) {
  Sweeps sweeps;
  SweepAsked asked;
  const Now now{kBegin, Wall(Millis(5'000))};
  for (std::uint8_t slot = 1; slot <= Sweeps::kMost; ++slot)
    EXPECT_EQ(sweeps.add(asked, now), slot);
  EXPECT_EQ(sweeps.add(asked, now), 0);
  const std::uint64_t number = sweeps.find(3)->number;
  sweeps.remove(3);
  EXPECT_EQ(sweeps.slot_of(number), 0);
  EXPECT_EQ(sweeps.add(asked, now), 3);
  EXPECT_NE(sweeps.find(3)->number, number);
}

TEST(SweepsTest, BeforeIsNowUnlessItIsSaid) {
  Sweeps sweeps;
  SweepAsked asked;
  const Now now{kBegin, Wall(Millis(5'000))};
  asked.action = SweepAction::kPurge;
  EXPECT_EQ(sweeps.find(sweeps.add(asked, now))->filter.before, now.wall);
  asked.action = SweepAction::kDrop;
  EXPECT_EQ(sweeps.find(sweeps.add(asked, now))->filter.before, now.wall + Millis(1))
      << "with what died in this millisecond";
  asked.filter.before = Wall(Millis(4'000));
  EXPECT_EQ(sweeps.find(sweeps.add(asked, now))->filter.before, Wall(Millis(4'000)));
  asked.filter.before = Wall(Millis(6'000));
  EXPECT_EQ(sweeps.find(sweeps.add(asked, now))->filter.before, now.wall)
      << "the future is not yet";
}

}  // namespace
}  // namespace jobwire::core
