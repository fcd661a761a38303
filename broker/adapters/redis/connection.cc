// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/connection.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <chrono>
#include <cstring>

namespace jobwire::redis {

bool Connection::fail(std::string message) {
  error_ = std::move(message);
  close();
  return false;
}

bool Connection::fail_errno(const std::string& doing, int code) {
  hopeless_ = code == EACCES || code == EPERM;
  return fail(doing + " " + endpoint_.to_string() + ": " + std::strerror(code));
}

bool Connection::resolve() {
  if (!addresses_.empty()) return true;
  if (!endpoint_.unix_path.empty()) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    hopeless_ = endpoint_.unix_path.size() >= sizeof address.sun_path;
    if (hopeless_)
      return fail("the socket's path is longer than " +
                  std::to_string(sizeof address.sun_path - 1) + " bytes: " + endpoint_.unix_path);
    endpoint_.unix_path.copy(address.sun_path, sizeof address.sun_path - 1);
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&address);
    addresses_.push_back({AF_UNIX, {bytes, bytes + sizeof address}});
    return true;
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code =
      getaddrinfo(endpoint_.host.c_str(), std::to_string(endpoint_.port).c_str(), &hints, &found);
  if (code != 0) return fail("cannot find host " + endpoint_.host + ": " + gai_strerror(code));
  for (const addrinfo* at = found; at; at = at->ai_next) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(at->ai_addr);
    addresses_.push_back({at->ai_family, {bytes, bytes + at->ai_addrlen}});
  }
  freeaddrinfo(found);
  return true;
}

bool Connection::start() {
  assert(closed());
  hopeless_ = false;
  if (!resolve()) return false;
  const Address& address = addresses_[next_address_++ % addresses_.size()];
  fd_ = ::socket(address.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return fail_errno("cannot make a socket for", errno);
  const int on = 1;
  if (address.family != AF_UNIX) {
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(fd_, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  }
  const int room = 4 << 20;  // the kernel cuts it down to what it allows
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  reader_.reset();
  more_ = false;
  connecting_ = false;
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(address.bytes.data()),
                static_cast<socklen_t>(address.bytes.size())) != 0) {
    // A full backlog of a unix socket says EAGAIN, and there is nothing to wait on.
    if (errno != EINPROGRESS) return fail_errno("cannot connect to", errno);
    connecting_ = true;
  }
  return true;
}

void Connection::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  connecting_ = false;
  more_ = false;
  unsent_ = {};
}

bool Connection::finish_connecting() {
  pollfd ready{fd_, POLLOUT, 0};
  if (::poll(&ready, 1, 0) <= 0) return true;
  int code = 0;
  socklen_t size = sizeof code;
  ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &code, &size);
  if (code != 0) return fail_errno("cannot connect to", code);
  connecting_ = false;
  return true;
}

void Connection::send(std::string_view bytes) {
  assert(open() && sent());
  unsent_ = bytes;
  // An error here shows again in pump(), where it can be told.
  while (!unsent_.empty()) {
    const ssize_t count = ::send(fd_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
    if (count < 0) return;
    unsent_.remove_prefix(static_cast<std::size_t>(count));
  }
}

bool Connection::flush() {
  while (!unsent_.empty()) {
    const ssize_t count = ::send(fd_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
    if (count < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) return true;
      if (errno == EINTR) continue;
      return fail_errno("lost the connection to", errno);
    }
    unsent_.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

bool Connection::pump(const std::function<bool(const Reply&)>& on_reply) {
  if (closed()) return false;
  if (connecting_ && !finish_connecting()) return false;
  if (connecting_) return true;
  if (!flush()) return false;
  constexpr std::size_t kChunk = 64 << 10;
  constexpr std::size_t kShare = 2 << 20;  // then the others' turn
  static thread_local char chunk[kChunk];
  more_ = false;
  for (std::size_t total = 0;;) {
    for (;;) {
      const ReplyReader::Next next = reader_.next();
      if (next == ReplyReader::Next::kBroken) {
        hopeless_ = true;
        return fail("what answers at " + endpoint_.to_string() + " is not Redis");
      }
      if (next == ReplyReader::Next::kNeedsMore) break;
      if (!on_reply(reader_.reply())) {
        more_ = !closed();
        return !closed();
      }
    }
    if (total >= kShare) {
      more_ = true;
      return true;
    }
    const ssize_t count = ::recv(fd_, chunk, kChunk, 0);
    if (count == 0) return fail("redis at " + endpoint_.to_string() + " closed the connection");
    if (count < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) return true;
      if (errno == EINTR) continue;
      return fail_errno("lost the connection to", errno);
    }
    reader_.feed({chunk, static_cast<std::size_t>(count)});
    total += static_cast<std::size_t>(count);
  }
}

pollfd Connection::descriptor() const {
  const bool write = connecting_ || !unsent_.empty();
  return {fd_, static_cast<short>(write ? POLLIN | POLLOUT : POLLIN), 0};
}

bool Connection::wait_until(std::chrono::steady_clock::time_point end) {
  const auto now = std::chrono::steady_clock::now();
  const auto left = std::chrono::duration_cast<core::Millis>(end - now).count();
  if (now >= end) return false;
  pollfd ready = descriptor();
  ::poll(&ready, 1, static_cast<int>(std::max<std::int64_t>(1, left)));
  return true;
}

bool Connection::connect(core::Millis timeout) {
  const auto end = std::chrono::steady_clock::now() + timeout;
  if (!start()) return false;
  while (connecting_) {
    if (!finish_connecting()) return false;
    if (connecting_ && !wait_until(end))
      return fail("cannot connect to " + endpoint_.to_string() + " within " +
                  std::to_string(timeout.count()) + " ms");
  }
  return true;
}

bool Connection::call(std::string_view bytes, std::size_t replies, core::Millis timeout,
                      const std::function<void(const Reply&)>& on_reply) {
  if (closed()) return false;
  const auto end = std::chrono::steady_clock::now() + timeout;
  std::size_t got = 0;
  send(bytes);
  while (got < replies) {
    const auto take = [&](const Reply& reply) {
      on_reply(reply);
      return ++got < replies;
    };
    if (!pump(take)) return false;
    if (got < replies && !more_ && !wait_until(end))
      return fail("redis at " + endpoint_.to_string() + " did not answer within " +
                  std::to_string(timeout.count()) + " ms");
  }
  return true;
}

}  // namespace jobwire::redis
