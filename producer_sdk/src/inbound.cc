// SPDX-License-Identifier: Apache-2.0
#include "inbound.h"

#include <cstring>

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

const wire::Message* Inbound::open(std::span<const std::byte> envelope) {
  constexpr std::size_t kLeastBytes = 12;  // root offset, identifier, an empty table
  if (envelope.size() < kLeastBytes || envelope.size() > kMaxEnvelopeBytes) return nullptr;
  const std::size_t words = (envelope.size() + 7) / 8;
  if (memory_.size() < words) memory_.resize(words);
  size_ = envelope.size();
  std::memcpy(memory_.data(), envelope.data(), envelope.size());
  const auto* buffer = reinterpret_cast<const std::uint8_t*>(memory_.data());
  auto verifier = bounded_verifier(buffer, envelope.size());
  return wire::VerifyMessageBuffer(verifier) ? wire::GetMessage(buffer) : nullptr;
}

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
