// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/data_directory.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>

namespace jobwire::redis {
namespace {

ports::Failure cannot(const std::string& what, const std::filesystem::path& path, int code) {
  return {"cannot " + what + " " + path.string() + ": " + std::strerror(code), false};
}

/// The number that the holder of a lock left in its file; for messages only.
std::string written_in(const std::filesystem::path& path) {
  std::string text;
  std::ifstream(path) >> text;
  return text.empty() ? "unknown" : text;
}

void write_pid(int fd, int pid) {
  const std::string text = std::to_string(pid) + "\n";
  if (::ftruncate(fd, 0) == 0) [[maybe_unused]]
    const ssize_t count = ::pwrite(fd, text.data(), text.size(), 0);
}

std::uint64_t hash_of(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

/// A directory of ours that nobody else can enter; anyone may have put something there before.
ports::Status make_private(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0) return {};
  struct stat found {};
  if (errno != EEXIST || ::lstat(path.c_str(), &found) != 0)
    return cannot("make directory", path, errno);
  if (!S_ISDIR(found.st_mode) || found.st_uid != ::geteuid() || (found.st_mode & 077) != 0)
    return ports::Failure{path + " is not a private directory of this user", false};
  return {};
}

}  // namespace

DataDirectory::~DataDirectory() {
  if (broker_lock_ >= 0) ::close(broker_lock_);
  if (server_lock_ >= 0) ::close(server_lock_);
}

ports::Status DataDirectory::take(const std::filesystem::path& path, core::Millis patience) {
  std::error_code error;
  path_ = std::filesystem::absolute(path, error);
  if (!std::filesystem::exists(path_, error)) {
    std::filesystem::create_directories(path_.parent_path(), error);
    if (::mkdir(path_.c_str(), 0700) != 0 && errno != EEXIST)
      return cannot("make data directory", path_, errno);
  }
  const std::filesystem::path broker = path_ / "jobwired.lock";
  broker_lock_ = ::open(broker.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (broker_lock_ < 0) return cannot("write to data directory", path_, errno);
  if (::flock(broker_lock_, LOCK_EX | LOCK_NB) != 0) {
    ::close(broker_lock_);
    broker_lock_ = -1;
    return ports::Failure{"data directory " + path_.string() + " is in use by jobwired with pid " +
                              written_in(broker),
                          false};
  }
  write_pid(broker_lock_, ::getpid());
  return lock_server(patience);
}

ports::Status DataDirectory::lock_server(core::Millis patience) {
  const std::filesystem::path server = path_ / "redis.lock";
  server_lock_ = ::open(server.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (server_lock_ < 0) return cannot("write to data directory", path_, errno);
  const auto end = std::chrono::steady_clock::now() + patience;
  while (::flock(server_lock_, LOCK_EX | LOCK_NB) != 0) {
    if (std::chrono::steady_clock::now() >= end)
      return ports::Failure{"the redis-server of an earlier jobwired (pid " + written_in(server) +
                                ") still runs in " + path_.string() + "; end it first",
                            false};
    ::poll(nullptr, 0, 20);
  }
  return {};
}

ports::Result<std::string> DataDirectory::socket_path(const std::string& runtime_directory) const {
  const std::string usual = (path_ / "redis.sock").string();
  if (usual.size() < sizeof(sockaddr_un::sun_path)) return usual;
  // The same data directory gives the same place again, so that nothing piles up.
  std::array<char, 32> name;
  std::snprintf(name.data(), name.size(), "jobwired-%016llx",
                static_cast<unsigned long long>(hash_of(path_.string())));
  const std::string base = runtime_directory.empty() ? "/tmp" : runtime_directory;
  const std::string directory = base + "/" + name.data();
  if (auto status = make_private(directory); !status) return status.failure();
  return directory + "/redis.sock";
}

bool DataDirectory::has_aof() const {
  std::error_code error;
  return std::filesystem::exists(path_ / "appendonlydir", error) ||
         std::filesystem::exists(path_ / "appendonly.aof", error);
}

void DataDirectory::note_server(int pid) const { write_pid(server_lock_, pid); }

void DataDirectory::bound_log() const {
  constexpr std::uintmax_t kMost = 4U << 20;
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(log_file(), error);
  if (error || size <= kMost) return;
  // Redis opens the file anew for each line.
  std::filesystem::rename(log_file(), path_ / "redis.log.1", error);
}

std::string DataDirectory::log_tail() const {
  constexpr std::streamoff kTail = 600;
  std::ifstream file(log_file(), std::ios::binary | std::ios::ate);
  if (!file) return {};
  const std::streamoff size = file.tellg();
  file.seekg(size > kTail ? size - kTail : 0);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (size > kTail) text.erase(0, text.find('\n') + 1);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace jobwire::redis
