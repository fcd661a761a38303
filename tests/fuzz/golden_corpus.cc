// SPDX-License-Identifier: Apache-2.0
// Writes the golden messages, good and bad, as inputs of decoder_fuzz: golden_corpus FOLDER.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "golden_files.h"
#include "golden_set.h"

namespace {

using jobwire::golden::Buffer;

// Every role that decoder_fuzz knows: what one may not send must be refused, not misread.
constexpr std::uint8_t kRoles = 5;

void write(const std::filesystem::path& folder, const std::string& name, const Buffer& envelope,
           const Buffer& blob) {
  for (std::uint8_t role = 0; role < kRoles; ++role) {
    std::ofstream out(folder / (name + "." + std::to_string(role)), std::ios::binary);
    const std::uint8_t head[] = {role, static_cast<std::uint8_t>(envelope.size() % 256),
                                 static_cast<std::uint8_t>(envelope.size() / 256 % 256)};
    out.write(reinterpret_cast<const char*>(head), sizeof head);
    out.write(reinterpret_cast<const char*>(envelope.data()),
              static_cast<std::streamsize>(envelope.size()));
    out.write(reinterpret_cast<const char*>(blob.data()),
              static_cast<std::streamsize>(blob.size()));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("golden_corpus FOLDER\n", stderr);
    return 2;
  }
  const jobwire::golden::Schema schema{jobwire::golden::schemas_folder()};
  for (const auto& message : jobwire::golden::golden_messages(schema))
    write(argv[1], message.name, message.envelope, message.blob);
  for (const auto& message : jobwire::golden::bad_messages(schema))
    write(argv[1], "bad_" + message.name, message.envelope, message.blob);
  return 0;
}
