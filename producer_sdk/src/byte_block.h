// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

#include "jobwire/export.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// A shared copy of `bytes`, aligned to 8 so that FlatBuffers can read it in place; null when
/// empty. One allocation for bytes and count together.
inline std::shared_ptr<const std::byte[]> copy_bytes(std::span<const std::byte> bytes) {
  if (bytes.empty()) return nullptr;
  auto words = std::make_shared_for_overwrite<std::uint64_t[]>((bytes.size() + 7) / 8);
  auto* start = reinterpret_cast<std::byte*>(words.get());
  std::memcpy(start, bytes.data(), bytes.size());
  return {std::move(words), start};
}

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
