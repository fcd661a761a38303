// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace jobwire::core {

/// Which jobs of one type a worker takes, by the hashes of the contract's method. A hash stands for
/// every name, id, type and default of the method's request and response (schemas/PROTOCOL.md); the
/// broker only compares.
struct Contract {
  /// What the worker was built with; 0: it knows of no contract.
  std::uint64_t hash = 0;
  /// Earlier ones whose jobs it takes too. Sorted.
  std::vector<std::uint64_t> accepts;
  /// The worker's own word for what it is, for people.
  std::string version;

  /// A job without a contract goes to every worker of its type; one that has a contract only to
  /// those that know it.
  bool takes(std::uint64_t job) const {
    return job == 0 || job == hash || std::binary_search(accepts.begin(), accepts.end(), job);
  }

  friend auto operator<=>(const Contract&, const Contract&) = default;
};

}  // namespace jobwire::core
