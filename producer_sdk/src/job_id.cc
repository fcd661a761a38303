// SPDX-License-Identifier: Apache-2.0
#include "jobwire/job_id.h"

#include <pthread.h>
#include <sys/random.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

JOBWIRE_NAMESPACE_BEGIN
namespace {

// Counts forks, so that a child throws away random bytes that its parent will use too.
std::atomic<unsigned> g_forks{0};
[[maybe_unused]] const int g_at_fork =
    pthread_atfork(nullptr, nullptr, [] { g_forks.fetch_add(1, std::memory_order_relaxed); });

// The kernel's random bytes, fetched for a few hundred ids at a time: a call for each would cost
// more than everything else in JobId::make.
class RandomBytes {
 public:
  static constexpr std::size_t kPerId = 10;

  void take(std::uint8_t* out) noexcept {
    const unsigned forks = g_forks.load(std::memory_order_relaxed);
    if (used_ + kPerId > buffer_.size() || forks != forks_) {
      forks_ = forks;
      refill();
    }
    std::copy_n(buffer_.data() + used_, kPerId, out);
    used_ += kPerId;
  }

 private:
  void refill() noexcept {
    std::size_t have = 0;
    while (have < buffer_.size()) {
      const ssize_t got = getrandom(buffer_.data() + have, buffer_.size() - have, 0);
      if (got > 0) {
        have += static_cast<std::size_t>(got);
      } else if (errno != EINTR) {
        std::fputs("jobwire: the kernel gives no random bytes\n", stderr);
        std::abort();
      }
    }
    used_ = 0;
  }

  std::array<std::uint8_t, 256 * kPerId> buffer_{};
  std::size_t used_ = 256 * kPerId;
  unsigned forks_ = 0;
};

constexpr std::array<int, 4> kHyphens = {4, 6, 8, 10};

bool hyphen_before(std::size_t byte) noexcept {
  return std::find(kHyphens.begin(), kHyphens.end(), static_cast<int>(byte)) != kHyphens.end();
}

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

JobId JobId::make() noexcept {
  static thread_local RandomBytes random;
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  const auto milliseconds = static_cast<std::uint64_t>(now.count());
  Bytes bytes;
  for (std::size_t i = 0; i < 6; ++i) {
    bytes[i] = static_cast<std::uint8_t>(milliseconds >> (8 * (5 - i)));
  }
  random.take(bytes.data() + 6);
  bytes[6] = static_cast<std::uint8_t>(0x70U | (bytes[6] & 0x0FU));  // version 7
  bytes[8] = static_cast<std::uint8_t>(0x80U | (bytes[8] & 0x3FU));  // RFC 9562 variant
  return JobId(bytes);
}

std::optional<JobId> JobId::parse(std::string_view text) noexcept {
  if (text.size() != 36) return std::nullopt;
  Bytes bytes;
  std::size_t at = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (hyphen_before(i) && text[at++] != '-') return std::nullopt;
    const int high = hex_value(text[at]);
    const int low = hex_value(text[at + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
    at += 2;
  }
  return JobId(bytes);
}

std::string JobId::to_string() const {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(36);
  for (std::size_t i = 0; i < bytes_.size(); ++i) {
    if (hyphen_before(i)) text.push_back('-');
    text.push_back(kDigits[bytes_[i] >> 4U]);
    text.push_back(kDigits[bytes_[i] & 0x0FU]);
  }
  return text;
}

std::chrono::system_clock::time_point JobId::made_at() const noexcept {
  std::int64_t milliseconds = 0;
  for (std::size_t i = 0; i < 6; ++i) milliseconds = milliseconds * 256 + bytes_[i];
  return std::chrono::system_clock::time_point(std::chrono::milliseconds(milliseconds));
}

JOBWIRE_NAMESPACE_END
