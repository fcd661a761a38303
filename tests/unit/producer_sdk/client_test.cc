// SPDX-License-Identifier: Apache-2.0
#include "jobwire/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "scripted_broker.h"

namespace jobwire {
namespace {

using namespace std::chrono_literals;
using testing_detail::eventually;
using testing_detail::make_job_error;
using testing_detail::ScriptedBroker;

// Long enough that no test ends by it.
constexpr auto kLong = 60s;

ClientOptions quick() {
  return ClientOptions().resend_after(150ms).submit_timeout(kLong).connect_timeout(kLong);
}

Client connect(const ScriptedBroker& broker, ClientOptions options = quick()) {
  return Client::connect(broker.endpoint(), std::move(options)).value();
}

// ---------------------------------------------------------------- connecting

TEST(ClientTest, ConnectGreetsWithNameAndRole) {
  ScriptedBroker broker;
  Client client = connect(broker, quick().name("thumbs/1.4"));
  EXPECT_TRUE(client.stats().connected);
  EXPECT_EQ(client.stats().sessions, 1U);
  EXPECT_EQ(broker.client_name(), "thumbs/1.4 jobwire-cpp/0.1");
}

TEST(ClientTest, ConnectToNobodyIsUnavailable) {
  const auto client = Client::connect("tcp://127.0.0.1:1", ClientOptions().connect_timeout(50ms));
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code(), ErrorCode::Unavailable);
  EXPECT_TRUE(client.error().retryable());
}

TEST(ClientTest, ConnectToNonsenseIsInvalidArgument) {
  for (const char* endpoint : {"", "nonsense", "carrier-pigeon://loft", "tcp://127.0.0.1:port"}) {
    const auto client = Client::connect(endpoint);
    ASSERT_FALSE(client) << endpoint;
    EXPECT_EQ(client.error().code(), ErrorCode::InvalidArgument) << endpoint;
  }
}

TEST(ClientTest, ARefusedHelloIsAnErrorThatSaysWhy) {
  ScriptedBroker broker;
  broker.refuse_hello(wire::Code::NotPermitted);
  const auto denied = Client::connect(broker.endpoint(), quick());
  ASSERT_FALSE(denied);
  EXPECT_EQ(denied.error().code(), ErrorCode::NotPermitted);
  broker.refuse_hello(wire::Code::UnsupportedVersion);
  const auto old = Client::connect(broker.endpoint(), quick());
  ASSERT_FALSE(old);
  EXPECT_EQ(old.error().code(), ErrorCode::Incompatible);
}

TEST(ClientTest, ABrokerThatAnswersNothingEndsConnectAtItsTimeout) {
  ScriptedBroker broker;
  broker.answer_nothing();
  const auto client = Client::connect(broker.endpoint(), quick().connect_timeout(50ms));
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code(), ErrorCode::Unavailable);
}

TEST(ClientTest, ConnectLaterFindsABrokerThatComesLater) {
  ScriptedBroker broker;
  broker.go_away();
  Client client = connect(broker, quick().connect_later());
  const JobId id = client.post(Job("resize")).value();
  EXPECT_FALSE(client.stats().connected);
  broker.come_back();
  ASSERT_TRUE(client.flush(kLong));
  EXPECT_TRUE(broker.job(id).has_value());
}

// ---------------------------------------------------------------- submitting

TEST(ClientTest, SubmitReturnsWhenTheBrokerHasTheJob) {
  ScriptedBroker broker;
  Client client = connect(broker);
  const std::vector<std::uint8_t> payload = {1, 2, 3, 0, 255};
  const auto receipt = client.submit(Job("resize", payload)
                                         .queue("images")
                                         .priority(9)
                                         .timeout(30s)
                                         .delay(5s)
                                         .header("trace", "1-2-3")
                                         .retry(RetryPolicy::exponential(1s, 10s).fatal("KeyError"))
                                         .dedup_key("photo-7", 1h));
  ASSERT_TRUE(receipt);
  EXPECT_FALSE(receipt->duplicate);
  EXPECT_EQ(receipt->state, JobState::Queued);
  EXPECT_EQ(receipt->durability, Durability::Fsynced);
  const auto job = broker.job(receipt->id);
  ASSERT_TRUE(job);
  EXPECT_EQ(job->queue, "images");
  EXPECT_EQ(job->type, "resize");
  EXPECT_EQ(job->payload, std::string("\1\2\3\0\xFF", 5));
  EXPECT_EQ(job->priority, 9);
  EXPECT_EQ(job->timeout_ms, 30'000U);
  EXPECT_EQ(job->delay_ms, 5'000U);
}

TEST(ClientTest, TheSameIdAgainIsADuplicateAndNoSecondJob) {
  ScriptedBroker broker;
  Client client = connect(broker);
  Job job("resize");
  job.id(JobId::make());
  EXPECT_FALSE(client.submit(job).value().duplicate);
  const Receipt again = client.submit(job).value();
  EXPECT_TRUE(again.duplicate);
  EXPECT_EQ(again.id, *job.id());
  EXPECT_EQ(broker.jobs().size(), 1U);
}

TEST(ClientTest, AJobWithoutAnIdIsANewJobEachTime) {
  ScriptedBroker broker;
  Client client = connect(broker);
  const Job job("resize");
  EXPECT_NE(client.submit(job).value().id, client.submit(job).value().id);
  EXPECT_EQ(broker.jobs().size(), 2U);
}

TEST(ClientTest, AnInvalidJobIsRefusedHereAndNothingIsSent) {
  ScriptedBroker broker;
  Client client = connect(broker);
  EXPECT_EQ(client.submit(Job("no spaces")).error().code(), ErrorCode::InvalidArgument);
  EXPECT_EQ(client.post(Job("resize").priority(10)).error().code(), ErrorCode::InvalidArgument);
  const auto error = client.submit_async(Job("resize").timeout(0ms)).get_for(kLong).error();
  EXPECT_THAT(error.message(), testing::HasSubstr("timeout"));
  EXPECT_EQ(broker.submits(), 0);
  EXPECT_EQ(client.stats().submitted, 0U);
}

TEST(ClientTest, ARefusalNamesTheFieldAndTheReason) {
  ScriptedBroker broker;
  Client client = connect(broker);
  broker.refuse_jobs(1, wire::Code::InvalidArgument, 0, "expires_at_ms", "in the past");
  const auto receipt = client.submit(Job("resize"));
  ASSERT_FALSE(receipt);
  EXPECT_EQ(receipt.error().code(), ErrorCode::InvalidArgument);
  EXPECT_EQ(receipt.error().message(), "expires_at_ms: in the past");
  EXPECT_FALSE(receipt.error().retryable());
  EXPECT_EQ(client.stats().refused, 1U);
  EXPECT_EQ(client.stats().pending, 0U);
}

TEST(ClientTest, ABatchIsReceiptedInOrderWithOneRefusalInItsPlace) {
  ScriptedBroker broker;
  Client client = connect(broker);
  std::vector<Job> jobs;
  for (int i = 0; i < 5000; ++i) jobs.push_back(Job("resize", std::to_string(i)).id(JobId::make()));
  jobs[77].priority(-1);
  const auto receipts = client.submit_batch(jobs);
  ASSERT_EQ(receipts.size(), jobs.size());
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (i == 77) {
      EXPECT_EQ(receipts[i].error().code(), ErrorCode::InvalidArgument);
      continue;
    }
    ASSERT_TRUE(receipts[i]) << i;
    EXPECT_EQ(receipts[i]->id, *jobs[i].id());
    EXPECT_EQ(broker.job(receipts[i]->id)->payload, std::to_string(i));
  }
  EXPECT_EQ(broker.jobs().size(), jobs.size() - 1);
  EXPECT_LE(broker.largest_submit(), 1024U);
  EXPECT_LT(broker.submits(), 1000);
}

TEST(ClientTest, ABatchLargerThanTheBacklogIsTakenInParts) {
  ScriptedBroker broker;
  Client client = connect(broker, quick().backlog(100, 1U << 20));
  const std::vector<Job> jobs(2000, Job("resize"));
  for (const auto& receipt : client.submit_batch(jobs)) EXPECT_TRUE(receipt);
  EXPECT_EQ(broker.jobs().size(), jobs.size());
}

TEST(ClientTest, AnEmptyBatchHasNoReceipts) {
  ScriptedBroker broker;
  Client client = connect(broker);
  EXPECT_TRUE(client.submit_batch({}).empty());
}

TEST(ClientTest, SubmitAsyncSettlesItsPendingAndCallsThen) {
  ScriptedBroker broker;
  Client client = connect(broker);
  broker.hold_receipts(true);
  const auto pending = client.submit_async(Job("resize"));
  std::atomic<int> calls{0};
  pending.then([&calls](const Result<Receipt>& receipt) { calls += receipt ? 1 : 100; });
  EXPECT_FALSE(pending.ready());
  EXPECT_EQ(pending.get_for(1ms).error().code(), ErrorCode::Timeout);
  broker.hold_receipts(false);
  ASSERT_TRUE(pending.get_for(kLong));
  ASSERT_TRUE(eventually([&calls] { return calls == 1; }));
  pending.then([&calls](const Result<Receipt>&) { calls += 10; });
  EXPECT_EQ(calls, 11);
}

TEST(ClientTest, ABlockingCallOnTheClientsOwnThreadIsRefused) {
  ScriptedBroker broker;
  Client client = connect(broker);
  broker.hold_receipts(true);
  const auto pending = client.submit_async(Job("resize"));
  std::atomic<bool> refused{false};
  pending.then([&](const Result<Receipt>& receipt) {
    refused = client.submit(Job("resize")).error().code() == ErrorCode::InvalidArgument &&
              client.wait(receipt->id, kLong).error().code() == ErrorCode::InvalidArgument;
  });
  broker.hold_receipts(false);
  EXPECT_TRUE(eventually([&refused] { return refused.load(); }));
}

TEST(ClientTest, LargePayloadsTravelUnharmed) {
  ScriptedBroker broker;
  Client client = connect(broker);
  const std::string large(3U << 20, 'x');
  const std::vector<Job> jobs = {Job("a", "small"), Job("b", large), Job("c", "small"),
                                 Job("d", large), Job("e", std::string(40'000, 'y'))};
  const auto receipts = client.submit_batch(jobs);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    ASSERT_TRUE(receipts[i]);
    const auto payload = jobs[i].payload();
    EXPECT_EQ(broker.job(receipts[i]->id)->payload,
              std::string(reinterpret_cast<const char*>(payload.data()), payload.size()));
  }
}

TEST(ClientTest, ABorrowedPayloadIsReleasedOnceItsJobIsReceipted) {
  ScriptedBroker broker;
  Client client = connect(broker);
  std::atomic<int> released{0};
  {
    const std::shared_ptr<const std::byte[]> data(new std::byte[100'000]{},
                                                  [&released](const std::byte* bytes) {
                                                    delete[] bytes;
                                                    ++released;
                                                  });
    ASSERT_TRUE(client.submit(Job("resize").payload(data, 100'000, Encoding::Bytes)));
  }
  EXPECT_TRUE(eventually([&released] { return released == 1; }));
}

TEST(ClientTest, ABufferWithAReleaseFunctionIsReleasedOnceItsJobIsReceipted) {
  ScriptedBroker broker;
  Client client = connect(broker);
  const std::vector<std::byte> buffer(100'000, std::byte{7});
  std::atomic<int> released{0};
  JobId id;
  {
    Job job("resize");
    job.payload(
        buffer, [&released] { ++released; }, Encoding::Bytes);
    id = client.submit(job).value().id;
    EXPECT_EQ(released, 0);
  }
  EXPECT_TRUE(eventually([&released] { return released == 1; }));
  EXPECT_EQ(broker.job(id)->payload, std::string(100'000, '\7'));
}

TEST(ClientTest, TooLargeAPayloadIsRefusedHere) {
  ScriptedBroker broker;
  Client client = connect(broker);
  const std::string huge(33'554'433, 'x');
  EXPECT_EQ(client.submit(Job("resize", huge)).error().code(), ErrorCode::TooLarge);
}

TEST(ClientTest, NoMoreJobsAreUnreceiptedThanTheWindowAllows) {
  ScriptedBroker broker;
  broker.limits(10, 4);
  Client client = connect(broker);
  broker.hold_receipts(true);
  std::vector<Pending<Receipt>> pending;
  for (int i = 0; i < 50; ++i) pending.push_back(client.submit_async(Job("resize")));
  ASSERT_TRUE(eventually([&broker] { return broker.most_unreceipted() == 10; }));
  broker.hold_receipts(false);
  for (const auto& receipt : pending) EXPECT_TRUE(receipt.get_for(kLong));
  EXPECT_EQ(broker.most_unreceipted(), 10U);
  EXPECT_LE(broker.largest_submit(), 4U);
}

TEST(ClientTest, AJobLargerThanTheWindowStillGoesAlone) {
  ScriptedBroker broker;
  broker.limits(10, 4, 1000);
  Client client = connect(broker);
  const std::vector<Job> jobs(5, Job("resize", std::string(5000, 'x')));
  for (const auto& receipt : client.submit_batch(jobs)) EXPECT_TRUE(receipt);
  EXPECT_EQ(broker.largest_submit(), 1U);
}

// ---------------------------------------------------------------- when things go wrong

TEST(ClientTest, LostReceiptIsResentWithTheSameId) {
  ScriptedBroker broker;
  Client client = connect(broker);
  broker.lose_receipts(1);
  const auto receipt = client.submit(Job("resize"));
  ASSERT_TRUE(receipt);
  EXPECT_TRUE(receipt->duplicate);
  EXPECT_EQ(broker.jobs().size(), 1U);
  EXPECT_GE(broker.job(receipt->id)->submits, 2);
  EXPECT_GE(client.stats().resent, 1U);
}

TEST(ClientTest, ARefusalThatPassesIsTriedAgainUntilItDoes) {
  ScriptedBroker broker;
  Client client = connect(broker);
  broker.refuse_jobs(3, wire::Code::QueueFull, 10);
  const auto receipt = client.submit(Job("resize"));
  ASSERT_TRUE(receipt);
  EXPECT_FALSE(receipt->duplicate);
  EXPECT_EQ(client.stats().retried, 3U);
  EXPECT_EQ(broker.jobs().size(), 1U);
}

TEST(ClientTest, ARefusedMessageIsSentAgain) {
  ScriptedBroker broker;
  Client client = connect(broker);
  broker.refuse_messages(2, wire::Code::StoreUnavailable, 10);
  const std::vector<Job> jobs(100, Job("resize"));
  for (const auto& receipt : client.submit_batch(jobs)) EXPECT_TRUE(receipt);
  EXPECT_EQ(broker.jobs().size(), 100U);
}

TEST(ClientTest, ARefusalThatDoesNotPassInTimeIsTheError) {
  ScriptedBroker broker;
  Client client = connect(broker, quick().submit_timeout(200ms));
  broker.refuse_jobs(1'000'000, wire::Code::QueueFull, 20, {}, "100000 jobs");
  const auto receipt = client.submit(Job("resize"));
  ASSERT_FALSE(receipt);
  EXPECT_EQ(receipt.error().code(), ErrorCode::Full);
  EXPECT_EQ(receipt.error().message(), "100000 jobs");
  EXPECT_EQ(receipt.error().retry_after(), 20ms);
  EXPECT_EQ(client.stats().pending, 0U);
}

TEST(ClientTest, APausedQueueIsTheSubmittersToDecideAboutAndThePostedJobWaits) {
  ScriptedBroker broker;
  Client client = connect(broker);
  broker.refuse_jobs(1, wire::Code::QueuePaused, 10);
  EXPECT_EQ(client.submit(Job("resize")).error().code(), ErrorCode::Paused);
  broker.refuse_jobs(1, wire::Code::QueuePaused, 10);
  const JobId id = client.post(Job("resize")).value();
  ASSERT_TRUE(client.flush(kLong));
  EXPECT_TRUE(broker.job(id).has_value());
}

TEST(ClientTest, AForgottenSessionIsGreetedAgainAndNothingIsLost) {
  ScriptedBroker broker;
  Client client = connect(broker);
  ASSERT_TRUE(client.submit(Job("resize")));
  broker.forget_sessions();
  const std::vector<Job> jobs(3000, Job("resize"));
  for (const auto& receipt : client.submit_batch(jobs)) EXPECT_TRUE(receipt);
  EXPECT_EQ(broker.jobs().size(), 3001U);
  EXPECT_EQ(broker.hellos(), 2);
  EXPECT_EQ(client.stats().brokers, 1U);
}

TEST(ClientTest, ABrokerThatRestartsGetsEverythingUnreceiptedAgainWithTheSameIds) {
  ScriptedBroker broker;
  Client client = connect(broker);
  broker.hold_receipts(true);
  std::set<JobId> posted;
  for (int i = 0; i < 500; ++i) posted.insert(client.post(Job("resize")).value());
  ASSERT_TRUE(eventually([&] { return broker.jobs().size() == posted.size(); }));
  broker.go_away();
  ASSERT_TRUE(eventually([&] { return !client.stats().connected; }));
  broker.hold_receipts(false);
  broker.come_back();
  ASSERT_TRUE(client.flush(kLong));
  std::set<JobId> kept;
  for (const auto& [id, job] : broker.jobs()) {
    kept.insert(id);
    EXPECT_EQ(job.submits, 2);
  }
  EXPECT_EQ(kept, posted);
  const ClientStats stats = client.stats();
  EXPECT_EQ(stats.receipted, 500U);
  EXPECT_EQ(stats.resent, 500U);
  EXPECT_GE(stats.sessions, 2U);
  EXPECT_EQ(stats.brokers, 2U);
  EXPECT_EQ(stats.pending, 0U);
}

TEST(ClientTest, SubmitWhileTheBrokerIsAwayEndsUnavailableAtItsTimeout) {
  ScriptedBroker broker;
  Client client = connect(broker, quick().submit_timeout(100ms));
  broker.go_away();
  ASSERT_TRUE(eventually([&client] { return !client.stats().connected; }));
  const auto receipt = client.submit(Job("resize"));
  ASSERT_FALSE(receipt);
  EXPECT_EQ(receipt.error().code(), ErrorCode::Unavailable);
  EXPECT_EQ(client.stats().pending, 0U);
  EXPECT_EQ(client.stats().expired, 1U);
}

TEST(ClientTest, ABrokerThatStopsAnsweringEndsEveryCallAtItsTimeout) {
  ScriptedBroker broker;
  Client client = connect(broker, quick().submit_timeout(100ms));
  broker.answer_nothing();
  EXPECT_EQ(client.submit(Job("resize")).error().code(), ErrorCode::Timeout);
  const std::vector<Job> jobs(10, Job("resize"));
  for (const auto& receipt : client.submit_batch(jobs)) {
    EXPECT_EQ(receipt.error().code(), ErrorCode::Timeout);
  }
  EXPECT_EQ(client.submit_async(Job("resize")).get_for(kLong).error().code(), ErrorCode::Timeout);
  EXPECT_EQ(client.wait(JobId::make(), 20ms).error().code(), ErrorCode::Timeout);
  EXPECT_EQ(client.result(JobId::make()).error().code(), ErrorCode::Timeout);
  EXPECT_EQ(client.status(JobId::make()).error().code(), ErrorCode::Timeout);
  EXPECT_EQ(client.cancel(JobId::make()).error().code(), ErrorCode::Timeout);
  EXPECT_EQ(client.call(Job("resize"), 20ms).error().code(), ErrorCode::Timeout);
  ASSERT_TRUE(client.post(Job("resize")));
  EXPECT_EQ(client.flush(20ms).error().code(), ErrorCode::Timeout);
  EXPECT_EQ(client.close(20ms).unreceipted.size(), 1U);
}

TEST(ClientTest, GarbageFromTheBrokerIsCountedAndDropped) {
  ScriptedBroker broker;
  Client client = connect(broker);
  std::string valid_start(64, '\0');
  valid_start.replace(4, 4, "JW01");
  broker.send_raw({""});
  broker.send_raw({"garbage"});
  broker.send_raw({valid_start});
  broker.send_raw({std::string(1000, '\xFF'), "blob"});
  broker.send_raw({"too", "many", "frames", "by", "far"});
  broker.send_raw({std::string((1U << 20) + 1, 'x')});
  ASSERT_TRUE(eventually([&client] { return client.stats().malformed == 6; }));
  EXPECT_TRUE(client.submit(Job("resize")));
  EXPECT_EQ(client.stats().sessions, 1U);
}

TEST(ClientTest, MutatedMessagesNeverHarmTheClient) {
  ScriptedBroker broker;
  Client client = connect(broker);
  flatbuffers::FlatBufferBuilder builder;
  const wire::ResultView view(wire::Id{}, 0, 4, 0, 0, 0, 0, 1, wire::Known::Final,
                              wire::State::Succeeded, wire::DeadReason::Unspecified,
                              wire::Encoding::Bytes, true, true);
  const auto views = builder.CreateVectorOfStructs(&view, 1);
  wire::FinishMessageBuffer(builder,
                            wire::CreateMessage(builder, wire::Body::ResultPush,
                                                wire::CreateResultPush(builder, 0, views).Union()));
  const std::string valid(reinterpret_cast<char*>(builder.GetBufferPointer()), builder.GetSize());
  for (std::size_t at = 0; at < valid.size(); ++at) {
    std::string mutated = valid;
    mutated[at] = static_cast<char>(mutated[at] ^ 0x55);
    broker.send_raw({mutated, "blob"});
    broker.send_raw({valid.substr(0, at), "blob"});
  }
  broker.forget_sessions();  // a mutation may have been a refusal; start clean
  EXPECT_TRUE(client.submit(Job("resize")));
}

TEST(ClientTest, AResultThatPointsOutsideTheBlobIsDropped) {
  ScriptedBroker broker;
  Client client = connect(broker);
  const JobId id = client.submit(Job("resize").watch()).value().id;
  flatbuffers::FlatBufferBuilder builder;
  const wire::ResultView view(
      wire::Id(flatbuffers::span<const std::uint8_t, 16>(id.bytes().data(), 16)), 0xFFFFFFF0U, 100,
      0, 0, 0, 0, 1, wire::Known::Final, wire::State::Succeeded, wire::DeadReason::Unspecified,
      wire::Encoding::Bytes, true, false);
  const auto views = builder.CreateVectorOfStructs(&view, 1);
  wire::FinishMessageBuffer(builder,
                            wire::CreateMessage(builder, wire::Body::ResultPush,
                                                wire::CreateResultPush(builder, 0, views).Union()));
  broker.send_raw(
      {{reinterpret_cast<char*>(builder.GetBufferPointer()), builder.GetSize()}, "blob"});
  ASSERT_TRUE(eventually([&client] { return client.stats().malformed == 1; }));
  broker.finish(id, "right");
  EXPECT_EQ(client.wait(id, kLong).value().text(), "right");
}

TEST(ClientTest, AnIdleClientSendsHeartbeats) {
  ScriptedBroker broker;
  broker.session_timeout_ms(60);
  Client client = connect(broker);
  EXPECT_TRUE(eventually([&broker] { return broker.heartbeats() >= 3; }));
  EXPECT_EQ(broker.hellos(), 1);
}

// ---------------------------------------------------------------- results

TEST(ClientTest, WaitIsAnsweredByThePushOfAWatchedJobWithoutAQuestion) {
  ScriptedBroker broker;
  broker.finish_everything();
  Client client = connect(broker, quick().resend_after(kLong));
  const JobId id = client.submit(Job("echo", "hello").watch()).value().id;
  const auto result = client.wait(id, kLong);
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->succeeded());
  EXPECT_EQ(result->text(), "hello");
  EXPECT_EQ(result->id(), id);
  EXPECT_EQ(result->error(), nullptr);
  EXPECT_EQ(result->status().attempts, 1U);
  EXPECT_EQ(result->status().run_time, 9ms);
  EXPECT_EQ(broker.result_requests(), 0);
}

TEST(ClientTest, WaitForAJobOfAnotherProcessIsPushedWhenItEnds) {
  ScriptedBroker broker;
  Client client = connect(broker);
  const JobId id = JobId::make();
  broker.add_job(id, {});
  std::thread other([&] {
    EXPECT_TRUE(eventually([&broker] { return broker.result_requests() == 1; }));
    broker.finish(id, "done");
  });
  const auto result = client.wait(id, kLong);
  other.join();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->text(), "done");
  EXPECT_EQ(broker.result_requests(), 1);
}

TEST(ClientTest, WaitAfterTheEndIsAnsweredAtOnceAndAgain) {
  ScriptedBroker broker;
  Client client = connect(broker);
  const JobId id = JobId::make();
  broker.finish(id, "done");
  EXPECT_EQ(client.wait(id, kLong).value().text(), "done");
  EXPECT_EQ(client.wait(id, kLong).value().text(), "done");
  EXPECT_EQ(client.result(id).value().text(), "done");
}

TEST(ClientTest, UnknownAndGoneAreTold) {
  ScriptedBroker broker;
  Client client = connect(broker);
  const JobId gone = JobId::make();
  broker.make_gone(gone);
  EXPECT_EQ(client.wait(JobId::make(), kLong).error().code(), ErrorCode::UnknownJob);
  EXPECT_EQ(client.wait(gone, kLong).error().code(), ErrorCode::GoneJob);
  EXPECT_EQ(client.result(JobId::make()).error().code(), ErrorCode::UnknownJob);
  EXPECT_EQ(client.status(gone).error().code(), ErrorCode::GoneJob);
  EXPECT_EQ(client.cancel(JobId::make()).error().code(), ErrorCode::UnknownJob);
  EXPECT_EQ(client.wait(JobId(), kLong).error().code(), ErrorCode::InvalidArgument);
}

TEST(ClientTest, ResultOfAJobThatRunsIsNotFinishedAndItsStatusIsTold) {
  ScriptedBroker broker;
  Client client = connect(broker);
  const JobId id = client.submit(Job("resize")).value().id;
  EXPECT_EQ(client.result(id).error().code(), ErrorCode::NotFinished);
  EXPECT_EQ(client.status(id).value().state, JobState::Queued);
  EXPECT_EQ(client.cancel(id, "not wanted").value(), JobState::Cancelled);
  EXPECT_EQ(client.cancel(id).error().code(), ErrorCode::AlreadyFinal);
}

TEST(ClientTest, ProgressIsToldToEverybodyWhoWaitsAndToWhoeverAsks) {
  ScriptedBroker broker;
  Client client = connect(broker);
  const JobId id = client.submit(Job("resize").watch()).value().id;
  std::mutex mutex;
  std::vector<std::string> told;
  const auto listen = [&](std::string who) {
    return [&, who](const JobProgress& progress) {
      const std::lock_guard lock(mutex);
      told.push_back(who + ": " + progress.message);
    };
  };
  const auto pending = client.watch(id, listen("watch"));
  EXPECT_FALSE(client.status(id)->progress);
  std::thread waiter([&] { EXPECT_TRUE(client.wait(id, kLong, listen("wait"))); });
  EXPECT_TRUE(eventually([&] {
    broker.progress(id, 0.5F, "half");
    const std::lock_guard lock(mutex);
    return std::set<std::string>(told.begin(), told.end()).size() == 2;
  }));
  const JobStatus status = client.status(id).value();
  EXPECT_EQ(status.state, JobState::Running);
  ASSERT_TRUE(status.progress);
  EXPECT_EQ(status.progress->value, 0.5F);
  EXPECT_EQ(status.progress->message, "half");
  broker.finish(id, "done");
  waiter.join();
  EXPECT_TRUE(pending.get_for(kLong));
  EXPECT_FALSE(client.status(id)->progress);
  const std::lock_guard lock(mutex);
  EXPECT_EQ(std::set<std::string>(told.begin(), told.end()),
            (std::set<std::string>{"wait: half", "watch: half"}));
}

TEST(ClientTest, AskingAboutARunningJobWithoutProgressIsAnsweredToo) {
  ScriptedBroker broker;
  Client client = connect(broker);
  const JobId id = JobId::make();
  ScriptedBroker::KeptJob job;
  job.state = wire::State::Running;
  broker.add_job(id, job);
  const auto status = client.status(id);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->state, JobState::Running);
  EXPECT_FALSE(status->progress);
}

TEST(ClientTest, AFailedJobCarriesThePythonError) {
  ScriptedBroker broker;
  Client client = connect(broker);
  const JobId id = client.submit(Job("resize").watch()).value().id;
  broker.bury(id, make_job_error("builtins.ValueError", "bad image"));
  const auto result = client.wait(id, kLong);
  ASSERT_TRUE(result);
  EXPECT_FALSE(result->succeeded());
  EXPECT_EQ(result->state(), JobState::Dead);
  EXPECT_EQ(result->status().reason, DeadReason::Raised);
  EXPECT_TRUE(result->bytes().empty());
  const JobError* error = result->error();
  ASSERT_NE(error, nullptr);
  EXPECT_EQ(error->type, "builtins.ValueError");
  EXPECT_EQ(error->message, "bad image");
  ASSERT_EQ(error->frames.size(), 2U);
  EXPECT_EQ(error->frames[0].file, "worker.py");
  EXPECT_EQ(error->frames[0].line, 12U);
  EXPECT_EQ(error->frames[0].function, "resize");
  EXPECT_EQ(error->frames[1].source, "");
  ASSERT_EQ(error->chain.size(), 1U);
  EXPECT_EQ(error->chain[0].relation, ChainedJobError::Relation::Cause);
  EXPECT_THAT(error->notes, testing::ElementsAre("file 7 of 9"));
  EXPECT_TRUE(error->retryable);
  EXPECT_FALSE(error->truncated);
  EXPECT_EQ(error->to_string(),
            "OSError: truncated file\n"
            "\nThe above exception was the direct cause of the following exception:\n\n"
            "Traceback (most recent call last):\n"
            "  File \"worker.py\", line 12, in resize\n    image = load(data)\n"
            "  File \"images.py\", line 40, in load\n"
            "ValueError: bad image\nfile 7 of 9\n");
}

TEST(ClientTest, AnUnreadableJobErrorIsAnErrorThatSaysSo) {
  ScriptedBroker broker;
  Client client = connect(broker);
  const JobId id = client.submit(Job("resize").watch()).value().id;
  broker.bury(id, "this is no JobError");
  const auto result = client.wait(id, kLong);
  ASSERT_TRUE(result);
  ASSERT_NE(result->error(), nullptr);
  EXPECT_EQ(result->error()->type, "jobwire.UnreadableError");
}

TEST(ClientTest, CallSubmitsAndReturnsTheResult) {
  ScriptedBroker broker;
  broker.finish_everything();
  Client client = connect(broker);
  EXPECT_EQ(client.call(Job("echo", "hello"), kLong).value().text(), "hello");
  broker.refuse_jobs(1, wire::Code::InvalidName);
  EXPECT_EQ(client.call(Job("echo"), kLong).error().code(), ErrorCode::InvalidArgument);
}

TEST(ClientTest, ManyResultsAreDeliveredOnceEachInAnyOrder) {
  ScriptedBroker broker;
  broker.finish_everything();
  Client client = connect(broker, quick().resend_after(kLong));
  std::vector<Job> jobs;
  for (int i = 0; i < 3000; ++i) jobs.push_back(Job("echo", std::to_string(i)).watch());
  std::vector<JobId> ids;
  for (const auto& receipt : client.submit_batch(jobs)) ids.push_back(receipt.value().id);
  std::vector<int> calls(ids.size());
  client.wait_each(ids, kLong, [&](std::size_t index, Result<JobResult> result) {
    ++calls[index];
    ASSERT_TRUE(result);
    EXPECT_EQ(result->text(), std::to_string(index));
  });
  EXPECT_THAT(calls, testing::Each(1));
  EXPECT_EQ(broker.result_requests(), 0);
  EXPECT_EQ(client.stats().watched, 0U);
}

TEST(ClientTest, WaitAllSaysWhichResultsDidNotCome) {
  ScriptedBroker broker;
  Client client = connect(broker);
  const JobId never = client.submit(Job("resize")).value().id;
  const JobId done = JobId::make();
  broker.finish(done, "done");
  const std::vector<JobId> ids = {never, done, done, JobId::make()};
  const auto results = client.wait_all(ids, 200ms);
  ASSERT_EQ(results.size(), 4U);
  EXPECT_EQ(results[0].error().code(), ErrorCode::Timeout);
  EXPECT_EQ(results[1].value().text(), "done");
  EXPECT_EQ(results[2].value().text(), "done");
  EXPECT_EQ(results[3].error().code(), ErrorCode::UnknownJob);
  EXPECT_EQ(client.stats().watched, 0U);
}

TEST(ClientTest, AwaitedResultsAreAskedForAgainAfterARestart) {
  ScriptedBroker broker;
  Client client = connect(broker);
  const JobId id = client.submit(Job("resize").watch()).value().id;
  const auto pending = client.watch(id);
  broker.go_away();
  ASSERT_TRUE(eventually([&client] { return !client.stats().connected; }));
  broker.come_back();
  ASSERT_TRUE(eventually([&broker] { return broker.result_requests() == 1; }));
  broker.finish(id, "done");
  EXPECT_EQ(pending.get_for(kLong).value().text(), "done");
}

TEST(ClientTest, AResultThatWasThereBeforeTheResendIsAskedFor) {
  ScriptedBroker broker;
  Client client = connect(broker);
  broker.lose_receipts(1);
  const auto pending = client.submit_async(Job("resize").watch());
  ASSERT_TRUE(eventually([&broker] { return broker.jobs().size() == 1; }));
  broker.forget_sessions();  // the push goes nowhere
  broker.finish(broker.jobs().begin()->first, "done");
  const auto receipt = pending.get_for(kLong);
  ASSERT_TRUE(receipt);
  EXPECT_EQ(client.wait(receipt->id, kLong).value().text(), "done");
}

TEST(ClientTest, WaitBeforeThePostedJobHasArrivedIsPatient) {
  ScriptedBroker broker;
  Client client = connect(broker);
  broker.refuse_jobs(3, wire::Code::QueueFull, 50);
  const JobId id = client.post(Job("resize")).value();
  const auto pending = client.watch(id);
  ASSERT_TRUE(client.flush(kLong));
  broker.finish(id, "done");
  EXPECT_EQ(pending.get_for(kLong).value().text(), "done");
}

TEST(ClientTest, ADeduplicatedJobsResultIsItsLeaders) {
  ScriptedBroker broker;
  Client client = connect(broker);
  const JobId leader = JobId::make();
  broker.add_job(leader, {});
  broker.make_duplicate("resize", leader);
  const JobId own = JobId::make();
  const auto receipt = client.submit(Job("resize").id(own).watch());
  ASSERT_TRUE(receipt);
  EXPECT_EQ(receipt->id, leader);
  EXPECT_TRUE(receipt->duplicate);
  const auto pending = client.watch(own);
  broker.finish(leader, "done");
  EXPECT_EQ(pending.get_for(kLong).value().id(), leader);
  EXPECT_EQ(client.wait(receipt->id, kLong).value().text(), "done");
}

TEST(ClientTest, ARefusedJobsWaiterIsTold) {
  ScriptedBroker broker;
  Client client = connect(broker);
  broker.hold_receipts(true);
  broker.refuse_jobs(1, wire::Code::DuplicateMismatch);
  const JobId id = JobId::make();
  ASSERT_TRUE(client.post(Job("resize").id(id).watch()));
  const auto pending = client.watch(id);
  broker.hold_receipts(false);
  EXPECT_EQ(pending.get_for(kLong).error().code(), ErrorCode::Conflict);
}

TEST(ClientTest, ResultsThatNobodyTakesGiveWayAndCanStillBeAskedFor) {
  ScriptedBroker broker;
  broker.finish_everything();
  Client client = connect(broker, quick().kept_results(10, 1U << 20));
  const std::vector<Job> jobs(100, Job("echo", "hello").watch());
  const auto receipts = client.submit_batch(jobs);
  ASSERT_TRUE(eventually([&client] { return client.stats().results == 100; }));
  EXPECT_EQ(client.stats().watched, 10U);
  for (const auto& receipt : receipts) {
    EXPECT_EQ(client.wait(receipt->id, kLong).value().text(), "hello");
  }
}

TEST(ClientTest, NoMoreResultsAreAwaitedThanAllowed) {
  ScriptedBroker broker;
  Client client = connect(broker, quick().max_watched(2));
  ASSERT_TRUE(client.submit(Job("resize").watch()));
  ASSERT_TRUE(client.submit(Job("resize").watch()));
  EXPECT_EQ(client.submit(Job("resize").watch()).error().code(), ErrorCode::Full);
  EXPECT_EQ(client.watch(JobId::make()).get_for(kLong).error().code(), ErrorCode::Full);
  EXPECT_TRUE(client.submit(Job("resize")));
}

// ---------------------------------------------------------------- posting

TEST(ClientTest, PostReturnsAtOnceAndFlushWaitsForTheReceipts) {
  ScriptedBroker broker;
  Client client = connect(broker);
  broker.hold_receipts(true);
  const JobId id = client.post(Job("resize", "payload")).value();
  EXPECT_EQ(client.flush(1ms).error().code(), ErrorCode::Timeout);
  broker.hold_receipts(false);
  ASSERT_TRUE(client.flush(kLong));
  EXPECT_EQ(broker.job(id)->payload, "payload");
  EXPECT_EQ(client.stats().receipted, 1U);
}

TEST(ClientTest, FlushDoesNotWaitForJobsThatComeAfterIt) {
  ScriptedBroker broker;
  Client client = connect(broker);
  std::atomic<bool> stop{false};
  std::thread poster([&] {
    while (!stop) ASSERT_TRUE(client.post(Job("resize")));
  });
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(client.flush(kLong));
  stop = true;
  poster.join();
}

TEST(ClientTest, AFullBacklogFailsPostWhenAskedTo) {
  ScriptedBroker broker;
  Client client = connect(broker, quick().backlog(3, 1U << 20).overflow(OverflowPolicy::Fail));
  broker.hold_receipts(true);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(client.post(Job("resize")));
  EXPECT_EQ(client.post(Job("resize")).error().code(), ErrorCode::Full);
  EXPECT_EQ(client.submit_async(Job("resize")).get_for(kLong).error().code(), ErrorCode::Full);
  EXPECT_EQ(client.stats().overflows, 2U);
  broker.hold_receipts(false);
  ASSERT_TRUE(client.flush(kLong));
  EXPECT_TRUE(client.post(Job("resize")));
}

TEST(ClientTest, AFullBacklogFailsByBytesToo) {
  ScriptedBroker broker;
  Client client = connect(broker, quick().backlog(1000, 10'000).overflow(OverflowPolicy::Fail));
  broker.hold_receipts(true);
  ASSERT_TRUE(client.post(Job("resize", std::string(9'000, 'x'))));
  EXPECT_EQ(client.post(Job("resize", std::string(9'000, 'x'))).error().code(), ErrorCode::Full);
  broker.hold_receipts(false);
}

TEST(ClientTest, AFullBacklogBlocksPostUntilThereIsRoom) {
  ScriptedBroker broker;
  Client client = connect(broker, quick().backlog(3, 1U << 20));
  broker.hold_receipts(true);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(client.post(Job("resize")));
  std::thread poster([&client] { EXPECT_TRUE(client.post(Job("resize"))); });
  ASSERT_TRUE(eventually([&broker] { return broker.jobs().size() == 3; }));
  broker.hold_receipts(false);
  poster.join();
  ASSERT_TRUE(client.flush(kLong));
  EXPECT_EQ(broker.jobs().size(), 4U);
}

TEST(ClientTest, AFullBacklogBlocksPostNoLongerThanItsTimeout) {
  ScriptedBroker broker;
  Client client = connect(broker, quick().backlog(1, 1U << 20).submit_timeout(50ms));
  broker.hold_receipts(true);
  ASSERT_TRUE(client.post(Job("resize")));
  EXPECT_EQ(client.post(Job("resize")).error().code(), ErrorCode::Full);
  broker.hold_receipts(false);
}

TEST(ClientTest, AFullBacklogDropsTheOldestPostedJobsAndTells) {
  ScriptedBroker broker;
  broker.go_away();
  std::vector<JobId> lost;
  Client client = connect(broker, quick()
                                      .connect_later()
                                      .backlog(3, 1U << 20)
                                      .overflow(OverflowPolicy::DropOldest)
                                      .on_lost([&lost](const JobId& id, const Error& error) {
                                        EXPECT_EQ(error.code(), ErrorCode::Dropped);
                                        lost.push_back(id);
                                      }));
  std::vector<JobId> posted;
  for (int i = 0; i < 5; ++i) posted.push_back(client.post(Job("resize")).value());
  EXPECT_THAT(lost, testing::ElementsAre(posted[0], posted[1]));
  EXPECT_EQ(client.stats().dropped, 2U);
  broker.come_back();
  ASSERT_TRUE(client.flush(kLong));
  EXPECT_EQ(broker.jobs().size(), 3U);
  EXPECT_FALSE(broker.job(posted[1]));
  EXPECT_TRUE(broker.job(posted[2]));
  const CloseReport report = client.close(kLong);
  EXPECT_EQ(report.dropped, 2U);
  EXPECT_FALSE(report.clean());
}

TEST(ClientTest, SpooledPostsOfAClosedClientAreSentByTheNextOne) {
  const std::string path = testing::TempDir() + "jobwire-" + JobId::make().to_string();
  ScriptedBroker broker;
  broker.go_away();
  std::vector<JobId> ids;
  {
    Client client = connect(broker, quick().connect_later().spool(path));
    for (int i = 0; i < 3; ++i) ids.push_back(client.post(Job("resize", "abc")).value());
    EXPECT_EQ(client.stats().spooled, 3U);
    const CloseReport report = client.close(0ms);
    EXPECT_EQ(report.unreceipted.size(), 3U);
    EXPECT_EQ(report.spooled.size(), 3U);
    EXPECT_TRUE(report.clean());
  }
  broker.come_back();
  Client client = connect(broker, quick().spool(path));
  EXPECT_EQ(client.stats().recovered, 3U);
  ASSERT_TRUE(client.flush(kLong));
  for (const JobId& id : ids) EXPECT_EQ(broker.job(id)->payload, "abc");
  EXPECT_EQ(client.stats().spooled, 0U);
  const auto second = Client::connect(broker.endpoint(), quick().spool(path));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::SpoolFailed);
  std::remove(path.c_str());
}

TEST(ClientTest, AFullSpoolDropsTheOldestAndForgetsIt) {
  const std::string path = testing::TempDir() + "jobwire-" + JobId::make().to_string();
  ScriptedBroker broker;
  broker.go_away();
  const auto options =
      quick().connect_later().spool(path, 16 * 1024).overflow(OverflowPolicy::DropOldest);
  std::uint64_t dropped = 0;
  {
    Client client = connect(broker, options);
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(client.post(Job("resize", std::string(1000, 'x'))));
    dropped = client.stats().dropped;
    EXPECT_GT(dropped, 0U);
    EXPECT_EQ(client.stats().spooled + dropped, 20U);
    client.close(0ms);
  }
  Client client = connect(broker, options);
  EXPECT_EQ(client.stats().recovered + dropped, 20U);
  std::remove(path.c_str());
}

TEST(ClientTest, ARefusedPostIsTold) {
  ScriptedBroker broker;
  std::atomic<int> told{0};
  Client client = connect(broker, quick().on_lost([&told](const JobId&, const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::NotPermitted);
    ++told;
  }));
  broker.refuse_jobs(1, wire::Code::NotPermitted);
  ASSERT_TRUE(client.post(Job("resize")));
  ASSERT_TRUE(client.flush(kLong));
  EXPECT_EQ(told, 1);
  EXPECT_EQ(client.stats().refused, 1U);
}

// ---------------------------------------------------------------- closing

TEST(ClientTest, CloseSaysGoodbyeAndReportsNothingWhenAllIsReceipted) {
  ScriptedBroker broker;
  Client client = connect(broker);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(client.post(Job("resize")));
  EXPECT_TRUE(client.close(kLong).clean());
  EXPECT_EQ(broker.jobs().size(), 100U);
  EXPECT_TRUE(eventually([&broker] { return broker.goodbyes() == 1; }));
  EXPECT_TRUE(client.close(kLong).clean());
}

TEST(ClientTest, CloseReportsWhatWasNotReceipted) {
  ScriptedBroker broker;
  std::set<JobId> told;
  Client client = connect(broker, quick().on_lost([&told](const JobId& id, const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Closed);
    told.insert(id);
  }));
  broker.hold_receipts(true);
  std::set<JobId> posted;
  for (int i = 0; i < 20; ++i) posted.insert(client.post(Job("resize")).value());
  const CloseReport report = client.close(10ms);
  EXPECT_FALSE(report.clean());
  EXPECT_EQ(std::set<JobId>(report.unreceipted.begin(), report.unreceipted.end()), posted);
  EXPECT_EQ(told, posted);
  broker.hold_receipts(false);
}

TEST(ClientTest, EverythingAfterCloseIsClosed) {
  ScriptedBroker broker;
  Client client = connect(broker);
  const auto watched = client.watch(client.submit(Job("resize")).value().id);
  EXPECT_TRUE(client.close(kLong).clean());
  EXPECT_EQ(watched.get_for(kLong).error().code(), ErrorCode::Closed);
  EXPECT_EQ(client.submit(Job("resize")).error().code(), ErrorCode::Closed);
  EXPECT_EQ(client.post(Job("resize")).error().code(), ErrorCode::Closed);
  EXPECT_EQ(client.submit_async(Job("resize")).get_for(kLong).error().code(), ErrorCode::Closed);
  EXPECT_EQ(client.wait(JobId::make(), kLong).error().code(), ErrorCode::Closed);
  EXPECT_EQ(client.result(JobId::make()).error().code(), ErrorCode::Closed);
  EXPECT_FALSE(client.stats().connected);
}

TEST(ClientTest, CloseAnswersThoseWhoWaitOnOtherThreads) {
  ScriptedBroker broker;
  Client client = connect(broker);
  const JobId id = client.submit(Job("resize")).value().id;
  broker.hold_receipts(true);
  std::thread submitter(
      [&] { EXPECT_EQ(client.submit(Job("resize")).error().code(), ErrorCode::Closed); });
  std::thread waiter([&] { EXPECT_EQ(client.wait(id, kLong).error().code(), ErrorCode::Closed); });
  ASSERT_TRUE(eventually([&] { return broker.jobs().size() == 2 && client.stats().watched == 1; }));
  EXPECT_EQ(client.close(10ms).unreceipted.size(), 1U);
  submitter.join();
  waiter.join();
  broker.hold_receipts(false);
}

TEST(ClientTest, AMovedClientGoesOn) {
  ScriptedBroker broker;
  Client first = connect(broker);
  Client second = std::move(first);
  EXPECT_TRUE(second.submit(Job("resize")));
  second = connect(broker);
  EXPECT_TRUE(second.submit(Job("resize")));
  EXPECT_TRUE(eventually([&broker] { return broker.goodbyes() == 1; }));
}

// ---------------------------------------------------------------- threads

TEST(ClientTest, EightThreadsCallAtOnceWhileTheBrokerRestarts) {
  ScriptedBroker broker;
  broker.finish_everything();
  Client client = connect(broker);
  std::atomic<int> results{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&client, &results, t] {
      for (int i = 0; i < 40; ++i) {
        const std::string text = std::to_string(t) + "." + std::to_string(i);
        const Job job = Job("echo", text).watch();
        Result<JobResult> result = Error(ErrorCode::Internal, "not asked");
        if (i % 4 == 0) {
          result = client.call(job, kLong);
        } else if (i % 4 == 1) {
          result = client.wait(client.post(job).value(), kLong);
        } else if (i % 4 == 2) {
          result = client.watch(client.submit_async(job).get_for(kLong).value().id).get_for(kLong);
        } else {
          const std::vector<Job> jobs(5, job);
          std::vector<JobId> ids;
          for (const auto& receipt : client.submit_batch(jobs)) ids.push_back(receipt->id);
          for (const auto& each : client.wait_all(ids, kLong)) result = each;
          EXPECT_TRUE(client.status(ids[0]));
        }
        ASSERT_TRUE(result) << result.error().to_string();
        EXPECT_EQ(result->text(), text);
        ++results;
      }
    });
  }
  ASSERT_TRUE(eventually([&results] { return results > 40; }));
  broker.go_away();
  ASSERT_TRUE(eventually([&client] { return !client.stats().connected; }));
  broker.come_back();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(results, 8 * 40);
  EXPECT_EQ(broker.jobs().size(), 8U * 40 * 2);
  EXPECT_EQ(client.stats().malformed, 0U);
}

}  // namespace
}  // namespace jobwire
