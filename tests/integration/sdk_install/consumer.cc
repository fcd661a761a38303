// SPDX-License-Identifier: Apache-2.0
// Uses what can be used without a broker of its own: a client that finds nobody, and the fake.
#include <jobwire/client.h>
#include <jobwire/operator.h>
#include <jobwire/testing/fake_broker.h>

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
  if (jobwire::Operator::connect("nonsense")) return 4;

  jobwire::testing::FakeBroker broker;
  broker.handle("echo", [](const jobwire::testing::FakeJob& job) {
    return jobwire::testing::FakeOutcome::succeed(job.payload);
  });
  auto tested = broker.connect();
  if (!tested) return 5;
  const auto result = tested->call_async(jobwire::Job("echo", "hello")).get_for(30s);
  if (!result || result->text() != "hello") return 6;
  std::printf("%s is not receipted, as it should be; the fake says %s\n", id->to_string().c_str(),
              std::string(result->text()).c_str());
  return 0;
}
