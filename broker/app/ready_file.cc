// SPDX-License-Identifier: Apache-2.0
#include "app/ready_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <utility>

#include "adapters/log/line.h"

namespace jobwire::app {

ReadyFile::ReadyFile(std::string path) : path_(std::move(path)) {}

ReadyFile::~ReadyFile() {
  if (written_) clear();
}

void ReadyFile::clear() {
  if (!path_.empty()) unlink(path_.c_str());
}

ports::Status ReadyFile::write(const std::string& listen, const std::string& listen_workers,
                               const std::string& redis) {
  if (path_.empty()) return {};
  const std::string fresh = fmt::format("{}.{}", path_, getpid());
  std::ofstream file(fresh, std::ios::trunc);
  file << fmt::format("{{\"pid\": {}, \"listen\": {}, \"listen_workers\": {}, \"redis\": {}}}\n",
                      getpid(), log::json_string(listen), log::json_string(listen_workers),
                      log::json_string(redis));
  file.close();
  if (!file || std::rename(fresh.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    unlink(fresh.c_str());
    return ports::Failure{
        fmt::format("cannot write the ready file {}: {}", path_, std::strerror(error)), false};
  }
  written_ = true;
  return {};
}

}  // namespace jobwire::app
