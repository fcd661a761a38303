// SPDX-License-Identifier: Apache-2.0
// One answer, every way to wait for it, and every way to stop waiting.
#include "jobwire/pending.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <jobwire/client.h>

#include <atomic>
#include <chrono>
#include <coroutine>
#include <deque>
#include <future>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "scripted_broker.h"

namespace jobwire {
namespace {

using namespace std::chrono_literals;
using testing_detail::eventually;
using testing_detail::ScriptedBroker;

constexpr auto kLong = 60s;

ClientOptions patient() { return ClientOptions().submit_timeout(kLong).connect_timeout(kLong); }

/// Runs tasks when the test says so, on the test's thread.
class HandExecutor {
 public:
  void operator()(std::function<void()> task) const {
    const std::lock_guard lock(state_->mutex);
    state_->tasks.push_back(std::move(task));
  }
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(state_->mutex);
    return state_->tasks.size();
  }
  void run_one() const {
    std::function<void()> task;
    {
      const std::lock_guard lock(state_->mutex);
      task = std::move(state_->tasks.front());
      state_->tasks.pop_front();
    }
    task();
  }

 private:
  struct State {
    std::mutex mutex;
    std::deque<std::function<void()>> tasks;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
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

class PendingTest : public testing::Test {
 protected:
  ScriptedBroker broker_;
  Client client_ = Client::connect(broker_.endpoint(), patient()).value();
};

TEST_F(PendingTest, EveryContinuationHasItsOwnCall) {
  broker_.hold_receipts(true);
  const auto pending = client_.submit_async(Job("resize"));
  std::atomic<int> calls{0};
  for (int i = 0; i < 3; ++i) pending.then([&](const Result<Receipt>&) { ++calls; });
  EXPECT_EQ(calls, 0);
  broker_.hold_receipts(false);
  EXPECT_TRUE(eventually([&] { return calls == 3; }));
  pending.then([&](const Result<Receipt>&) { ++calls; });  // there: called at once
  EXPECT_EQ(calls, 4);
}

TEST_F(PendingTest, AnExecutorRunsTheContinuationWhereItMayWaitForTheSameClient) {
  const HandExecutor executor;
  const auto pending = client_.submit_async(Job("resize"));
  std::thread::id thread;
  bool submitted = false;
  pending.then(executor, [&](const Result<Receipt>& receipt) {
    thread = std::this_thread::get_id();
    submitted = receipt && client_.submit(Job("again"));
  });
  ASSERT_TRUE(eventually([&] { return executor.size() == 1; }));
  executor.run_one();
  EXPECT_EQ(thread, std::this_thread::get_id());
  EXPECT_TRUE(submitted);
}

TEST_F(PendingTest, AFutureHasTheSameAnswer) {
  broker_.finish_everything();
  const auto pending = client_.call_async(Job("echo", "abc"));
  std::future<Result<JobResult>> future = pending.to_future();
  ASSERT_EQ(future.wait_for(kLong), std::future_status::ready);
  EXPECT_EQ(future.get()->text(), "abc");
  EXPECT_EQ(pending.get_for(0ms)->text(), "abc");
}

Detached sum_of_two(Client& client, std::promise<std::string>& done) {
  const auto first = co_await client.call_async(Job("echo", "first"));
  const auto second = co_await client.call_async(Job("echo", "second"));
  done.set_value(std::string(first->text()) + "+" + std::string(second->text()));
}

TEST_F(PendingTest, ACoroutineAwaitsOneCallAfterTheOther) {
  broker_.finish_everything();
  std::promise<std::string> done;
  sum_of_two(client_, done);
  EXPECT_EQ(done.get_future().get(), "first+second");
}

Detached submit_on(Client& client, HandExecutor executor, std::thread::id& thread, bool& done) {
  const auto receipt = co_await client.submit_async(Job("resize")).on(executor);
  thread = std::this_thread::get_id();
  done = receipt && client.submit(Job("again"));
}

TEST_F(PendingTest, ACoroutineResumesOnItsExecutor) {
  const HandExecutor executor;
  std::thread::id thread;
  bool done = false;
  submit_on(client_, executor, thread, done);
  ASSERT_TRUE(eventually([&] { return executor.size() == 1; }));
  EXPECT_FALSE(done);
  executor.run_one();
  EXPECT_TRUE(done);
  EXPECT_EQ(thread, std::this_thread::get_id());
}

Detached count_calls(Client& client, std::atomic<int>& succeeded) {
  const auto result = co_await client.call_async(Job("echo", "x"));
  if (result && result->succeeded()) ++succeeded;
}

TEST_F(PendingTest, AThousandCoroutinesAwaitAtOnce) {
  broker_.finish_everything();
  std::atomic<int> succeeded{0};
  for (int i = 0; i < 1000; ++i) count_calls(client_, succeeded);
  EXPECT_TRUE(eventually([&] { return succeeded == 1000; }));
}

TEST_F(PendingTest, ARefusedCallIsTheAnswerOfCallAsync) {
  broker_.refuse_jobs(1, wire::Code::InvalidArgument, 0, "timeout_ms", "too long");
  const auto answer = client_.call_async(Job("resize")).get_for(kLong);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), ErrorCode::InvalidArgument);
  EXPECT_EQ(client_.call_async(Job("no spaces")).get_for(kLong).error().code(),
            ErrorCode::InvalidArgument);
}

TEST_F(PendingTest, AContinuationThatPostsToAFullBacklogIsNotBlocked) {
  broker_.hold_receipts(true);
  Client full = Client::connect(broker_.endpoint(),
                                patient().backlog(1, 1U << 20).overflow(OverflowPolicy::Block))
                    .value();
  const auto pending = full.watch(JobId::make());  // nobody knows it: its answer is UnknownJob
  std::promise<ErrorCode> code;
  ASSERT_TRUE(full.post(Job("first")));
  pending.then(
      [&](const Result<JobResult>&) { code.set_value(full.post(Job("second")).error().code()); });
  EXPECT_EQ(code.get_future().get(), ErrorCode::Full);
  broker_.hold_receipts(false);
}

TEST_F(PendingTest, CloseAnswersACoroutineThatStillAwaits) {
  const Receipt receipt = client_.submit(Job("resize")).value();
  const auto pending = client_.watch(receipt.id);
  client_.close(0ms);
  EXPECT_EQ(pending.get_for(kLong).error().code(), ErrorCode::Closed);
}

// ---------------------------------------------------------------- stop

// Made in one place out of line: GCC 12 warns of libstdc++'s constructor where it is inlined.
[[gnu::noinline]] std::stop_source make_stop_source() { return std::stop_source(); }

/// Runs `call` with a token that another thread stops once `call` waits.
template <class F>
auto stopped(F call, const std::function<bool()>& waits) {
  std::stop_source source = make_stop_source();
  std::jthread stopper([&] {
    EXPECT_TRUE(eventually(waits));
    source.request_stop();
  });
  return call(source.get_token());
}

TEST_F(PendingTest, AStopEndsEveryKindOfWaitAndTheJobGoesOn) {
  broker_.hold_receipts(true);
  const auto sent = [&](int submits) {
    return [this, submits] { return broker_.submits() >= submits; };
  };
  const Job job("resize");

  const auto submitted =
      stopped([&](std::stop_token stop) { return client_.submit(job, stop); }, sent(1));
  EXPECT_EQ(submitted.error().code(), ErrorCode::Stopped);
  const auto batch = stopped(
      [&](std::stop_token stop) {
        return client_.submit_batch({&job, 1}, stop);
      },
      sent(2));
  EXPECT_EQ(batch.front().error().code(), ErrorCode::Stopped);
  const auto called =
      stopped([&](std::stop_token stop) { return client_.call(job, kLong, stop); }, sent(3));
  EXPECT_EQ(called.error().code(), ErrorCode::Stopped);
  const auto flushed =
      stopped([&](std::stop_token stop) { return client_.flush(kLong, stop); }, sent(3));
  EXPECT_EQ(flushed.error().code(), ErrorCode::Stopped);
  const auto pending = client_.submit_async(job);
  const auto got =
      stopped([&](std::stop_token stop) { return pending.get_for(kLong, stop); }, sent(4));
  EXPECT_EQ(got.error().code(), ErrorCode::Stopped);

  broker_.hold_receipts(false);
  EXPECT_TRUE(pending.get_for(kLong));
  EXPECT_TRUE(client_.flush(kLong));
  EXPECT_EQ(broker_.jobs().size(), 4U);

  const JobId id = broker_.jobs().begin()->first;
  const int asked = broker_.result_requests();
  const auto asks = [&](int more) {
    return [this, asked, more] { return broker_.result_requests() >= asked + more; };
  };
  const auto waited =
      stopped([&](std::stop_token stop) { return client_.wait(id, kLong, stop); }, asks(1));
  EXPECT_EQ(waited.error().code(), ErrorCode::Stopped);
  const auto all = stopped(
      [&](std::stop_token stop) {
        return client_.wait_all({&id, 1}, kLong, stop);
      },
      asks(2));
  EXPECT_EQ(all.front().error().code(), ErrorCode::Stopped);
}

TEST_F(PendingTest, AStopThatCameBeforeEndsTheWaitAtOnce) {
  std::stop_source source = make_stop_source();
  source.request_stop();
  broker_.answer_nothing();
  EXPECT_EQ(client_.wait(JobId::make(), kLong, source.get_token()).error().code(),
            ErrorCode::Stopped);
  EXPECT_EQ(client_.status(JobId::make(), source.get_token()).error().code(), ErrorCode::Stopped);
}

TEST_F(PendingTest, AnAnswerThatIsThereBeatsAStop) {
  broker_.finish_everything();
  const auto pending = client_.call_async(Job("echo", "abc"));
  ASSERT_TRUE(pending.get_for(kLong));
  std::stop_source source = make_stop_source();
  source.request_stop();
  EXPECT_TRUE(pending.get_for(kLong, source.get_token()));
}

}  // namespace
}  // namespace jobwire
