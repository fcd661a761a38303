// SPDX-License-Identifier: Apache-2.0
// Every file of a directory through a Python handler, with a progress bar.
//
//     jobwire-example-files [--broker tcp://127.0.0.1:7700] DIRECTORY
//
// The worker is files_worker.py. Prints one line a file; exit code 0 when all went well.
#include <jobwire/client.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

std::vector<std::uint8_t> read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void draw_bar(std::size_t done, std::size_t all) {
  if (isatty(STDERR_FILENO) == 0) return;
  constexpr std::size_t kWidth = 40;
  const std::string bar(kWidth * done / all, '#');
  std::fprintf(stderr, "\r[%-40s] %zu of %zu%s", bar.c_str(), done, all, done == all ? "\n" : "");
}

}  // namespace

int main(int argc, char** argv) {
  std::string broker = "tcp://127.0.0.1:7700";
  fs::path directory;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--broker" && i + 1 < argc) {
      broker = argv[++i];
    } else {
      directory = argv[i];
    }
  }
  std::error_code error;
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    if (entry.is_regular_file()) paths.push_back(entry.path());
  }
  if (error || paths.empty()) {
    std::fprintf(stderr, "usage: jobwire-example-files [--broker ENDPOINT] DIRECTORY\n");
    return 2;
  }
  auto client = jobwire::Client::connect(broker, jobwire::ClientOptions().name("files"));
  if (!client) {
    std::fprintf(stderr, "%s\n", client.error().to_string().c_str());
    return 2;
  }

  std::vector<jobwire::Job> jobs;
  for (const fs::path& path : paths) {
    jobs.push_back(jobwire::Job("digest", read_file(path)).queue("files").watch());
  }
  std::size_t failed = 0;
  std::vector<jobwire::JobId> ids;
  for (const auto& receipt : client->submit_batch(jobs)) {
    if (!receipt) {
      std::fprintf(stderr, "%s\n", receipt.error().to_string().c_str());
      return 1;
    }
    ids.push_back(receipt->id);
  }
  std::size_t done = 0;
  client->wait_each(ids, 10min, [&](std::size_t i, jobwire::Result<jobwire::JobResult> result) {
    draw_bar(++done, ids.size());
    const std::string name = paths[i].filename().string();
    if (result && result->succeeded()) {
      std::printf("%s  %s\n", std::string(result->text()).c_str(), name.c_str());
      return;
    }
    ++failed;
    std::printf("%s: %s\n", name.c_str(),
                result ? std::string(to_string(result->state())).c_str()
                       : result.error().to_string().c_str());
  });
  return failed == 0 ? 0 : 1;
}
