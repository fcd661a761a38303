// SPDX-License-Identifier: Apache-2.0
#include "waker.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

Waker::Waker() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Waker::~Waker() {
  if (fd_ >= 0) close(fd_);
}

void Waker::wake() noexcept {
  if (!sleeps_.load(std::memory_order_relaxed)) return;
  if (!sleeps_.exchange(false, std::memory_order_relaxed)) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(fd_, &one, sizeof one);
}

void Waker::awake() noexcept {
  sleeps_.store(false, std::memory_order_relaxed);
  sleeps_for_jobs_.store(false, std::memory_order_relaxed);
  std::uint64_t wakes = 0;
  [[maybe_unused]] const ssize_t got = read(fd_, &wakes, sizeof wakes);
}

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
