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

 private:
  std::vector<std::uint64_t> memory_;
};

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
