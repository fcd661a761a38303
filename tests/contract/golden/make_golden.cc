// SPDX-License-Identifier: Apache-2.0
// Writes schemas/golden: make_golden <repository>/schemas. Run it when a message is added, and read
// the difference: bytes of a released message that change are a broken promise.
#include <filesystem>
#include <fstream>
#include <iostream>

#include "golden_set.h"

namespace {

void write(const std::filesystem::path& path, const auto& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  if (!file) {
    std::cerr << "cannot write " << path << '\n';
    std::exit(1);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: make_golden SCHEMAS_FOLDER\n";
    return 2;
  }
  const std::filesystem::path folder = std::filesystem::path(argv[1]) / "golden";
  const jobwire::golden::Schema schema{argv[1]};
  const auto golden = jobwire::golden::golden_messages(schema);
  const auto bad = jobwire::golden::bad_messages(schema);
  std::filesystem::create_directories(folder / "bad");
  for (const auto& message : golden) {
    write(folder / (message.name + ".bin"), message.envelope);
    if (!message.blob.empty()) write(folder / (message.name + ".blob.bin"), message.blob);
  }
  for (const auto& message : bad) {
    // Its size says all there is to it, and a megabyte of zeros is not for a repository.
    if (message.name == "oversized_envelope") continue;
    write(folder / "bad" / (message.name + ".bin"), message.envelope);
    if (!message.blob.empty() && message.blob.size() < 1024) {
      write(folder / "bad" / (message.name + ".blob.bin"), message.blob);
    }
  }
  write(folder / "golden.json", jobwire::golden::index_of(golden, bad));
  return 0;
}
