// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "ports/result.h"

namespace jobwire::app {

/// A file that is there, whole, while the broker serves: {"pid", "listen", "listen_workers",
/// "redis"}. Whoever starts a broker waits for it instead of trying the port, and reads from it
/// which ports the kernel gave.
class ReadyFile {
 public:
  /// An empty path is no file.
  explicit ReadyFile(std::string path);
  /// Takes the file away again, if it was written.
  ~ReadyFile();
  ReadyFile(const ReadyFile&) = delete;
  ReadyFile& operator=(const ReadyFile&) = delete;

  /// Takes away what an earlier broker left, which would be a lie until write().
  void clear();
  /// Replaces the file in one step.
  ports::Status write(const std::string& listen, const std::string& listen_workers,
                      const std::string& redis);

 private:
  std::string path_;
  bool written_ = false;
};

}  // namespace jobwire::app
