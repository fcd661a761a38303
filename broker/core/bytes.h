// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

namespace jobwire::core {

/// Immutable bytes with a count of owners: a payload is held by its job, by a batch under way to
/// the store and by a dispatch, and copied by none. One allocation; 8 bytes where it is held. Not
/// thread-safe: the broker's one thread.
class Bytes {
 public:
  Bytes() = default;
  static Bytes copy_of(std::span<const std::uint8_t> source);
  static Bytes copy_of(std::string_view source);

  Bytes(const Bytes& other) : block_(other.block_) { retain(); }
  Bytes(Bytes&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Bytes& operator=(Bytes other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~Bytes() { release(); }

  /// False for bytes that are not here; empty bytes that are here are true.
  explicit operator bool() const { return block_ != nullptr; }
  std::size_t size() const { return block_ ? block_->size : 0; }
  const std::uint8_t* data() const { return block_ ? block_->bytes() : nullptr; }
  std::span<const std::uint8_t> span() const { return {data(), size()}; }
  std::string_view view() const { return {reinterpret_cast<const char*>(data()), size()}; }

 private:
  struct Block {
    std::size_t size;
    std::size_t owners;
    std::uint8_t* bytes() { return reinterpret_cast<std::uint8_t*>(this + 1); }
  };

  void retain() {
    if (block_) ++block_->owners;
  }
  void release();

  Block* block_ = nullptr;
};

}  // namespace jobwire::core
