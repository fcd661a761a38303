// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "jobwire/export.h"

JOBWIRE_NAMESPACE_BEGIN

/// Names one job for ever: a UUIDv7 (RFC 9562) made by the producer, so that a submit can be sent
/// again without becoming a second job. Sorts by the time of its making. A plain value.
class JOBWIRE_EXPORT JobId {
 public:
  using Bytes = std::array<std::uint8_t, 16>;

  /// The nil id, which names no job.
  constexpr JobId() noexcept = default;
  /// From sixteen bytes in network order.
  constexpr explicit JobId(const Bytes& bytes) noexcept : bytes_(bytes) {}

  /// A new id: milliseconds of the wall clock, then 74 bits from the kernel's random source. Any
  /// thread, about 50 ns; a forked child does not repeat its parent's ids.
  [[nodiscard]] static JobId make() noexcept;

  /// Reads "018f6d2c-7b1e-7c3a-9f00-5f1d2e3c4b5a", upper or lower case; nothing else.
  [[nodiscard]] static std::optional<JobId> parse(std::string_view text) noexcept;

  [[nodiscard]] std::string to_string() const;
  [[nodiscard]] constexpr const Bytes& bytes() const noexcept { return bytes_; }
  [[nodiscard]] constexpr bool is_nil() const noexcept { return bytes_ == Bytes{}; }

  /// The time that the id carries, to the millisecond.
  [[nodiscard]] std::chrono::system_clock::time_point made_at() const noexcept;

  friend constexpr auto operator<=>(const JobId&, const JobId&) noexcept = default;

 private:
  Bytes bytes_{};
};

JOBWIRE_NAMESPACE_END

template <>
struct std::hash<jobwire::JobId> {
  std::size_t operator()(const jobwire::JobId& id) const noexcept {
    std::uint64_t random_part;  // the first half is time and would collide in runs
    std::memcpy(&random_part, id.bytes().data() + 8, sizeof random_part);
    return static_cast<std::size_t>(random_part * 0x9E3779B97F4A7C15u);
  }
};
