// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "jobwire/export.h"

JOBWIRE_NAMESPACE_BEGIN

/// A contract by which the broker checks payloads.
struct HeldContract {
  struct Method {
    std::string type;            ///< The job type.
    std::uint64_t contract = 0;  ///< Its hash.
  };

  std::string name;
  std::size_t bytes = 0;  ///< Of its binary schema.
  std::vector<Method> methods;
};

JOBWIRE_NAMESPACE_END
