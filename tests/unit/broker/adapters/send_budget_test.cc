// SPDX-License-Identifier: Apache-2.0
#include "adapters/zmq/send_budget.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace jobwire::zmq_adapter {
namespace {

constexpr ports::PeerId kOne{ports::Side::kProducers, 1};
constexpr ports::PeerId kTwo{ports::Side::kProducers, 2};

struct Frame {
  Frame(SendBudget& budget, ports::PeerId peer, std::size_t size) {
    const std::vector<std::uint8_t> bytes(size, 7);
    budget.fill(frame, peer, bytes);
  }
  ~Frame() { zmq_msg_close(&frame); }
  zmq_msg_t frame;
};

TEST(SendBudget, APeerHasRoomUntilItsBytesAreReachedAndAgainWhenTheyHaveLeft) {
  SendBudget budget(100'000, 1'000'000);
  EXPECT_TRUE(budget.has_room(kOne, 500'000)) << "one message, however large";
  {
    Frame first(budget, kOne, 60'000);
    EXPECT_EQ(zmq_msg_size(&first.frame), 60'000U);
    EXPECT_EQ(static_cast<const char*>(zmq_msg_data(&first.frame))[59'999], 7);
    EXPECT_TRUE(budget.has_room(kOne, 40'000));
    EXPECT_FALSE(budget.has_room(kOne, 40'001));
    EXPECT_TRUE(budget.has_room(kOne, 100)) << "small ones are bounded by number";
    EXPECT_TRUE(budget.has_room(kTwo, 90'000));
  }
  EXPECT_EQ(budget.waiting(), 0U);
  EXPECT_TRUE(budget.has_room(kOne, 100'000));
}

TEST(SendBudget, AllPeersTogetherAreBoundedAndEachMayHaveOneMessage) {
  SendBudget budget(100'000, 150'000);
  Frame first(budget, kOne, 60'000);
  Frame second(budget, kTwo, 80'000);
  EXPECT_EQ(budget.waiting(), 140'000U);
  EXPECT_FALSE(budget.has_room(kOne, 20'000));
  EXPECT_TRUE(budget.has_room({ports::Side::kWorkers, 1}, 20'000)) << "another peer";
}

TEST(SendBudget, SmallFramesAreCopiedAndNotCounted) {
  SendBudget budget(100, 100);
  Frame empty(budget, kOne, 0);
  Frame small(budget, kOne, 4'095);
  EXPECT_EQ(budget.waiting(), 0U);
  EXPECT_EQ(zmq_msg_size(&small.frame), 4'095U);
}

TEST(SendBudget, FramesMayOutliveIt) {
  auto budget = std::make_unique<SendBudget>(100'000, 100'000);
  Frame frame(*budget, kOne, 10'000);
  budget.reset();
  EXPECT_EQ(zmq_msg_size(&frame.frame), 10'000U);
}

TEST(SendBudget, ManyPeersThatCameAndWentAreForgotten) {
  SendBudget budget(100'000, 1'000'000);
  Frame kept(budget, kOne, 60'000);
  for (std::uint64_t route = 10; route < 1'000; ++route)
    Frame(budget, {ports::Side::kWorkers, route}, 5'000);
  EXPECT_FALSE(budget.has_room(kOne, 60'000));
}

}  // namespace
}  // namespace jobwire::zmq_adapter
