// SPDX-License-Identifier: Apache-2.0
// The snippets of producer_sdk/README.md, compiled and run. The last test compares the two texts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <jobwire/client.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "scripted_broker.h"

namespace {

using namespace std::chrono_literals;

const std::vector<std::uint8_t> photo = {1, 2, 3};

class ReadmeTest : public testing::Test {
 protected:
  void SetUp() override { broker_.finish_everything(); }

  static void complain(const jobwire::Error& error) { FAIL() << error.to_string(); }
  void use(std::span<const std::byte> bytes) { used_ += bytes.size(); }
  void store(std::size_t, std::span<const std::byte> bytes) { used_ += bytes.size(); }

  jobwire::testing_detail::ScriptedBroker broker_;
  std::string broker = broker_.endpoint();
  std::size_t used_ = 0;
};

// clang-format off
TEST_F(ReadmeTest, SubmitAndWait) {
  auto client = jobwire::Client::connect(broker).value();

  const auto receipt = client.submit(jobwire::Job("thumbnail", photo).queue("images").timeout(30s));
  if (!receipt) return complain(receipt.error());  // code(), message(), retryable(), retry_after()

  const auto result = client.wait(receipt->id, 10s);
  if (!result) return complain(result.error());  // Timeout, UnknownJob, ...
  if (!result->succeeded()) std::puts(result->error()->to_string().c_str());  // the traceback
  use(result->bytes());

  EXPECT_EQ(used_, photo.size());
}

TEST_F(ReadmeTest, Call) {
  auto client = jobwire::Client::connect(broker).value();

  const auto answer = client.call(jobwire::Job("add").json("[1, 2]"), 10s);

  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->text(), "[1, 2]");
}

TEST_F(ReadmeTest, ManyAtOnce) {
  auto client = jobwire::Client::connect(broker).value();

  std::vector<jobwire::Job> jobs(1000, jobwire::Job("thumbnail", photo).watch());
  std::vector<jobwire::JobId> ids;
  for (const auto& each : client.submit_batch(jobs)) ids.push_back(each.value().id);
  client.wait_each(ids, 60s, [&](std::size_t i, jobwire::Result<jobwire::JobResult> each) {
    if (each && each->succeeded()) store(i, each->bytes());
  });

  EXPECT_EQ(used_, 1000 * photo.size());
}

TEST_F(ReadmeTest, FireAndForget) {
  auto client = jobwire::Client::connect(broker).value();

  const auto id = client.post(jobwire::Job("log-visit", "user 7"));
  const jobwire::CloseReport report = client.close(5s);
  for (const jobwire::JobId& lost : report.unreceipted) std::puts(lost.to_string().c_str());

  EXPECT_EQ(broker_.job(id.value())->payload, "user 7");
  EXPECT_TRUE(report.clean());
}

TEST_F(ReadmeTest, NeverTwice) {
  auto client = jobwire::Client::connect(broker).value();

  const auto id = jobwire::JobId::make();  // keep it before you submit
  auto job = jobwire::Job("charge").json("{\"cents\": 990}").id(id).dedup_key("order-7", 24h);
  auto first = client.submit(job);
  auto again = client.submit(job);  // the same receipt, duplicate is true

  EXPECT_EQ(first->id, again->id);
  EXPECT_TRUE(again->duplicate);
}
// clang-format on

std::string read_lines_trimmed(const std::string& path) {
  std::ifstream file(path);
  std::string text;
  for (std::string line; std::getline(file, line);) {
    line.erase(0, line.find_first_not_of(' '));
    text += line + "\n";
  }
  return text;
}

TEST_F(ReadmeTest, EverySnippetIsInThisFile) {
  const std::string root = JOBWIRE_SOURCE_DIR;
  const std::string readme = read_lines_trimmed(root + "/producer_sdk/README.md");
  const std::string compiled = read_lines_trimmed(root + "/tests/unit/producer_sdk/readme_test.cc");
  const std::string fence = "```";
  int snippets = 0;
  for (auto at = readme.find(fence + "cpp\n"); at != std::string::npos;
       at = readme.find(fence + "cpp\n", at)) {
    at += 7;
    const std::string snippet = readme.substr(at, readme.find(fence, at) - at);
    EXPECT_THAT(compiled, testing::HasSubstr(snippet));
    ++snippets;
  }
  EXPECT_EQ(snippets, 7);
}

}  // namespace
