// SPDX-License-Identifier: Apache-2.0
// How a client finds its way between brokers, and what it tells a program that looks in.
#include "jobwire/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <jobwire/client.h>

#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "scripted_broker.h"

namespace jobwire {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing_detail::eventually;
using testing_detail::ScriptedBroker;

constexpr auto kLong = 60s;

ClientOptions patient() { return ClientOptions().submit_timeout(kLong).connect_timeout(kLong); }

/// What the hooks said, from whichever thread.
template <class T>
class Heard {
 public:
  void add(T what) {
    const std::lock_guard lock(mutex_);
    all_.push_back(std::move(what));
  }
  [[nodiscard]] std::vector<T> all() const {
    const std::lock_guard lock(mutex_);
    return all_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<T> all_;
};

TEST(ConnectionTest, AClientGoesToTheNextBrokerWhenItsOwnIsLostAndComesBack) {
  ScriptedBroker first;
  ScriptedBroker second;
  Client client = Client::connect(first.endpoint() + "," + second.endpoint(), patient()).value();
  EXPECT_EQ(client.connection().endpoint, first.endpoint());
  first.go_away();
  const JobId id = client.submit(Job("resize")).value().id;
  EXPECT_TRUE(second.job(id).has_value());
  EXPECT_EQ(client.connection().endpoint, second.endpoint());
  first.come_back();
  second.go_away();
  const JobId next = client.submit(Job("resize")).value().id;
  EXPECT_TRUE(first.job(next).has_value());
  EXPECT_EQ(client.connection().sessions, 3U);
}

TEST(ConnectionTest, ConnectFindsTheOneBrokerThatIsThere) {
  ScriptedBroker broker;
  const auto client = Client::connect("tcp://127.0.0.1:1," + broker.endpoint(), patient());
  ASSERT_TRUE(client);
  EXPECT_EQ(client->connection().endpoint, broker.endpoint());
}

TEST(ConnectionTest, ABrokerThatAcceptsNobodyIsPassedOver) {
  ScriptedBroker closed;
  closed.refuse_hello(wire::Code::ShuttingDown);
  ScriptedBroker open;
  const auto client = Client::connect(closed.endpoint() + "," + open.endpoint(), patient());
  ASSERT_TRUE(client);
  EXPECT_EQ(client->connection().endpoint, open.endpoint());
}

TEST(ConnectionTest, RefusedByAllIsRefused) {
  ScriptedBroker one;
  ScriptedBroker other;
  one.refuse_hello(wire::Code::NotPermitted);
  other.refuse_hello(wire::Code::NotPermitted);
  const auto client = Client::connect(one.endpoint() + "," + other.endpoint(), patient());
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code(), ErrorCode::NotPermitted);
}

TEST(ConnectionTest, EveryChangeOfStateIsToldOnceAndInOrder) {
  ScriptedBroker broker;
  Heard<ConnectionState> states;
  Heard<std::string> logs;
  auto options = patient();
  options.on_connection([&](const Connection& connection) { states.add(connection.state); });
  options.on_log([&](LogLevel, std::string_view text) { logs.add(std::string(text)); });
  Client client = Client::connect(broker.endpoint(), options).value();
  EXPECT_EQ(client.connection().state, ConnectionState::Open);
  broker.go_away();
  ASSERT_TRUE(eventually([&] { return client.connection().state == ConnectionState::Connecting; }));
  broker.come_back();
  ASSERT_TRUE(eventually([&] { return client.connection().state == ConnectionState::Open; }));
  client.close(kLong);
  EXPECT_EQ(client.connection().state, ConnectionState::Closed);
  EXPECT_THAT(states.all(), ElementsAre(ConnectionState::Open, ConnectionState::Connecting,
                                        ConnectionState::Open, ConnectionState::Closed));
  EXPECT_THAT(logs.all(), testing::Contains(HasSubstr("Open: " + broker.endpoint())));
}

TEST(ConnectionTest, ARefusedClientIsAcceptedOnceTheBrokerWantsIt) {
  ScriptedBroker broker;
  broker.refuse_hello(wire::Code::NotPermitted);
  Client client = Client::connect(broker.endpoint(), patient().connect_later()).value();
  ASSERT_TRUE(eventually([&] { return client.connection().state == ConnectionState::Refused; }));
  EXPECT_EQ(client.connection().error->code(), ErrorCode::NotPermitted);
  broker.refuse_hello(wire::Code::Unspecified);
  ASSERT_TRUE(eventually([&] { return client.connection().state == ConnectionState::Open; }));
  EXPECT_FALSE(client.connection().error);
}

TEST(ConnectionTest, ClosingWhileAnAttemptFailsNeverHangs) {
  for (int i = 0; i < 300; ++i) {
    Client client = Client::connect("tcp://127.0.0.1:1", patient().connect_later()).value();
    if (i % 2 == 0) std::this_thread::yield();
    client.close(0ms);
  }
}

TEST(ConnectionTest, AStopEndsConnect) {
  ScriptedBroker broker;
  broker.answer_nothing();
  std::jthread connecting([&](std::stop_token stop) {
    const auto client = Client::connect(broker.endpoint(), patient(), stop);
    EXPECT_EQ(client.error().code(), ErrorCode::Stopped);
  });
  EXPECT_TRUE(eventually([&] { return broker.hellos() > 0; }));
  connecting.request_stop();
}

// ---------------------------------------------------------------- hooks

TEST(HooksTest, TheLifeOfAJobIsToldEventByEvent) {
  ScriptedBroker broker;
  broker.finish_everything();
  Heard<std::string> events;
  auto options = patient();
  options.on_job_event([&](const JobEvent& event) {
    events.add(std::string(to_string(event.kind)) + (event.job ? " " + event.job->type() : ""));
  });
  Client client = Client::connect(broker.endpoint(), options).value();
  ASSERT_TRUE(client.call(Job("echo", "x"), kLong));
  EXPECT_THAT(events.all(), ElementsAre("Sent echo", "Receipted echo", "Ended"));
  broker.refuse_jobs(1, wire::Code::InvalidArgument);
  ASSERT_FALSE(client.submit(Job("bad")));
  EXPECT_EQ(events.all().back(), "Refused bad");
  broker.answer_nothing();
  ASSERT_TRUE(client.post(Job("left")));
  client.close(0ms);
  EXPECT_EQ(events.all().back(), "GivenUp left");
}

TEST(HooksTest, TheTraceHookAddsHeadersToEveryJobAndNotToTheCallersOwn) {
  ScriptedBroker broker;
  broker.finish_everything();
  auto options = patient();
  options.trace([](Job& job) { job.header("traceparent", "00-1-2-01"); });
  Client client = Client::connect(broker.endpoint(), options).value();
  const Job job("echo", "x");
  ASSERT_TRUE(client.submit(job));
  ASSERT_TRUE(client.submit_async(job).get_for(kLong));
  ASSERT_TRUE(client.submit_batch({&job, 1}).front());
  ASSERT_TRUE(client.post(job));
  ASSERT_TRUE(client.call(job, kLong));
  ASSERT_TRUE(client.flush(kLong));
  EXPECT_TRUE(job.headers().empty());
  const auto jobs = broker.jobs();
  EXPECT_EQ(jobs.size(), 5U);
  for (const auto& [id, kept] : jobs) {
    EXPECT_EQ(kept.headers, (std::map<std::string, std::string>{{"traceparent", "00-1-2-01"}}));
  }
}

TEST(HooksTest, GarbageFromTheBrokerIsLogged) {
  ScriptedBroker broker;
  Heard<std::string> logs;
  auto options = patient();
  options.on_log([&](LogLevel level, std::string_view text) {
    if (level == LogLevel::Error) logs.add(std::string(text));
  });
  Client client = Client::connect(broker.endpoint(), options).value();
  broker.send_raw({"garbage"});
  ASSERT_TRUE(eventually([&] { return !logs.all().empty(); }));
  EXPECT_THAT(logs.all().front(), HasSubstr("no valid protocol"));
}

}  // namespace
}  // namespace jobwire
