// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>

#include "jobwire/export.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// Which endpoint is tried next, and after what rest: each in turn, with a rest that doubles per
/// round and of which a random part is taken, so that the clients of a broker that went do not come
/// back all at once. Pure: no clock, and the seed is an argument.
class Reconnect {
 public:
  static constexpr std::chrono::milliseconds kFirstRest{100};
  static constexpr std::chrono::milliseconds kLongestRest{5'000};

  /// Requires: endpoints > 0.
  Reconnect(std::size_t endpoints, std::uint64_t seed)
      : endpoints_(endpoints), random_(static_cast<std::minstd_rand::result_type>(seed)) {}

  [[nodiscard]] std::size_t endpoint() const noexcept { return endpoint_; }

  /// The attempt or the session at endpoint() is over: moves on, and says how long to rest first.
  std::chrono::milliseconds failed() {
    const std::size_t round = std::min<std::size_t>(failures_ / endpoints_, 16);
    ++failures_;
    endpoint_ = (endpoint_ + 1) % endpoints_;
    const auto most = std::min(kLongestRest, kFirstRest * (1U << round));
    std::uniform_int_distribution<std::int64_t> part(most.count() / 10, most.count());
    return std::chrono::milliseconds(part(random_));
  }

  /// A broker has welcomed this client.
  void succeeded() noexcept { failures_ = 0; }

 private:
  std::size_t endpoints_;
  std::size_t endpoint_ = 0;
  std::size_t failures_ = 0;
  std::minstd_rand random_;
};

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
