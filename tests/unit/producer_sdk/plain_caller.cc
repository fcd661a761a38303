// SPDX-License-Identifier: Apache-2.0
// A caller that is compiled without exceptions and without type information.
#include "plain_caller.h"

#include <jobwire/client.h>

#include <coroutine>
#include <future>

#ifdef __cpp_exceptions
#error "this file is to be compiled with -fno-exceptions"
#endif

using namespace std::chrono_literals;

namespace {

struct Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() {}
  };
};

Detached await_call(jobwire::Client& client, jobwire::Job job, std::promise<std::string>& done) {
  const auto result = co_await client.call_async(job);
  done.set_value(result ? "awaited " : result.error().to_string());
}

}  // namespace

std::string call_without_exceptions(const std::string& endpoint) {
  auto client = jobwire::Client::connect(endpoint);
  if (!client) return client.error().to_string();
  std::string answer;
  const jobwire::Job job = jobwire::Job("echo", "plain").retry(jobwire::RetryPolicy::never());
  const auto pending = client->submit_async(job);
  pending.then([&answer](const jobwire::Result<jobwire::Receipt>& receipt) {
    answer = receipt ? "receipted " : "refused ";
  });
  const auto receipt = pending.get_for(60s);
  if (!receipt) return receipt.error().to_string();
  std::promise<std::string> awaited;
  await_call(*client, job, awaited);
  const std::string awaited_text = awaited.get_future().get();
  const auto result = client->call_async(job).to_future().get();
  if (!result) return result.error().to_string();
  if (!client->close(60s).clean()) return "not clean";  // after it no callback runs
  return answer + awaited_text + std::string(result->text());
}
