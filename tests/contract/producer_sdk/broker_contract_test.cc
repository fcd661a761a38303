// SPDX-License-Identifier: Apache-2.0
// What a client sees of a broker: the same for the FakeBroker in this process, and, when
// JOBWIRE_ENDPOINT names one, for a jobwired whose workers run contract_app.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <jobwire/client.h>
#include <jobwire/testing/fake_broker.h>

#include <chrono>
#include <cstdlib>
#include <future>
#include <memory>
#include <ostream>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace jobwire {
namespace {

using namespace std::chrono_literals;
using jobwire::testing::FakeBroker;
using jobwire::testing::FakeJob;
using jobwire::testing::FakeOutcome;

constexpr auto kLong = 60s;

ClientOptions patient() { return ClientOptions().submit_timeout(kLong).connect_timeout(kLong); }

/// A broker with workers for echo (returns its payload as it came), fail (raises ValueError) and
/// reject; nobody does idle.
class Broker {
 public:
  virtual ~Broker() = default;
  virtual Client connect() = 0;
  /// Lets so much time go by.
  virtual void pass(std::chrono::milliseconds time) = 0;
};

class InProcess final : public Broker {
 public:
  InProcess() {
    broker_.handle(
        "echo", [](const FakeJob& job) { return FakeOutcome::succeed(job.payload, job.encoding); });
    broker_.handle("fail", [](const FakeJob&) {
      return FakeOutcome::raise("builtins.ValueError", "this one always fails");
    });
    broker_.handle("reject", [](const FakeJob&) { return FakeOutcome::reject("never"); });
  }
  Client connect() override { return broker_.connect(patient()).value(); }
  void pass(std::chrono::milliseconds time) override { broker_.advance(time); }

 private:
  FakeBroker broker_;
};

class Remote final : public Broker {
 public:
  explicit Remote(std::string endpoint) : endpoint_(std::move(endpoint)) {}
  Client connect() override { return Client::connect(endpoint_, patient()).value(); }
  void pass(std::chrono::milliseconds time) override { std::this_thread::sleep_for(time); }

 private:
  std::string endpoint_;
};

const char* endpoint() { return std::getenv("JOBWIRE_ENDPOINT"); }

class BrokerContract : public ::testing::TestWithParam<std::string> {
 protected:
  BrokerContract() {
    if (GetParam() == "FakeBroker") {
      broker_ = std::make_unique<InProcess>();
    } else {
      broker_ = std::make_unique<Remote>(endpoint());
    }
    client_ = std::make_unique<Client>(broker_->connect());
  }

  /// A job that nobody works on.
  static Job idle() { return Job("idle", "x").queue("nobody"); }
  static std::string fresh_key() { return JobId::make().to_string(); }

  std::unique_ptr<Broker> broker_;
  std::unique_ptr<Client> client_;
};

// ---------------------------------------------------------------- handing over

TEST_P(BrokerContract, AReceiptNamesTheJobAndItsState) {
  const auto receipt = client_->submit(idle());
  ASSERT_TRUE(receipt) << receipt.error().to_string();
  EXPECT_FALSE(receipt->duplicate);
  EXPECT_EQ(receipt->state, JobState::Queued);
  EXPECT_NE(receipt->durability, Durability::Unspecified);
  const auto status = client_->status(receipt->id);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->state, JobState::Queued);
  EXPECT_EQ(status->attempts, 0U);
}

TEST_P(BrokerContract, TheSameIdAgainIsADuplicateAndForAnotherQueueOrTypeAConflict) {
  const Job job = idle().id(JobId::make());
  EXPECT_FALSE(client_->submit(job).value().duplicate);
  const Receipt again = client_->submit(job).value();
  EXPECT_TRUE(again.duplicate);
  EXPECT_EQ(again.id, *job.id());
  EXPECT_EQ(client_->submit(Job(job).queue("elsewhere")).error().code(), ErrorCode::Conflict);
  EXPECT_EQ(client_->submit(Job("fail").queue("nobody").id(*job.id())).error().code(),
            ErrorCode::Conflict);
}

TEST_P(BrokerContract, ADedupKeyMakesTwoIdsOneJob) {
  const Job job = idle().dedup_key(fresh_key(), 1h);
  const Receipt first = client_->submit(job).value();
  const Receipt second = client_->submit(job).value();
  EXPECT_FALSE(first.duplicate);
  EXPECT_TRUE(second.duplicate);
  EXPECT_EQ(second.id, first.id);
}

TEST_P(BrokerContract, ABatchIsReceiptedInOrderAndEachJobHasItsResult) {
  std::vector<Job> jobs;
  for (int i = 0; i < 100; ++i) jobs.push_back(Job("echo", std::to_string(i)).watch());
  std::vector<JobId> ids;
  for (const auto& receipt : client_->submit_batch(jobs)) ids.push_back(receipt.value().id);
  EXPECT_EQ(std::set<JobId>(ids.begin(), ids.end()).size(), 100U);
  const auto results = client_->wait_all(ids, kLong);
  for (std::size_t i = 0; i < results.size(); ++i) {
    ASSERT_TRUE(results[i]) << results[i].error().to_string();
    EXPECT_EQ(results[i]->text(), std::to_string(i));
  }
}

TEST_P(BrokerContract, PostedJobsArriveByTheEndOfAFlush) {
  const JobId id = client_->post(idle()).value();
  ASSERT_TRUE(client_->flush(kLong));
  EXPECT_EQ(client_->status(id)->state, JobState::Queued);
}

TEST_P(BrokerContract, ADelayedJobIsScheduledUntilItsTime) {
  const Receipt receipt = client_->submit(Job("echo", "late").delay(300ms)).value();
  EXPECT_EQ(receipt.state, JobState::Scheduled);
  EXPECT_EQ(client_->result(receipt.id).error().code(), ErrorCode::NotFinished);
  broker_->pass(400ms);
  const auto result = client_->wait(receipt.id, kLong);
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_EQ(result->text(), "late");
}

TEST_P(BrokerContract, AJobThatNobodyStartsInTimeExpires) {
  const auto soon = std::chrono::system_clock::now() + 500ms;
  const Receipt receipt = client_->submit(idle().expires_at(soon)).value();
  const auto pending = client_->watch(receipt.id);
  broker_->pass(600ms);
  const auto result = pending.get_for(kLong);
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_EQ(result->state(), JobState::Expired);
  EXPECT_FALSE(result->succeeded());
}

// ---------------------------------------------------------------- results

TEST_P(BrokerContract, AResultHasTheBytesAndTheEncodingThatTheHandlerGave) {
  const std::string bytes("\0\xFF\x80 any", 7);
  const auto raw = client_->call(Job("echo", std::as_bytes(std::span(bytes))), kLong);
  ASSERT_TRUE(raw) << raw.error().to_string();
  EXPECT_TRUE(raw->succeeded());
  EXPECT_EQ(raw->text(), bytes);
  EXPECT_EQ(raw->encoding(), Encoding::Bytes);
  EXPECT_EQ(raw->error(), nullptr);
  EXPECT_EQ(raw->status().attempts, 1U);
  const auto empty = client_->call(Job("echo"), kLong);
  ASSERT_TRUE(empty) << empty.error().to_string();
  EXPECT_TRUE(empty->bytes().empty());
}

TEST_P(BrokerContract, AnotherClientMayWaitForTheResultAndAskForItLater) {
  const JobId id = client_->submit(Job("echo", "abc")).value().id;
  Client other = broker_->connect();
  EXPECT_EQ(other.wait(id, kLong)->text(), "abc");
  EXPECT_EQ(other.result(id)->text(), "abc");
  EXPECT_EQ(client_->status(id)->state, JobState::Succeeded);
}

TEST_P(BrokerContract, WatchingADuplicateOfAFinishedJobGivesItsResult) {
  const Job job = Job("echo", "once").id(JobId::make()).watch();
  ASSERT_TRUE(client_->call(job, kLong));
  Client other = broker_->connect();
  EXPECT_EQ(other.call(job, kLong)->text(), "once");
}

TEST_P(BrokerContract, AJobThatKeepsFailingIsDeadWithItsErrorAndItsAttempts) {
  const Job job = Job("fail").retry(RetryPolicy::fixed(1ms).no_jitter().attempts(2)).watch();
  const JobId id = client_->submit(job).value().id;
  const auto pending = client_->watch(id);
  // Until its second attempt: when that is due depends on when the first one ended.
  while (!pending.ready()) {
    broker_->pass(2ms);
    static_cast<void>(pending.get_for(5ms));
  }
  const auto result = pending.get_for(kLong);
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_EQ(result->state(), JobState::Dead);
  EXPECT_EQ(result->status().reason, DeadReason::Raised);
  EXPECT_EQ(result->status().attempts, 2U);
  ASSERT_NE(result->error(), nullptr);
  EXPECT_EQ(result->error()->type, "builtins.ValueError");
  EXPECT_EQ(result->error()->message, "this one always fails");
}

TEST_P(BrokerContract, AFatalExceptionIsNotTriedAgain) {
  const auto policy = RetryPolicy::fixed(1h).attempts(5).fatal("ValueError");
  const auto result = client_->call(Job("fail").retry(policy), kLong);
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_EQ(result->state(), JobState::Dead);
  EXPECT_EQ(result->status().attempts, 1U);
}

TEST_P(BrokerContract, ARejectedJobIsDeadAtOnce) {
  const auto result = client_->call(Job("reject"), kLong);
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_EQ(result->state(), JobState::Dead);
  EXPECT_EQ(result->status().reason, DeadReason::Rejected);
  EXPECT_EQ(result->status().attempts, 1U);
}

TEST_P(BrokerContract, WhatWasNeverSubmittedIsUnknown) {
  const JobId id = JobId::make();
  EXPECT_EQ(client_->status(id).error().code(), ErrorCode::UnknownJob);
  EXPECT_EQ(client_->result(id).error().code(), ErrorCode::UnknownJob);
  EXPECT_EQ(client_->wait(id, kLong).error().code(), ErrorCode::UnknownJob);
  EXPECT_EQ(client_->cancel(id).error().code(), ErrorCode::UnknownJob);
}

// ---------------------------------------------------------------- cancel

TEST_P(BrokerContract, AWaitingJobIsCancelledAndWhoeverWaitsIsTold) {
  const JobId queued = client_->submit(idle()).value().id;
  const JobId scheduled = client_->submit(Job("echo").delay(1h)).value().id;
  for (const JobId& id : {queued, scheduled}) {
    const auto pending = client_->watch(id);
    EXPECT_EQ(client_->cancel(id, "not needed").value(), JobState::Cancelled);
    EXPECT_EQ(pending.get_for(kLong)->state(), JobState::Cancelled);
    const auto again = client_->cancel(id);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code(), ErrorCode::AlreadyFinal);
    EXPECT_THAT(again.error().message(), ::testing::HasSubstr("Cancelled"));
  }
}

TEST_P(BrokerContract, AFinishedJobIsNotCancelledAndTheErrorSaysHowItEnded) {
  const auto result = client_->call(Job("echo", "x"), kLong);
  ASSERT_TRUE(result);
  const auto cancelled = client_->cancel(result->id());
  ASSERT_FALSE(cancelled);
  EXPECT_EQ(cancelled.error().code(), ErrorCode::AlreadyFinal);
  EXPECT_THAT(cancelled.error().message(), ::testing::HasSubstr("Succeeded"));
}

std::vector<std::string> brokers() { return {endpoint() ? "Jobwired" : "FakeBroker"}; }

INSTANTIATE_TEST_SUITE_P(On, BrokerContract, ::testing::ValuesIn(brokers()),
                         [](const auto& param) { return param.param; });

// ---------------------------------------------------------------- the fake alone

TEST(FakeBrokerTest, UrgentJobsRunFirstAndEqualOnesInOrder) {
  FakeBroker broker;
  Client client = broker.connect().value();
  for (const int priority : {4, 9, 4, 0}) {
    ASSERT_TRUE(client.submit(Job("note").priority(priority)));
  }
  std::vector<int> ran;
  broker.handle("note", [&ran](const FakeJob& job) {
    ran.push_back(job.priority);
    return FakeOutcome::succeed("");
  });
  ASSERT_TRUE(broker.settle(kLong));
  EXPECT_EQ(ran, (std::vector<int>{9, 4, 4, 0}));
}

TEST(FakeBrokerTest, AttemptsFollowTheBackoffOnTheBrokersClock) {
  FakeBroker broker;
  int attempts = 0;
  broker.handle("flaky", [&attempts](const FakeJob& job) {
    attempts = job.attempt;
    return job.attempt < 3 ? FakeOutcome::raise("app.Busy", "later") : FakeOutcome::succeed("done");
  });
  Client client = broker.connect().value();
  const auto pending = client.call_async(Job("flaky").retry(RetryPolicy::exponential(10s, 60s)));
  const auto settled = [&] { return broker.settle(kLong); };
  while (broker.jobs().empty()) std::this_thread::yield();
  ASSERT_TRUE(settled());
  EXPECT_EQ(attempts, 1);
  broker.advance(9999ms);
  ASSERT_TRUE(settled());
  EXPECT_EQ(attempts, 1);
  broker.advance(1ms);
  ASSERT_TRUE(settled());
  EXPECT_EQ(attempts, 2);
  broker.advance(20s);
  EXPECT_EQ(pending.get_for(kLong)->text(), "done");
}

TEST(FakeBrokerTest, ABrokerThatWasAwayHasItsJobsAndItsClientsBack) {
  FakeBroker broker;
  Client client = broker.connect(patient()).value();
  const JobId before = client.submit(Job("note")).value().id;
  broker.go_away();
  const JobId during = client.post(Job("note")).value();
  broker.come_back();
  ASSERT_TRUE(client.flush(kLong));
  EXPECT_TRUE(broker.job(before));
  EXPECT_TRUE(broker.job(during));
  EXPECT_EQ(client.stats().brokers, 2U);
}

TEST(FakeBrokerTest, JobsWithoutAHandlerAreEndedByHand) {
  FakeBroker broker;
  Client client = broker.connect().value();
  const JobId id = client.submit(Job("note").watch()).value().id;
  std::promise<std::string> told;
  const auto pending =
      client.watch(id, [&told](const JobProgress& progress) { told.set_value(progress.message); });
  ASSERT_TRUE(broker.progress(id, 0.5F, "half"));
  EXPECT_EQ(told.get_future().get(), "half");
  EXPECT_EQ(client.status(id)->progress->value, 0.5F);
  ASSERT_TRUE(broker.end(id, FakeOutcome::succeed("by hand")));
  EXPECT_EQ(pending.get_for(kLong)->text(), "by hand");
  EXPECT_FALSE(broker.end(id, FakeOutcome::succeed("twice")));
}

TEST(FakeBrokerTest, RefusalsAreTheClientsErrors) {
  FakeBroker broker;
  Client client = broker.connect().value();
  broker.refuse(1, ErrorCode::Paused);
  EXPECT_EQ(client.submit(Job("note")).error().code(), ErrorCode::Paused);
  EXPECT_TRUE(client.submit(Job("note")));
  EXPECT_EQ(broker.jobs().size(), 1U);
}

TEST(FakeBrokerTest, AClientMayOutliveIt) {
  auto broker = std::make_unique<FakeBroker>();
  Client client = broker->connect(ClientOptions().submit_timeout(100ms)).value();
  broker.reset();
  while (client.connection().state == ConnectionState::Open) std::this_thread::yield();
  EXPECT_EQ(client.submit(Job("note")).error().code(), ErrorCode::Unavailable);
}

}  // namespace
}  // namespace jobwire
