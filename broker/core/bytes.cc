// SPDX-License-Identifier: Apache-2.0
#include "core/bytes.h"

#include <cstring>
#include <new>

namespace jobwire::core {

Bytes Bytes::copy_of(std::span<const std::uint8_t> source) {
  Bytes result;
  void* memory = ::operator new(sizeof(Block) + source.size());
  result.block_ = new (memory) Block{source.size(), 1};
  if (!source.empty()) std::memcpy(result.block_->bytes(), source.data(), source.size());
  return result;
}

Bytes Bytes::copy_of(std::string_view source) {
  return copy_of(std::span(reinterpret_cast<const std::uint8_t*>(source.data()), source.size()));
}

void Bytes::release() {
  if (block_ && --block_->owners == 0) ::operator delete(block_);
}

}  // namespace jobwire::core
