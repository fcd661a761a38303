// SPDX-License-Identifier: Apache-2.0
// Sends photographs to Python and writes the thumbnails that come back.
//
//     jobwire-example-thumbnails [--broker tcp://127.0.0.1:7700] --out FOLDER
//     PHOTOGRAPH_OR_FOLDER...
//
// The worker that makes them is thumbnails_worker.py. Exit code 0 only when every photograph became
// a thumbnail; what went wrong in Python is printed with its traceback.
#include <jobwire/client.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

using namespace std::chrono_literals;
namespace fs = std::filesystem;

static std::vector<std::uint8_t> read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

static bool write_file(const fs::path& path, std::span<const std::byte> bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  return file.good();
}

int main(int argc, char** argv) {
  std::string broker = "tcp://127.0.0.1:7700";
  fs::path out;
  std::vector<fs::path> photographs;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--broker" && i + 1 < argc) {
      broker = argv[++i];
    } else if (argument == "--out" && i + 1 < argc) {
      out = argv[++i];
    } else if (fs::is_directory(argument)) {
      for (const auto& entry : fs::directory_iterator(argument)) photographs.push_back(entry);
    } else {
      photographs.emplace_back(argument);
    }
  }
  if (out.empty() || photographs.empty()) {
    std::fprintf(stderr, "usage: %s [--broker ENDPOINT] --out FOLDER PHOTOGRAPH...\n", argv[0]);
    return 2;
  }
  fs::create_directories(out);
  auto client = jobwire::Client::connect(broker, jobwire::ClientOptions().name("thumbnails"));
  if (!client) {
    std::fprintf(stderr, "%s\n", client.error().to_string().c_str());
    return 2;
  }

  std::vector<jobwire::Job> jobs;
  for (const fs::path& photograph : photographs) {
    jobs.push_back(jobwire::Job("thumbnail", read_file(photograph))
                       .queue("images")
                       .timeout(30s)
                       .header("file", photograph.filename().string())
                       .retry(jobwire::RetryPolicy::never())
                       .watch());
  }
  std::vector<jobwire::JobId> ids;
  for (const auto& receipt : client->submit_batch(jobs)) {
    if (!receipt) std::fprintf(stderr, "%s\n", receipt.error().to_string().c_str());
    ids.push_back(receipt ? receipt->id : jobwire::JobId());
  }

  std::size_t written = 0;
  client->wait_each(ids, 60s, [&](std::size_t i, jobwire::Result<jobwire::JobResult> result) {
    const std::string name = photographs[i].filename().string();
    if (!result) {
      std::fprintf(stderr, "%s: %s\n", name.c_str(), result.error().to_string().c_str());
    } else if (const jobwire::JobError* error = result->error()) {
      std::fprintf(stderr, "%s:\n%s", name.c_str(), error->to_string().c_str());
    } else {
      const fs::path thumbnail = out / photographs[i].stem().concat(".jpg");
      written += write_file(thumbnail, result->bytes());
      std::printf("%-28s %8zu bytes -> %s, %zu bytes\n", name.c_str(), jobs[i].payload().size(),
                  thumbnail.string().c_str(), result->bytes().size());
    }
  });
  std::printf("%zu of %zu photographs have a thumbnail\n", written, photographs.size());
  return written == photographs.size() ? 0 : 1;
}
