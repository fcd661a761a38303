// SPDX-License-Identifier: Apache-2.0
#include "base64.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace jobwire::client_detail {
namespace {

std::string encode(std::string_view text) { return to_base64(std::as_bytes(std::span(text))); }

TEST(Base64Test, TheExamplesOfRfc4648) {
  EXPECT_EQ(encode(""), "");
  EXPECT_EQ(encode("f"), "Zg==");
  EXPECT_EQ(encode("fo"), "Zm8=");
  EXPECT_EQ(encode("foo"), "Zm9v");
  EXPECT_EQ(encode("foob"), "Zm9vYg==");
  EXPECT_EQ(encode("fooba"), "Zm9vYmE=");
  EXPECT_EQ(encode("foobar"), "Zm9vYmFy");
}

TEST(Base64Test, AllBytesComeBackAtEveryLength) {
  std::vector<std::byte> bytes;
  for (int i = 0; i < 300; ++i) {
    std::vector<std::byte> back(2);
    ASSERT_TRUE(from_base64(to_base64(bytes), back));
    EXPECT_EQ(std::vector<std::byte>(back.begin() + 2, back.end()), bytes);
    bytes.push_back(static_cast<std::byte>(i * 7));
  }
}

TEST(Base64Test, WhatIsNoBase64IsRefusedAndChangesNothing) {
  for (const char* bad :
       {"Z", "Zg", "Zg=", "====", "Z===", "Zg=a", "Zm9=Zm9v", "Zm 9", "Zh==", "Zm9v\n"}) {
    std::vector<std::byte> out(3);
    EXPECT_FALSE(from_base64(bad, out)) << bad;
    EXPECT_EQ(out.size(), 3U);
  }
}

}  // namespace
}  // namespace jobwire::client_detail
