// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/batch_ring.h"

#include <gtest/gtest.h>

namespace jobwire::redis {
namespace {

core::Steady at(std::int64_t ms) { return core::Steady(core::Millis(ms)); }

Transaction transaction(std::uint64_t sequence, std::size_t bytes = 1'000) {
  return {sequence, std::string(bytes, 'x'), 1};
}

TEST(BatchRing, FindsWhatCameAfterASequence) {
  BatchRing ring(1 << 20, core::Millis(1'000));
  EXPECT_EQ(ring.after(0), ring.size());
  // Batch 3 was refused: its number is missing.
  ring.push(0, transaction(1), at(0));
  ring.push(1, transaction(2), at(0));
  ring.push(2, transaction(4), at(0));
  EXPECT_EQ(ring.after(0), 0U);
  EXPECT_EQ(ring.after(1), 1U);
  EXPECT_EQ(ring.after(2), 2U);
  EXPECT_EQ(ring.at(2).sequence, 4U);
  EXPECT_EQ(ring.after(3), ring.size());
  EXPECT_EQ(ring.after(4), ring.size());
}

TEST(BatchRing, IsBoundedByBytesAndByAge) {
  BatchRing ring(10'000, core::Millis(1'000));
  for (std::uint64_t n = 0; n < 100; ++n) ring.push(n, transaction(n + 1), at(0));
  EXPECT_LE(ring.bytes(), 10'000U);
  EXPECT_GE(ring.size(), 8U);
  EXPECT_EQ(ring.after(50), ring.size()) << "too old";
  EXPECT_NE(ring.after(99), ring.size());
  ring.push(100, transaction(101), at(500));
  ring.trim(at(1'000));
  EXPECT_EQ(ring.size(), 1U);
  EXPECT_EQ(ring.oldest_ends(), at(1'500));
  ring.trim(at(1'500));
  EXPECT_TRUE(ring.empty());
  EXPECT_EQ(ring.bytes(), 0U);
}

TEST(BatchRing, ATransactionOverTheBoundIsNotKept) {
  BatchRing ring(10'000, core::Millis(1'000));
  ring.push(0, transaction(1), at(0));
  ring.push(1, transaction(2, 20'000), at(0));
  EXPECT_TRUE(ring.empty());
  ring.push(2, transaction(3), at(0));
  EXPECT_EQ(ring.after(1), ring.size());
  EXPECT_EQ(ring.after(2), 0U);
}

}  // namespace
}  // namespace jobwire::redis
