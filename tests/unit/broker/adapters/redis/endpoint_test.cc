// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/endpoint.h"

#include <gtest/gtest.h>

namespace jobwire::redis {
namespace {

TEST(Endpoint, AUrlNamesHostPortDatabaseAndLogin) {
  const Endpoint full = *Endpoint::parse("redis://user:p%40ss%3A@redis.local:7000/3");
  EXPECT_EQ(full.host, "redis.local");
  EXPECT_EQ(full.port, 7000);
  EXPECT_EQ(full.database, 3);
  EXPECT_EQ(full.user, "user");
  EXPECT_EQ(full.password, "p@ss:");
  EXPECT_EQ(full.to_string(), "redis://redis.local:7000/3");
  EXPECT_EQ(Endpoint::parse("redis://:secret@h")->password, "secret");
  EXPECT_EQ(Endpoint::parse("redis://h")->port, 6379);
  EXPECT_EQ(Endpoint::parse("redis://[::1]:7001")->host, "::1");
  EXPECT_EQ(Endpoint::parse("redis://[::1]:7001")->to_string(), "redis://[::1]:7001");
  EXPECT_EQ(Endpoint::parse("unix:///run/redis.sock")->unix_path, "/run/redis.sock");
  EXPECT_EQ(Endpoint::parse("unix:///run/redis.sock?db=2")->database, 2);
}

TEST(Endpoint, AWrongUrlSaysWhereAndNeverShowsThePassword) {
  for (const char* url :
       {"", "http://h", "rediss://h", "redis://", "redis://h:0", "redis://h:x", "redis://h:70000",
        "redis://h/x", "redis://h/-1", "redis://secret@h", "redis://u:secret%4@h",
        "unix://relative", "unix:///s?x=1", "redis://[::1", "redis://[::1]7"}) {
    auto endpoint = Endpoint::parse(url);
    ASSERT_FALSE(static_cast<bool>(endpoint)) << url;
    EXPECT_FALSE(endpoint.failure().retryable);
    EXPECT_EQ(endpoint.failure().message.find("secret"), std::string::npos);
  }
}

}  // namespace
}  // namespace jobwire::redis
