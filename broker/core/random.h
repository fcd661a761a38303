// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace jobwire::core {

/// SplitMix64 (Steele, Lea, Flood 2014, doi:10.1145/2714064.2660195): lease nonces and jitter. The
/// seed is an argument of the core, so that a run can be repeated; in `jobwired` it comes from the
/// kernel.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }

  /// Uniform in [0, 1).
  double fraction() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

 private:
  std::uint64_t state_;
};

}  // namespace jobwire::core
