// SPDX-License-Identifier: Apache-2.0
#include "socket_proxy.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

namespace jobwire::testing {
namespace {

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

struct Line {
  int store = -1;
  int redis = -1;
  bool held = false;
  std::string bytes;  // held back
};

void close_line(Line& line) {
  if (line.store >= 0) ::close(line.store);
  if (line.redis >= 0) ::close(line.redis);
  line = {};
}

/// Moves what is there; false at the end of the stream.
bool move(int from, int to, bool deliver) {
  char bytes[64 << 10];
  const ssize_t count = ::recv(from, bytes, sizeof bytes, 0);
  if (count <= 0) return false;
  for (ssize_t sent = 0; deliver && sent < count;) {
    const ssize_t now =
        ::send(to, bytes + sent, static_cast<std::size_t>(count - sent), MSG_NOSIGNAL);
    if (now < 0) return false;
    sent += now;
  }
  return true;
}

}  // namespace

SocketProxy::SocketProxy(std::string listen, std::string target)
    : listen_(std::move(listen)), target_(std::move(target)) {
  const sockaddr_un address = address_of(listen_);
  listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener_, 16) != 0)
    throw std::runtime_error("the proxy cannot listen at " + listen_);
  thread_ = std::thread([this] { run(); });
}

SocketProxy::~SocketProxy() {
  stop_ = true;
  thread_.join();
  ::close(listener_);
  ::unlink(listen_.c_str());
}

void SocketProxy::release() {
  release_ = true;
  while (!answered_) ::poll(nullptr, 0, 1);
}

void SocketProxy::run() {
  std::vector<Line> lines;
  while (!stop_) {
    std::vector<pollfd> fds = {{listener_, POLLIN, 0}};
    for (const Line& line : lines) {
      fds.push_back({line.store, POLLIN, 0});
      fds.push_back({line.redis, POLLIN, 0});
    }
    if (::poll(fds.data(), fds.size(), 5) <= 0 && cut_ != Cut::kAll && !release_) continue;
    for (std::size_t i = 0; i < lines.size(); ++i) {
      Line& line = lines[i];
      if (cut_ == Cut::kHold && fds[1 + 2 * i].revents != 0) {
        line.held = true;
        cut_ = Cut::kNone;
      }
      if (line.held) {
        char bytes[64 << 10];
        if (line.store >= 0 && fds[1 + 2 * i].revents != 0) {
          const ssize_t count = ::recv(line.store, bytes, sizeof bytes, 0);
          if (count > 0) {
            line.bytes.append(bytes, static_cast<std::size_t>(count));
          } else {
            ::close(std::exchange(line.store, -1));
          }
        }
        if (release_ && !line.bytes.empty()) {
          ::send(line.redis, line.bytes.data(), line.bytes.size(), MSG_NOSIGNAL);
          line.bytes.clear();
        } else if (fds[2 + 2 * i].revents != 0) {
          // The last reply of a fenced transaction is the epoch's.
          const ssize_t count = ::recv(line.redis, bytes, sizeof bytes, 0);
          answered_ =
              count <= 0 ||
              std::string_view(bytes, static_cast<std::size_t>(count)).ends_with("\r\n1\r\n");
        }
        continue;
      }
      bool alive = cut_ != Cut::kAll;
      if (alive && fds[1 + 2 * i].revents != 0) {
        const bool lost = cut_ == Cut::kRequests;
        alive = move(line.store, line.redis, !lost) && !lost;
        if (lost) cut_ = Cut::kAll;
      }
      if (alive && fds[2 + 2 * i].revents != 0) {
        const bool lost = cut_ == Cut::kReplies;
        alive = move(line.redis, line.store, !lost) && !lost;
        if (lost) cut_ = Cut::kAll;
      }
      if (!alive) close_line(line);
    }
    std::erase_if(lines, [](const Line& line) { return line.store < 0 && !line.held; });
    if (fds[0].revents == 0) continue;
    Line line;
    line.store = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    line.redis = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un target = address_of(target_);
    if (cut_ == Cut::kAll ||
        ::connect(line.redis, reinterpret_cast<const sockaddr*>(&target), sizeof target) != 0) {
      close_line(line);
    } else {
      lines.push_back(line);
    }
  }
  for (Line& line : lines) close_line(line);
}

}  // namespace jobwire::testing
