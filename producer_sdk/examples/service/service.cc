// SPDX-License-Identifier: Apache-2.0
// A service made of coroutines: each line of standard input is a request, each request a coroutine
// that awaits two Python calls one after the other, all of them at once on one thread.
//
//     printf 'a first request\na second\n' | jobwire-example-service [--broker ENDPOINT]
//
// The worker is service_worker.py. Answers come as they are ready.
#include <jobwire/client.h>

#include <chrono>
#include <condition_variable>
#include <coroutine>
#include <cstdio>
#include <deque>
#include <functional>
#include <iostream>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

using namespace std::chrono_literals;

namespace {

/// The program's own loop: runs tasks on the thread that calls run(), which ends with the last
/// request.
class Loop {
 public:
  void post(std::function<void()> task) {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    changed_.notify_one();
  }
  void begin() { ++open_; }
  void end() { --open_; }

  void run() {
    std::unique_lock lock(mutex_);
    while (open_ > 0) {
      changed_.wait(lock, [this] { return !tasks_.empty(); });
      const auto task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      lock.lock();
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  int open_ = 0;  // of the loop's own thread
};

/// A coroutine that nobody waits for: it starts at once and frees itself.
struct Request {
  struct promise_type {
    Request get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

Request handle(jobwire::Client& client, Loop& loop, std::string line) {
  loop.begin();
  const auto on_loop = [&loop](std::function<void()> task) { loop.post(std::move(task)); };
  const auto words =
      co_await client.call_async(jobwire::Job("split", line).queue("service")).on(on_loop);
  std::string answer;
  if (!words) {
    answer = words.error().to_string();
  } else if (!words->succeeded()) {
    answer = "split failed";
  } else {
    const auto count =
        co_await client.call_async(jobwire::Job("count").json(words->text()).queue("service"))
            .on(on_loop);
    answer = count && count->succeeded() ? std::string(count->text()) : "count failed";
  }
  std::printf("%s: %s\n", line.c_str(), answer.c_str());
  loop.end();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string broker =
      argc > 2 && std::string_view(argv[1]) == "--broker" ? argv[2] : "tcp://127.0.0.1:7700";
  auto client = jobwire::Client::connect(broker, jobwire::ClientOptions().name("service"));
  if (!client) {
    std::fprintf(stderr, "%s\n", client.error().to_string().c_str());
    return 2;
  }
  Loop loop;
  for (std::string line; std::getline(std::cin, line);) handle(*client, loop, line);
  loop.run();
  return 0;
}
