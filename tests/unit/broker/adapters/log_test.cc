// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include <sstream>

#include "adapters/log/line.h"
#include "adapters/log/rate_limit.h"
#include "adapters/log/spdlog_log.h"

namespace jobwire::log {
namespace {

class ManualClock : public ports::Clock {
 public:
  core::Now now() const override { return now_; }
  void advance(core::Micros span) { now_.steady += span; }

 private:
  core::Now now_;
};

class LogTest : public testing::Test {
 protected:
  SpdlogLog make(Format format, ports::Level least = ports::Level::kInfo) {
    return {format, least, clock_, std::make_shared<spdlog::sinks::ostream_sink_st>(out_)};
  }
  std::vector<std::string> lines() const {
    std::vector<std::string> lines;
    std::istringstream in(out_.str());
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }

  ManualClock clock_;
  std::ostringstream out_;
};

TEST_F(LogTest, LinesOfOneKeyComeFiveInTenSecondsAndTheRestIsCounted) {
  SpdlogLog log = make(Format::kText);
  for (int i = 0; i < 317; ++i)
    log.write(ports::Level::kWarning, "refused", "a message was refused");
  EXPECT_EQ(lines().size(), 5U);
  clock_.advance(RateLimit::kWindow);
  log.tell_left_out();
  ASSERT_EQ(lines().size(), 6U);
  EXPECT_NE(lines()[5].find("refused: … and 312 more of these in 10 s"), std::string::npos)
      << lines()[5];
  log.tell_left_out();
  EXPECT_EQ(lines().size(), 6U);
  log.write(ports::Level::kWarning, "refused", "again");
  EXPECT_EQ(lines().size(), 7U);
}

TEST_F(LogTest, KeysAreLimitedApartAndLinesWithoutAKeyNever) {
  SpdlogLog log = make(Format::kText);
  for (int i = 0; i < 20; ++i) log.write(ports::Level::kInfo, "a", "a");
  log.write(ports::Level::kInfo, "b", "b");
  for (int i = 0; i < 20; ++i) log.write(ports::Level::kInfo, "", "start");
  EXPECT_EQ(lines().size(), 5U + 1U + 20U);
}

TEST_F(LogTest, LinesBelowTheLevelAreNotWritten) {
  SpdlogLog log = make(Format::kText, ports::Level::kWarning);
  log.write(ports::Level::kInfo, "", "no");
  log.write(ports::Level::kError, "", "yes");
  ASSERT_EQ(lines().size(), 1U);
  EXPECT_NE(lines()[0].find("yes"), std::string::npos);
}

TEST_F(LogTest, WhatPeersSayCannotMakeLinesOrCommandTerminals) {
  SpdlogLog log = make(Format::kText);
  log.write(ports::Level::kInfo, "", "client\n2024 error forged\x1b[2J{}%v");
  ASSERT_EQ(lines().size(), 1U);
  EXPECT_NE(lines()[0].find("client\\n2024 error forged\\x1b[2J{}%v"), std::string::npos)
      << lines()[0];
}

TEST_F(LogTest, JsonLinesAreObjects) {
  SpdlogLog log = make(Format::kJson);
  log.write(ports::Level::kWarning, "store-away", "say \"when\"\n\xff");
  ASSERT_EQ(lines().size(), 1U);
  const std::string line = lines()[0];
  EXPECT_EQ(line.substr(0, 9), "{\"time\":\"");
  EXPECT_NE(
      line.find(R"("level":"warning","kind":"store-away","message":"say \"when\"\u000a\ufffd"})"),
      std::string::npos)
      << line;
}

TEST(JsonString, KeepsUtf8AndReplacesWhatIsNot) {
  EXPECT_EQ(json_string("größe €𝄞"), "\"größe €𝄞\"");
  EXPECT_EQ(json_string("\xC0\xAF"), "\"\\ufffd\\ufffd\"");
  EXPECT_EQ(json_string("\xE2\x82"), "\"\\ufffd\\ufffd\"");
  EXPECT_EQ(json_string("\xED\xA0\x80"), "\"\\ufffd\\ufffd\\ufffd\"");
}

}  // namespace
}  // namespace jobwire::log
