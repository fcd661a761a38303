// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

namespace jobwire::wire {

/// Hands out (offset, size) slices of one message's blob. Slices may overlap: a producer may send
/// one payload for many jobs. But whoever keeps them copies each, so all of them together may not
/// be larger than `most_bytes`; otherwise a thousand heads would turn one blob into a thousand.
class BlobSlices {
 public:
  BlobSlices(std::span<const std::uint8_t> blob, std::uint64_t most_bytes)
      : blob_(blob), left_(most_bytes) {}

  enum class Verdict : std::uint8_t { kTaken, kOutside, kTooMuch };

  /// `slice` is unchanged unless the verdict is kTaken. An empty slice needs no blob, whatever its
  /// offset.
  Verdict take(std::uint64_t offset, std::uint64_t size, std::span<const std::uint8_t>& slice) {
    if (size == 0) {
      slice = {};
      return Verdict::kTaken;
    }
    if (offset > blob_.size() || size > blob_.size() - offset) return Verdict::kOutside;
    if (size > left_) return Verdict::kTooMuch;
    left_ -= size;
    slice = blob_.subspan(offset, size);
    return Verdict::kTaken;
  }

 private:
  std::span<const std::uint8_t> blob_;
  std::uint64_t left_;
};

}  // namespace jobwire::wire
