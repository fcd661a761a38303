// SPDX-License-Identifier: Apache-2.0
#include "endpoints.h"

#include <gtest/gtest.h>

#include <string>

namespace jobwire::client_detail {
namespace {

TEST(EndpointsTest, AListIsItsPartsInOrder) {
  const auto endpoints = parse_endpoints("tcp://a:7700, ipc:///run/jobwire.sock,tcp://[::1]:65535");
  ASSERT_TRUE(endpoints);
  EXPECT_EQ(*endpoints, (std::vector<std::string>{"tcp://a:7700", "ipc:///run/jobwire.sock",
                                                  "tcp://[::1]:65535"}));
}

TEST(EndpointsTest, OneThatCannotBeAnEndpointRefusesTheListAndIsNamed) {
  for (const std::string bad :
       {"", "nonsense", "http://a:1", "tcp://a", "tcp://:7700", "tcp://a:port", "tcp://a:0",
        "tcp://a:65536", "tcp://a:77x", "ipc://"}) {
    const auto endpoints = parse_endpoints("tcp://good:1," + bad);
    ASSERT_FALSE(endpoints) << bad;
    EXPECT_EQ(endpoints.error().code(), ErrorCode::InvalidArgument);
    EXPECT_NE(endpoints.error().message().find("\"" + bad + "\""), std::string::npos);
  }
  EXPECT_FALSE(parse_endpoints("ipc://" + std::string(108, 'x')));
}

}  // namespace
}  // namespace jobwire::client_detail
