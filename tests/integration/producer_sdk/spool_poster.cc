// SPDX-License-Identifier: Apache-2.0
// Posts through a spool until it is killed, and writes down what it tries and what was taken; or,
// with "drain", sends what is in the spool and ends. For spool_kill_test.
#include <fcntl.h>
#include <jobwire/client.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>

namespace {

void note(int ledger, char what, const jobwire::JobId& id) {
  const std::string line = what + (" " + id.to_string()) + "\n";
  if (write(ledger, line.data(), line.size()) != static_cast<ssize_t>(line.size())) _exit(3);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace std::chrono_literals;
  if (argc != 5) return 2;
  const std::string_view mode = argv[4];
  jobwire::ClientOptions options;
  options.spool(argv[2], 1U << 20).connect_later().overflow(jobwire::OverflowPolicy::Block);
  options.resend_after(200ms);
  auto client = jobwire::Client::connect(argv[1], options);
  if (!client) {
    std::fprintf(stderr, "spool_poster: %s\n", client.error().to_string().c_str());
    return 2;
  }
  if (mode == "drain") {
    if (!client->flush(60s)) return 1;
    return client->close(10s).unreceipted.empty() && client->stats().spooled == 0 ? 0 : 1;
  }
  const int ledger = open(argv[3], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  while (true) {
    const jobwire::JobId id = jobwire::JobId::make();
    note(ledger, 'T', id);
    if (client->post(jobwire::Job("note", id.to_string()).id(id))) note(ledger, 'P', id);
  }
}
