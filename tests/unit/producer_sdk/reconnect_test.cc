// SPDX-License-Identifier: Apache-2.0
#include "reconnect.h"

#include <gtest/gtest.h>

#include <chrono>
#include <set>

namespace jobwire::client_detail {
namespace {

using namespace std::chrono_literals;

TEST(ReconnectTest, EndpointsAreTriedInTurn) {
  Reconnect reconnect(3, 1);
  std::vector<std::size_t> tried;
  for (int i = 0; i < 6; ++i) {
    tried.push_back(reconnect.endpoint());
    reconnect.failed();
  }
  EXPECT_EQ(tried, (std::vector<std::size_t>{0, 1, 2, 0, 1, 2}));
}

TEST(ReconnectTest, TheRestDoublesPerRoundUpToItsBound) {
  Reconnect reconnect(2, 1);
  std::chrono::milliseconds most = Reconnect::kFirstRest;
  for (int round = 0; round < 30; ++round) {
    for (int endpoint = 0; endpoint < 2; ++endpoint) {
      const auto rest = reconnect.failed();
      EXPECT_GE(rest, most / 10);
      EXPECT_LE(rest, most);
    }
    most = std::min(most * 2, Reconnect::kLongestRest);
  }
  reconnect.succeeded();
  EXPECT_LE(reconnect.failed(), Reconnect::kFirstRest);
}

TEST(ReconnectTest, ClientsThatLoseTheirBrokerTogetherDoNotComeBackTogether) {
  std::set<std::int64_t> rests;
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    Reconnect reconnect(1, seed * 7919);
    reconnect.failed();
    rests.insert(reconnect.failed().count());
  }
  EXPECT_GT(rests.size(), 150U);  // of the 181 milliseconds that there are
}

}  // namespace
}  // namespace jobwire::client_detail
