// SPDX-License-Identifier: Apache-2.0
// Sends handwritten digits to a Python classifier, one FlatBuffers job each, and checks the
// answers.
//
//     jobwire-example-digits [--broker tcp://127.0.0.1:7700] digits.csv
//
// A line of the file is the digit that the image shows and its 64 pixels. The worker that answers
// is digits_worker.py. Exit code 0 only when every image got an answer.
#include <jobwire/client.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "digits_generated.h"

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

struct Digit {
  std::string label;
  std::vector<std::uint8_t> pixels;
};

static std::vector<Digit> read_digits(const std::string& path) {
  std::vector<Digit> digits;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream cells(line);
    Digit digit;
    std::getline(cells, digit.label, ',');
    for (std::string pixel; std::getline(cells, pixel, ',');) {
      digit.pixels.push_back(static_cast<std::uint8_t>(std::stoi(pixel)));
    }
    digits.push_back(std::move(digit));
  }
  return digits;
}

static jobwire::Job make_job(const Digit& digit) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(digits::CreateImageDirect(builder, &digit.pixels));
  return jobwire::Job("predict").queue("digits").flatbuffer(builder.GetBufferSpan()).watch();
}

int main(int argc, char** argv) {
  std::string broker = "tcp://127.0.0.1:7700";
  std::string path;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--broker" && i + 1 < argc) {
      broker = argv[++i];
    } else {
      path = argv[i];
    }
  }
  const std::vector<Digit> digits = read_digits(path);
  if (digits.empty()) {
    std::fprintf(stderr, "usage: %s [--broker ENDPOINT] digits.csv\n", argv[0]);
    return 2;
  }
  auto client = jobwire::Client::connect(broker, jobwire::ClientOptions().name("digits"));
  if (!client) {
    std::fprintf(stderr, "%s\n", client.error().to_string().c_str());
    return 2;
  }

  // Fire and forget: the client batches the jobs and sends them until the broker has them.
  std::vector<jobwire::JobId> ids;
  std::vector<Clock::time_point> posted_at;
  const auto start = Clock::now();
  for (const Digit& digit : digits) {
    posted_at.push_back(Clock::now());
    ids.push_back(client->post(make_job(digit)).value());
  }

  // The answers, in the order in which they come.
  std::size_t answered = 0;
  std::size_t correct = 0;
  std::vector<double> latencies_ms;
  client->wait_each(ids, 60s, [&](std::size_t i, jobwire::Result<jobwire::JobResult> result) {
    if (!result) {
      std::fprintf(stderr, "image %zu: %s\n", i, result.error().to_string().c_str());
    } else if (!result->succeeded()) {
      const auto* error = result->error();
      std::fprintf(stderr, "image %zu:\n%s", i, error ? error->to_string().c_str() : "no error\n");
    } else {
      ++answered;
      correct += result->text() == digits[i].label;  // the handler returns an int, so JSON
      const std::chrono::duration<double, std::milli> latency = Clock::now() - posted_at[i];
      latencies_ms.push_back(latency.count());
    }
  });
  const std::chrono::duration<double> seconds = Clock::now() - start;

  std::printf("%zu of %zu images answered\n", answered, digits.size());
  if (answered > 0) {
    std::sort(latencies_ms.begin(), latencies_ms.end());
    const auto percentile = [&](std::size_t p) { return latencies_ms[(answered - 1) * p / 100]; };
    const auto count = static_cast<double>(answered);
    std::printf("accuracy   %.1f %% on images that the classifier was not trained on\n",
                100.0 * static_cast<double>(correct) / count);
    std::printf("throughput %.0f jobs/s\n", count / seconds.count());
    std::printf("latency    p50 %.1f ms, p99 %.1f ms, all images posted at once\n", percentile(50),
                percentile(99));
  }
  const jobwire::CloseReport report = client->close(10s);
  return answered == digits.size() && report.clean() ? 0 : 1;
}
