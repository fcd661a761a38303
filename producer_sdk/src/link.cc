// SPDX-License-Identifier: Apache-2.0
#include "link.h"

#include <poll.h>
#include <zmq.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <utility>

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {
namespace {

constexpr int kReconnectMs = 100;
constexpr int kReconnectMaxMs = 5'000;
constexpr int kHandshakeMs = 3'000;
constexpr int kHeartbeatMs = 5'000;
constexpr int kHeartbeatTimeoutMs = 15'000;
constexpr char kMonitorEndpoint[] = "inproc://jobwire-monitor";
constexpr int kMonitored = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED |
                           ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                           ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

template <class T>
bool set(void* socket, int option, const T& value) {
  return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

int get_fd(void* socket) {
  int fd = -1;
  std::size_t size = sizeof fd;
  return zmq_getsockopt(socket, ZMQ_FD, &fd, &size) == 0 ? fd : -1;
}

int get_events(void* socket) {
  int events = 0;
  std::size_t size = sizeof events;
  return zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) == 0 ? events : 0;
}

std::span<const std::byte> bytes_of(zmq_msg_t& frame) {
  return {static_cast<const std::byte*>(zmq_msg_data(&frame)), zmq_msg_size(&frame)};
}

void release_owner(void* /*data*/, void* owner) {
  delete static_cast<std::shared_ptr<const void>*>(owner);
}

// Sends without waiting; the frame is closed either way.
bool send_frame(void* socket, zmq_msg_t& frame, int flags) {
  if (zmq_msg_send(&frame, socket, flags | ZMQ_DONTWAIT) >= 0) return true;
  zmq_msg_close(&frame);
  return false;
}

bool fill(zmq_msg_t& frame, const Blob& blob) {
  if (blob.owner) {
    auto owner = std::make_unique<std::shared_ptr<const void>>(blob.owner);
    // ZeroMQ takes mutable data and does not change it.
    auto* data = const_cast<std::byte*>(blob.pieces.front().data());
    if (zmq_msg_init_data(&frame, data, blob.size, release_owner, owner.get()) != 0) return false;
    static_cast<void>(owner.release());
    return true;
  }
  if (zmq_msg_init_size(&frame, blob.size) != 0) return false;
  auto* out = static_cast<std::byte*>(zmq_msg_data(&frame));
  for (const auto& piece : blob.pieces) {
    std::memcpy(out, piece.data(), piece.size());
    out += piece.size();
  }
  return true;
}

}  // namespace

struct Link::Sockets {
  void* context = nullptr;
  void* dealer = nullptr;
  void* monitor = nullptr;
  int dealer_fd = -1;
  int monitor_fd = -1;
  std::string endpoint;
  zmq_msg_t frames[2];

  Sockets() {
    for (zmq_msg_t& frame : frames) zmq_msg_init(&frame);
  }

  ~Sockets() {
    for (zmq_msg_t& frame : frames) zmq_msg_close(&frame);
    if (monitor) {
      set(monitor, ZMQ_LINGER, 0);
      zmq_close(monitor);
    }
    if (dealer) {
      zmq_socket_monitor(dealer, nullptr, 0);
      zmq_close(dealer);
    }
    if (context) zmq_ctx_term(context);
  }
};

Link::Link(std::unique_ptr<Sockets> sockets) : sockets_(std::move(sockets)) {}
Link::~Link() = default;

Result<std::unique_ptr<Link>> Link::open(const std::string& endpoint,
                                         std::size_t max_message_bytes) {
  const auto broken = [](const char* what) {
    return Error(ErrorCode::Internal, std::string(what) + ": " + zmq_strerror(zmq_errno()));
  };
  auto sockets = std::make_unique<Sockets>();
  Sockets& s = *sockets;
  s.endpoint = endpoint;
  s.context = zmq_ctx_new();
  if (!s.context) return broken("no ZeroMQ context");
  s.dealer = zmq_socket(s.context, ZMQ_DEALER);
  s.monitor = zmq_socket(s.context, ZMQ_PAIR);
  if (!s.dealer || !s.monitor) return broken("no ZeroMQ socket");
  const bool options =
      set(s.dealer, ZMQ_IMMEDIATE, 1) && set(s.dealer, ZMQ_LINGER, 0) &&
      set(s.dealer, ZMQ_RECONNECT_IVL, kReconnectMs) &&
      set(s.dealer, ZMQ_RECONNECT_IVL_MAX, kReconnectMaxMs) &&
      set(s.dealer, ZMQ_HANDSHAKE_IVL, kHandshakeMs) &&
      set(s.dealer, ZMQ_HEARTBEAT_IVL, kHeartbeatMs) &&
      set(s.dealer, ZMQ_HEARTBEAT_TIMEOUT, kHeartbeatTimeoutMs) &&
      set(s.dealer, ZMQ_HEARTBEAT_TTL, kHeartbeatTimeoutMs) &&
      set(s.dealer, ZMQ_TCP_KEEPALIVE, 1) && set(s.dealer, ZMQ_TCP_KEEPALIVE_IDLE, 30) &&
      set(s.dealer, ZMQ_TCP_KEEPALIVE_INTVL, 10) && set(s.dealer, ZMQ_TCP_KEEPALIVE_CNT, 3) &&
      set(s.dealer, ZMQ_MAXMSGSIZE, static_cast<std::int64_t>(max_message_bytes));
  if (!options) return broken("a ZeroMQ option");
  if (zmq_socket_monitor(s.dealer, kMonitorEndpoint, kMonitored) != 0 ||
      zmq_connect(s.monitor, kMonitorEndpoint) != 0) {
    return broken("no ZeroMQ monitor");
  }
  if (zmq_connect(s.dealer, endpoint.c_str()) != 0) {
    return Error(ErrorCode::InvalidArgument,
                 "endpoint \"" + endpoint + "\": " + zmq_strerror(zmq_errno()));
  }
  s.dealer_fd = get_fd(s.dealer);
  s.monitor_fd = get_fd(s.monitor);
  return std::unique_ptr<Link>(new Link(std::move(sockets)));
}

Link::Event Link::next_event() {
  zmq_msg_t frame;
  zmq_msg_init(&frame);
  Event event = Event::None;
  if (zmq_msg_recv(&frame, sockets_->monitor, ZMQ_DONTWAIT) >= 0) {
    std::uint16_t what = 0;
    if (zmq_msg_size(&frame) >= sizeof what) std::memcpy(&what, zmq_msg_data(&frame), sizeof what);
    event = what == ZMQ_EVENT_HANDSHAKE_SUCCEEDED ? Event::Up : Event::Down;
    while (zmq_msg_more(&frame)) {  // the peer's address
      if (zmq_msg_recv(&frame, sockets_->monitor, ZMQ_DONTWAIT) < 0) break;
    }
  }
  zmq_msg_close(&frame);
  return event;
}

bool Link::send(std::span<const std::uint8_t> envelope, const Blob& blob) {
  // A send that does not wait looks for new connections only now and then; this look is not
  // skipped.
  if (!writable()) return false;
  zmq_msg_t first;
  if (zmq_msg_init_size(&first, envelope.size()) != 0) return false;
  std::memcpy(zmq_msg_data(&first), envelope.data(), envelope.size());
  if (blob.size == 0) return send_frame(sockets_->dealer, first, 0);
  zmq_msg_t second;
  if (!fill(second, blob)) {
    zmq_msg_close(&first);
    return false;
  }
  if (!send_frame(sockets_->dealer, first, ZMQ_SNDMORE)) {
    zmq_msg_close(&second);
    return false;
  }
  // Room is counted in messages, so the second frame always has it. If the connection went in
  // between, ZeroMQ drops both frames, and the job is sent again like any other.
  send_frame(sockets_->dealer, second, 0);
  return true;
}

bool Link::writable() { return (get_events(sockets_->dealer) & ZMQ_POLLOUT) != 0; }

bool Link::receive(Message& message) {
  void* dealer = sockets_->dealer;
  auto& frames = sockets_->frames;
  if (zmq_msg_recv(&frames[0], dealer, ZMQ_DONTWAIT) < 0) return false;
  message = {bytes_of(frames[0]), {}, 1};
  if (!zmq_msg_more(&frames[0])) return true;
  if (zmq_msg_recv(&frames[1], dealer, ZMQ_DONTWAIT) < 0) return true;
  message.blob = bytes_of(frames[1]);
  message.frames = 2;
  // A message of more frames is no message of ours; its rest is read away.
  bool more = zmq_msg_more(&frames[1]) != 0;
  while (more && zmq_msg_recv(&frames[1], dealer, ZMQ_DONTWAIT) >= 0) {
    message.blob = {};
    ++message.frames;
    more = zmq_msg_more(&frames[1]) != 0;
  }
  return true;
}

void Link::wait(TimePoint until, int wake_fd, bool want_room) {
  // ZeroMQ's descriptors tell of changes only: what is there already must be asked for.
  const int wanted = ZMQ_POLLIN | (want_room ? ZMQ_POLLOUT : 0);
  if ((get_events(sockets_->dealer) & wanted) != 0) return;
  if ((get_events(sockets_->monitor) & ZMQ_POLLIN) != 0) return;
  const auto now = Clock::now();
  if (until <= now) return;
  const auto rest = std::chrono::duration_cast<std::chrono::nanoseconds>(until - now).count();
  timespec timeout{};
  timeout.tv_sec = static_cast<std::time_t>(rest / 1'000'000'000);
  timeout.tv_nsec = static_cast<long>(rest % 1'000'000'000);
  pollfd fds[3] = {
      {sockets_->dealer_fd, POLLIN, 0}, {sockets_->monitor_fd, POLLIN, 0}, {wake_fd, POLLIN, 0}};
  ppoll(fds, 3, &timeout, nullptr);
}

void Link::reconnect() {
  zmq_disconnect(sockets_->dealer, sockets_->endpoint.c_str());
  zmq_connect(sockets_->dealer, sockets_->endpoint.c_str());
}

void Link::linger(std::chrono::milliseconds linger) {
  set(sockets_->dealer, ZMQ_LINGER, static_cast<int>(linger.count()));
}

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
