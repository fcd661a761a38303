// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/embedded_redis.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <random>
#include <utility>

#include "adapters/redis/connection.h"

namespace jobwire::redis {
namespace {

constexpr core::Millis kFirstPause{50};
constexpr core::Millis kLongestPause{5'000};
constexpr core::Millis kAnswer{200};
constexpr core::Micros kLook{1'000'000};
/// A server that has run for so long has not failed at its start.
constexpr core::Micros kSteadyRun{10'000'000};

int open_pid_fd(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

std::string end_of(int status) {
  if (WIFSIGNALED(status)) return std::string("by signal ") + ::strsignal(WTERMSIG(status));
  return "with exit code " + std::to_string(WEXITSTATUS(status));
}

/// Between fork and exec: only what POSIX allows there.
[[noreturn]] void become_server(const char* program, char* const* arguments, int lock,
                                pid_t parent) {
  // A group of its own: Ctrl-C in a terminal is for the broker, which still needs the server then.
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(127);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int signal : {SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGCHLD}) ::signal(signal, SIG_DFL);
  const int null = ::open("/dev/null", O_RDWR);
  for (const int fd : {0, 1, 2}) ::dup2(null, fd);
  constexpr int kLock = 3;
  if (lock == kLock) {
    ::fcntl(lock, F_SETFD, 0);
  } else {
    ::dup2(lock, kLock);
  }
  ::close_range(kLock + 1, ~0U, 0);
  ::execv(program, arguments);
  ::_exit(127);
}

}  // namespace

EmbeddedRedis::EmbeddedRedis(EmbeddedOptions options)
    : options_(std::move(options)), backoff_(kFirstPause, kLongestPause, std::random_device{}()) {}

EmbeddedRedis::~EmbeddedRedis() { stop(); }

void EmbeddedRedis::say(const std::string& line) const {
  if (options_.log) options_.log(line);
}

ports::Status EmbeddedRedis::find_program() {
  const std::string& name = options_.program;
  if (name.find('/') != std::string::npos) {
    program_ = name;
    if (::access(program_.c_str(), X_OK) == 0) return {};
    return ports::Failure{"cannot run " + name + ": " + std::strerror(errno), false};
  }
  std::size_t at = 0;
  while (at <= options_.search_path.size()) {
    const std::size_t end =
        std::min(options_.search_path.find(':', at), options_.search_path.size());
    program_ = options_.search_path.substr(at, end - at) + "/" + name;
    if (end > at && ::access(program_.c_str(), X_OK) == 0) return {};
    at = end + 1;
  }
  return ports::Failure{"no " + name + " found in " + options_.search_path +
                            "; install it, or name a running Redis with --redis",
                        false};
}

std::vector<std::string> EmbeddedRedis::arguments() const {
  const bool aof = options_.aof != Aof::kOff;
  std::vector<std::string> arguments = {
      program_,
      "--port",
      "0",
      "--unixsocket",
      endpoint_.unix_path,
      "--unixsocketperm",
      "700",
      "--dir",
      directory_.path().string(),
      "--logfile",
      directory_.log_file().string(),
      "--daemonize",
      "no",
      "--save",
      "",
      "--appendonly",
      aof ? "yes" : "no",
      "--appendfsync",
      options_.aof == Aof::kAlways ? "always" : "everysec",
      "--maxmemory",
      std::to_string(options_.max_memory_bytes),
      "--maxmemory-policy",
      "noeviction",
      // A job's hash stays one compact block of memory up to this size of payload (REDIS.md has the
      // figures). The older name of the option is known to every version.
      "--hash-max-ziplist-entries",
      "64",
      "--hash-max-ziplist-value",
      "1024",
      // A job's whole life is about 1.2 KB of log, so Redis's own 64 MB would have it rewritten
      // every second under load. 256 MB are read back in about 2 s.
      "--auto-aof-rewrite-min-size",
      "256mb",
      "--rdbcompression",
      "no",
  };
  return arguments;
}

ports::Status EmbeddedRedis::start() {
  if (auto status = find_program(); !status) return status;
  if (auto status = directory_.take(options_.data_directory, options_.start_timeout); !status)
    return status;
  if (options_.aof == Aof::kOff && directory_.has_aof())
    return ports::Failure{
        "data directory " + directory_.path().string() +
            " holds jobs of a server with AOF; one without AOF would start empty: "
            "turn it on, or choose another directory",
        false};
  auto socket = directory_.socket_path(options_.runtime_directory);
  if (!socket) return socket.failure();
  endpoint_.unix_path = *socket;
  ::unlink(endpoint_.unix_path.c_str());
  if (auto status = spawn(); !status) return status;
  return wait_for_socket();
}

ports::Status EmbeddedRedis::spawn() {
  directory_.bound_log();
  std::vector<std::string> texts = arguments();
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  const pid_t parent = ::getpid();
  const int lock = directory_.server_lock();
  const pid_t child = ::fork();
  if (child < 0)
    return ports::Failure{std::string("cannot start a process: ") + std::strerror(errno), true};
  if (child == 0) become_server(program_.c_str(), pointers.data(), lock, parent);
  pid_ = child;
  pid_fd_ = open_pid_fd(child);
  directory_.note_server(child);
  say("started " + program_ + ", pid " + std::to_string(child) + ", data in " +
      directory_.path().string());
  return {};
}

ports::Status EmbeddedRedis::wait_for_socket() {
  const auto end = std::chrono::steady_clock::now() + options_.start_timeout;
  for (;;) {
    if (const auto ended = reap(false))
      return ports::Failure{program_ + " ended " + *ended + "; the end of " +
                                directory_.log_file().string() + ":\n" + directory_.log_tail(),
                            false};
    // An answer, be it that it is loading: the kernel takes connections before the server has read
    // its files, and a server that cannot read them ends.
    Connection connection(endpoint_);
    if (connection.connect(kAnswer) &&
        connection.call("*1\r\n$4\r\nPING\r\n", 1, kAnswer, [](const Reply&) {}))
      return {};
    if (std::chrono::steady_clock::now() >= end) {
      stop();
      return ports::Failure{program_ + " does not answer at " + endpoint_.unix_path + " after " +
                                std::to_string(options_.start_timeout.count()) + " ms",
                            true};
    }
    pollfd child{pid_fd_, POLLIN, 0};
    ::poll(&child, 1, 10);
  }
}

std::optional<std::string> EmbeddedRedis::reap(bool wait) {
  int status = 0;
  pid_t got = 0;
  do {
    got = ::waitpid(pid_, &status, wait ? 0 : WNOHANG);
  } while (got < 0 && errno == EINTR);
  if (got == 0) return std::nullopt;
  forget();
  return got < 0 ? "unnoticed" : end_of(status);
}

void EmbeddedRedis::forget() {
  if (pid_fd_ >= 0) ::close(pid_fd_);
  pid_fd_ = -1;
  pid_ = -1;
}

void EmbeddedRedis::poll(core::Steady now) {
  if (started_ == core::Steady{}) started_ = now;
  if (now >= next_look_) {
    next_look_ = now + kLook;
    directory_.bound_log();
  }
  if (pid_ > 0) {
    if (const auto ended = reap(false)) {
      ++restarts_;
      const bool at_start = now - started_ < kSteadyRun;
      if (!at_start) backoff_.reset();
      const core::Micros pause = backoff_.next();
      restart_at_ = now + pause;
      say("redis-server ended " + *ended + "; starting it again in " +
          std::to_string(std::chrono::duration_cast<core::Millis>(pause).count()) + " ms" +
          (at_start ? "; the end of its log:\n" + directory_.log_tail() : ""));
    }
  }
  if (!restart_at_ || now < *restart_at_) return;
  restart_at_.reset();
  started_ = now;
  if (auto status = spawn(); !status) {
    restart_at_ = now + backoff_.next();
    say(status.failure().message);
  }
}

void EmbeddedRedis::descriptors(std::vector<pollfd>& out) const {
  if (pid_fd_ >= 0) out.push_back({pid_fd_, POLLIN, 0});
}

std::optional<core::Steady> EmbeddedRedis::deadline() const {
  if (restart_at_) return restart_at_;
  // Without a descriptor for the process its end is found by looking.
  return pid_ > 0 && pid_fd_ < 0 ? std::optional(next_look_) : std::nullopt;
}

void EmbeddedRedis::stop() {
  restart_at_.reset();
  if (pid_ <= 0) return;
  const pid_t pid = pid_;
  ::kill(pid, SIGTERM);
  const auto end = std::chrono::steady_clock::now() + options_.stop_timeout;
  while (pid_ > 0) {
    if (reap(false)) break;
    if (std::chrono::steady_clock::now() >= end) {
      say("redis-server, pid " + std::to_string(pid) + ", does not end: killing it");
      ::kill(pid, SIGKILL);
      reap(true);
      break;
    }
    pollfd child{pid_fd_, POLLIN, 0};
    ::poll(&child, pid_fd_ >= 0 ? 1 : 0, 50);
  }
  ::unlink(endpoint_.unix_path.c_str());
  const std::filesystem::path place = std::filesystem::path(endpoint_.unix_path).parent_path();
  if (place != directory_.path()) ::rmdir(place.c_str());
}

}  // namespace jobwire::redis
