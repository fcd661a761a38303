// SPDX-License-Identifier: Apache-2.0
#include "adapters/contracts/contract_folder.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

namespace jobwire::contracts {

ports::Result<std::vector<ports::ContractFile>> read_contract_folder(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code problem;
  std::vector<ports::ContractFile> files;
  fs::directory_iterator entries(path, problem);
  if (problem) return ports::Failure{"contracts: " + path + ": " + problem.message()};
  for (; entries != fs::directory_iterator(); entries.increment(problem)) {
    const fs::path& file = entries->path();
    if (file.extension() == ".fbs") {
      return ports::Failure{"contracts: " + file.string() +
                            " is not compiled: `jobwire gen --bfbs` writes the .bfbs"};
    }
    if (file.extension() != ".bfbs") continue;
    std::ifstream stream(file, std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(stream), {}};
    if (!stream.good() && !stream.eof())
      return ports::Failure{"contracts: " + file.string() + " cannot be read"};
    files.push_back({file.stem().string(), std::move(bytes)});
  }
  if (problem) return ports::Failure{"contracts: " + path + ": " + problem.message()};
  std::sort(files.begin(), files.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return files;
}

}  // namespace jobwire::contracts
