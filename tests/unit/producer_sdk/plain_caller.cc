// SPDX-License-Identifier: Apache-2.0
// A caller that is compiled without exceptions and without type information.
#include "plain_caller.h"

#include <jobwire/client.h>

#ifdef __cpp_exceptions
#error "this file is to be compiled with -fno-exceptions"
#endif

using namespace std::chrono_literals;

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
  const auto result = client->call(job, 60s);
  if (!result) return result.error().to_string();
  if (!client->close(60s).clean()) return "not clean";  // after it no callback runs
  return answer + std::string(result->text());
}
