// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace jobwire::wire {

/// The two texts and the flag of a JobError that the broker itself needs; the rest travels unread.
struct JobErrorWords {
  std::string_view type;
  std::string_view message;
  bool retryable = false;
};

/// Verifies a JobError buffer (identifier JWER), as the envelope is verified. False when it is
/// none. The views point into `bytes`, not into `memory`, which only holds the aligned copy during
/// the call.
bool read_job_error(std::span<const std::uint8_t> bytes, std::vector<std::uint64_t>& memory,
                    JobErrorWords& words);

}  // namespace jobwire::wire
