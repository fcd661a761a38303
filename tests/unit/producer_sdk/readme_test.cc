// SPDX-License-Identifier: Apache-2.0
// The snippets of producer_sdk/README.md, compiled and run. The last test compares the two texts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <jobwire/client.h>
#include <jobwire/operator.h>
#include <jobwire/testing/fake_broker.h>

#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstdio>
#include <fstream>
#include <functional>
#include <future>
#include <sstream>
#include <string>
#include <vector>

#include "scripted_broker.h"

namespace {

using namespace std::chrono_literals;

const std::vector<std::uint8_t> photo = {1, 2, 3};

struct Inline {
  void operator()(const std::function<void()>& task) const { task(); }
};

/// A coroutine that nobody waits for.
struct Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

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

Detached await_two(jobwire::Client& client, Inline pool, std::promise<bool>& done) {
  const auto resized = co_await client.call_async(jobwire::Job("thumbnail", photo));
  const auto stored = co_await client.call_async(jobwire::Job("store", resized->bytes())).on(pool);
  done.set_value(stored && stored->succeeded());
}

TEST_F(ReadmeTest, Coroutine) {
  auto client = jobwire::Client::connect(broker).value();
  std::promise<bool> done;
  await_two(client, {}, done);
  EXPECT_TRUE(done.get_future().get());
}

TEST_F(ReadmeTest, Progress) {
  auto client = jobwire::Client::connect(broker).value();

  const auto film = client.call(jobwire::Job("encode", photo), 1h, [](const jobwire::JobProgress& p) {
    std::printf("%3.0f %% %s\n", 100.0 * static_cast<double>(p.value), p.message.c_str());
  });

  EXPECT_TRUE(film->succeeded());
}

TEST_F(ReadmeTest, Spool) {
  const std::string file = testing::TempDir() + "readme-" + jobwire::JobId::make().to_string();

  auto options = jobwire::ClientOptions().spool(file).overflow(jobwire::OverflowPolicy::DropOldest);
  auto poster = jobwire::Client::connect(broker, options);
  if (!poster) return complain(poster.error());  // SpoolFailed: another process has it, the disk is full, ...

  const auto id = poster->post(jobwire::Job("log-visit", "user 7"));
  EXPECT_TRUE(poster->close(60s).clean());
  EXPECT_TRUE(broker_.job(*id));
  std::remove(file.c_str());
}

TEST_F(ReadmeTest, LentBuffer) {
  const std::vector<std::byte> frame(100);
  std::atomic<bool> released{false};
  const auto release = [&released] { released = true; };
  {
    auto client = jobwire::Client::connect(broker).value();

    const auto framed = client.submit(jobwire::Job("ocr").payload(frame, release, jobwire::Encoding::Bytes));

    EXPECT_TRUE(framed);
  }
  EXPECT_TRUE(released);
}

std::atomic<int> notes{0};
void note(std::string_view) { ++notes; }

TEST_F(ReadmeTest, SeveralBrokersAndHooks) {
  auto watched = jobwire::ClientOptions()
                     .on_connection([](const jobwire::Connection& c) { note(to_string(c.state)); })
                     .on_log([](jobwire::LogLevel, std::string_view text) { note(text); })
                     .on_job_event([](const jobwire::JobEvent& event) { note(to_string(event.kind)); })
                     .trace([](jobwire::Job& job) { job.header("traceparent", "00-..."); });
  auto either = jobwire::Client::connect("tcp://127.0.0.1:1," + broker, watched);

  EXPECT_TRUE(either->submit(jobwire::Job("thumbnail", photo)));
  EXPECT_GE(notes, 4);
}

std::vector<jobwire::testing_detail::ScriptedBroker::Answer> answer_operator(
    const jobwire::wire::Message& message, std::string_view) {
  using jobwire::testing_detail::to_envelope;
  flatbuffers::FlatBufferBuilder builder;
  if (const auto* command = message.body_as_QueueCommand()) {
    const auto view = jobwire::wire::CreateQueueViewDirect(builder, "images");
    const auto list = builder.CreateVector(&view, 1);
    return {{to_envelope(builder, jobwire::wire::CreateQueueReply(builder, command->request(),
                                                                  jobwire::wire::Code::Unspecified, 0, list)), ""}};
  }
  if (const auto* sweep = message.body_as_Sweep()) {
    return {{to_envelope(builder, jobwire::wire::CreateSweepReport(builder, sweep->request(),
                                                                   jobwire::wire::Code::Unspecified, 0, 3, 0, 0, true)), ""}};
  }
  return {{to_envelope(builder, jobwire::wire::CreateDeadPage(builder, message.body_as_DeadQuery()->request())), ""}};
}

TEST_F(ReadmeTest, Operate) {
  broker_.on_operator(answer_operator);
  const std::string file = testing::TempDir() + "readme-" + jobwire::JobId::make().to_string();

  auto op = jobwire::Operator::connect(broker).value();
  const auto tomorrow = std::chrono::system_clock::now() + 24h;
  const auto paused = op.pause("images", jobwire::By("anna").why("the disk is full").until(tomorrow));
  if (!paused) return complain(paused.error());
  const auto disk = jobwire::JobFilter().queue("images").error("OSError");
  for (const auto& job : op.dead(disk)) std::puts(job.value().error_message.c_str());
  const auto counted = op.replay(disk, jobwire::By("anna"), jobwire::SweepOptions().dry_run());
  std::ofstream out(file);
  const auto exported = op.export_to(out, disk);  // how many, or an error

  EXPECT_TRUE(exported);

  EXPECT_EQ(counted->matched, 3U);
  std::remove(file.c_str());
}

TEST_F(ReadmeTest, Test) {
  jobwire::testing::FakeBroker fake;
  fake.handle("thumbnail", [](const jobwire::testing::FakeJob& job) {
    if (job.attempt == 1) return jobwire::testing::FakeOutcome::raise("builtins.OSError", "disk");
    return jobwire::testing::FakeOutcome::succeed(job.payload);
  });
  auto tested = fake.connect().value();
  const auto thumb = tested.call_async(jobwire::Job("thumbnail", photo));
  while (!thumb.ready()) fake.advance(1s);  // the retry's rest

  EXPECT_EQ(thumb.get_for(0s)->bytes().size(), photo.size());
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
  EXPECT_EQ(snippets, 14);
}

}  // namespace
