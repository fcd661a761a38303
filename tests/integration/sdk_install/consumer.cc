// SPDX-License-Identifier: Apache-2.0
// Uses every part of the library that can be used without a broker.
#include <jobwire/client.h>

#include <chrono>
#include <cstdio>

int main() {
  using namespace std::chrono_literals;
  const auto options = jobwire::ClientOptions().name("consumer").connect_later();
  auto client = jobwire::Client::connect("tcp://127.0.0.1:1", options);
  if (!client) return 1;
  const jobwire::Result<jobwire::JobId> id = client->post(jobwire::Job("resize", "payload"));
  if (!id) return 2;
  const jobwire::CloseReport report = client->close(10ms);
  if (report.unreceipted.size() != 1 || report.unreceipted.front() != *id) return 3;
  std::printf("%s is not receipted, as it should be\n", id->to_string().c_str());
  return 0;
}
