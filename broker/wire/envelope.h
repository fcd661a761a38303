// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/code.h"
#include "jobwire/wire/message_generated.h"

namespace jobwire::wire {

/// A verified message, or why there is none.
struct Opened {
  const Message* message = nullptr;
  core::Code code = core::Code::kNone;
  const char* reason = "";  // a literal
};

/// Copies `bytes` to `memory`, which is aligned for every field, and verifies the copy: size,
/// identifier, structure, depth, number of tables. The message points into `memory`.
///
/// Two things the verifier lets through, for every reader to know: the elements of a vector of
/// structs or of 64-bit numbers may lie at addresses that are not aligned for them (copy them out),
/// and a union's value may be absent although its type is set.
Opened open_envelope(std::span<const std::uint8_t> bytes, std::uint32_t max_jobs,
                     std::vector<std::uint64_t>& memory);

/// Copies to the front of `memory` and returns where the copy begins.
const std::uint8_t* copy_aligned(std::span<const std::uint8_t> bytes,
                                 std::vector<std::uint64_t>& memory);

}  // namespace jobwire::wire
