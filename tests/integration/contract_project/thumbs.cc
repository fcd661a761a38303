// SPDX-License-Identifier: Apache-2.0
// thumbs ENDPOINT: the snippet of producer_sdk/README.md, in a program.
#include <chrono>
#include <cstdio>
#include <exception>
#include <future>
#include <vector>

#include "thumbs_contract.h"

namespace {

struct Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

std::promise<int> done;

void use(int width, const flatbuffers::Vector<std::uint8_t>* image) {
  std::printf("%d wide, %u bytes\n", width, image ? image->size() : 0);
}
void complain(const jobwire::Error& error) { std::printf("%s\n", error.to_string().c_str()); }

Detached run(jobwire::Client& client, const std::vector<std::uint8_t>& photo) {
  // clang-format off
  const ThumbsClient thumbs(client);
  ResizeRequestT request;
  request.image = photo;
  request.width = 64;
  if (const auto thumb = co_await thumbs.resize(request)) {
    use(thumb->width(), thumb->image());  // a verified table; thumb.unpack() is an object of its own
  } else {
    complain(thumb.error());  // a failed job's Python error is in thumb.job()->error()
  }
  // clang-format on
  done.set_value(0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  auto client = jobwire::Client::connect(argv[1]);
  if (!client) return 1;
  const std::vector<std::uint8_t> photo(1000, 7);
  auto end = done.get_future();
  run(*client, photo);
  if (end.wait_for(std::chrono::seconds(60)) != std::future_status::ready) return 1;
  client->close(std::chrono::seconds(5));
  return end.get();
}
