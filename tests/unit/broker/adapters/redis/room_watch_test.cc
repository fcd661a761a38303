// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/room_watch.h"

#include <gtest/gtest.h>

namespace jobwire::redis {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

TEST(RoomWatch, TheReserveIsATwentiethAtLeast64MiBAndNeverMoreThanHalf) {
  EXPECT_EQ(RoomWatch::reserve_of(0, 0), 0U) << "without a limit nothing is reserved";
  EXPECT_EQ(RoomWatch::reserve_of(10'000 * kMiB, 0), 500 * kMiB);
  EXPECT_EQ(RoomWatch::reserve_of(1'000 * kMiB, 0), 64 * kMiB);
  EXPECT_EQ(RoomWatch::reserve_of(100 * kMiB, 0), 50 * kMiB);
  EXPECT_EQ(RoomWatch::reserve_of(1'000 * kMiB, 10 * kMiB), 10 * kMiB);
  EXPECT_EQ(RoomWatch::reserve_of(1'000 * kMiB, 900 * kMiB), 500 * kMiB);
}

}  // namespace
}  // namespace jobwire::redis
