// SPDX-License-Identifier: Apache-2.0
#include "app/process_limits.h"

#include <fmt/format.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace jobwire::app {

std::uint64_t raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  constexpr rlim_t kEnough = 65'536;
  const rlim_t wanted =
      limit.rlim_max == RLIM_INFINITY ? kEnough : std::min(kEnough, limit.rlim_max);
  if (limit.rlim_cur < wanted) {
    limit.rlim_cur = wanted;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
  }
  return limit.rlim_cur;
}

void give_back_large_blocks() { mallopt(M_MMAP_THRESHOLD, 256 << 10); }

ports::Status limit_memory(std::uint64_t bytes) {
  if (bytes == 0) return {};
  std::uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const std::uint64_t used = pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  constexpr std::uint64_t kRoom = 64U << 20;
  if (bytes < used + kRoom) {
    return ports::Failure{
        fmt::format("memory-limit {} is too little: {} MiB are in use at the start", bytes,
                    used >> 20),
        false};
  }
  const rlimit limit{bytes, bytes};
  if (setrlimit(RLIMIT_AS, &limit) != 0) {
    return ports::Failure{fmt::format("cannot limit memory: {}", std::strerror(errno)), false};
  }
  return {};
}

}  // namespace jobwire::app
