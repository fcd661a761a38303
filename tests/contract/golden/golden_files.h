// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fstream>
#include <iterator>
#include <string>

#include "golden_set.h"

namespace jobwire::golden {

/// The bytes of a file; empty when there is none.
inline Buffer read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline std::string schemas_folder() { return JOBWIRE_SOURCE_DIR "/schemas"; }

}  // namespace jobwire::golden
