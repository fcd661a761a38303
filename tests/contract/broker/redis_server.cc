// SPDX-License-Identifier: Apache-2.0
#include "redis_server.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "adapters/redis/connection.h"

namespace jobwire::testing {
namespace {

constexpr core::Millis kPatience{10'000};

std::string text_of(const redis::Reply& reply) {
  std::string text;
  for (std::size_t i = 0; i < reply.size(); ++i) {
    if (reply.is_array(i)) continue;
    if (!text.empty()) text += '\n';
    switch (reply.kind(i)) {
      case redis::Reply::Kind::kInteger:
        text += std::to_string(reply.number(i));
        break;
      case redis::Reply::Kind::kNil:
        text += "(nil)";
        break;
      case redis::Reply::Kind::kError:
        text += "(error) " + std::string(reply.text(i));
        break;
      default:
        text += reply.text(i);
    }
  }
  return text;
}

}  // namespace

RedisServer::RedisServer(std::vector<std::string> options) : options_(std::move(options)) {
  char pattern[] = "/tmp/jobwire-test-XXXXXX";
  if (!::mkdtemp(pattern)) throw std::runtime_error("no temporary directory");
  directory_ = pattern;
  start();
}

RedisServer::~RedisServer() {
  kill();
  std::error_code error;
  std::filesystem::remove_all(directory_, error);
}

void RedisServer::launch() {
  std::vector<std::string> words = {"redis-server", "--port",    "0",
                                    "--unixsocket", socket(),    "--dir",
                                    directory_,     "--logfile", directory_ + "/log",
                                    "--save",       ""};
  words.insert(words.end(), options_.begin(), options_.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("no process for redis-server");
  if (pid_ == 0) {
    // It ends with a test that is killed, and holds none of its pipes.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int null = ::open("/dev/null", O_RDWR);
    for (const int fd : {0, 1, 2}) ::dup2(null, fd);
    ::close_range(3, ~0U, 0);
    if (::getppid() == parent) ::execvp("redis-server", arguments.data());
    ::_exit(127);
  }
}

void RedisServer::start() {
  launch();
  for (int tries = 0; tries < 1000; ++tries) {
    const std::string answer = command({"PING"});
    if (answer == "PONG" || answer.starts_with("(error) NOAUTH")) return;
    ::usleep(10'000);
  }
  throw std::runtime_error("redis-server does not answer at " + socket());
}

void RedisServer::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

std::filesystem::path RedisServer::aof() const {
  for (const auto& file : std::filesystem::directory_iterator(directory_ + "/appendonlydir")) {
    if (file.path().string().ends_with(".incr.aof")) return file.path();
  }
  throw std::runtime_error("no AOF in " + directory_);
}

std::uintmax_t RedisServer::aof_size() const { return std::filesystem::file_size(aof()); }

void RedisServer::cut_aof(std::uintmax_t size) const {
  if (size < aof_size()) std::filesystem::resize_file(aof(), size);
}

void RedisServer::freeze() {
  ::kill(pid_, SIGSTOP);
  int status = 0;
  ::waitpid(pid_, &status, WUNTRACED);
}

void RedisServer::thaw() { ::kill(pid_, SIGCONT); }

std::string RedisServer::command(const std::vector<std::string>& words) const {
  std::string bytes = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words)
    bytes += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  redis::Endpoint endpoint;
  endpoint.unix_path = socket();
  redis::Connection connection(endpoint);
  std::string text = "(no answer)";
  if (!connection.connect(kPatience)) return text;
  connection.call(bytes, 1, kPatience, [&](const redis::Reply& reply) { text = text_of(reply); });
  return text;
}

}  // namespace jobwire::testing
