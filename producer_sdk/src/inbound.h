// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "wire.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// Makes received bytes safe to read: bounds the size, copies to aligned memory (a received frame
/// may start anywhere, and the verifier does not look), verifies. Keeps its memory for the next
/// message.
class Inbound {
 public:
  /// The message in these bytes, or null. Valid until the next call.
  const wire::Message* open(std::span<const std::byte> envelope);
  /// The bytes of the message that was opened last. Aligned for FlatBuffers.
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
    return std::as_bytes(std::span(memory_)).first(size_);
  }

 private:
  std::vector<std::uint64_t> memory_;
  std::size_t size_ = 0;
};

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
