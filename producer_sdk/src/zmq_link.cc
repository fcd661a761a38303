// SPDX-License-Identifier: Apache-2.0
#include "zmq_link.h"

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

constexpr int kNoReconnect = -1;  // the client decides when, and where to
constexpr int kConnectMs = 3'000;
constexpr int kHandshakeMs = 3'000;
constexpr int kHeartbeatMs = 5'000;
constexpr int kHeartbeatTimeoutMs = 15'000;
constexpr int kMonitored = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED |
                           ZMQ_EVENT_CLOSED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
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

class ZmqLink final : public Link {
 public:
  ZmqLink(void* context, std::size_t max_message_bytes)
      : context_(context), max_message_bytes_(static_cast<std::int64_t>(max_message_bytes)) {
    for (zmq_msg_t& frame : frames_) zmq_msg_init(&frame);
  }

  ~ZmqLink() override {
    for (zmq_msg_t& frame : frames_) zmq_msg_close(&frame);
    disconnect();
    zmq_ctx_term(context_);
  }

  bool connect(const std::string& endpoint) override {
    // New sockets each time: no event and no message of the last connection can be taken for one of
    // this.
    disconnect();
    const std::string monitor_endpoint = "inproc://jobwire-monitor-" + std::to_string(++connects_);
    dealer_ = zmq_socket(context_, ZMQ_DEALER);
    monitor_ = zmq_socket(context_, ZMQ_PAIR);
    if (dealer_ && monitor_ && set_options() &&
        zmq_socket_monitor(dealer_, monitor_endpoint.c_str(), kMonitored) == 0 &&
        zmq_connect(monitor_, monitor_endpoint.c_str()) == 0 &&
        zmq_connect(dealer_, endpoint.c_str()) == 0) {
      dealer_fd_ = get_fd(dealer_);
      monitor_fd_ = get_fd(monitor_);
      return true;
    }
    disconnect();
    return false;
  }

  void disconnect() override {
    // In this order: an event that ZeroMQ is about to tell would wait for its reader for ever, and
    // ending the telling for that event.
    if (dealer_) zmq_socket_monitor(dealer_, nullptr, 0);
    if (monitor_) {
      set(monitor_, ZMQ_LINGER, 0);
      zmq_close(monitor_);
    }
    if (dealer_) zmq_close(dealer_);
    monitor_ = nullptr;
    dealer_ = nullptr;
  }

  Event next_event() override {
    if (!monitor_) return Event::None;
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    Event event = Event::None;
    if (zmq_msg_recv(&frame, monitor_, ZMQ_DONTWAIT) >= 0) {
      std::uint16_t what = 0;
      if (zmq_msg_size(&frame) >= sizeof what) {
        std::memcpy(&what, zmq_msg_data(&frame), sizeof what);
      }
      event = what == ZMQ_EVENT_HANDSHAKE_SUCCEEDED ? Event::Up : Event::Down;
      while (zmq_msg_more(&frame)) {  // the peer's address
        if (zmq_msg_recv(&frame, monitor_, ZMQ_DONTWAIT) < 0) break;
      }
    }
    zmq_msg_close(&frame);
    return event;
  }

  bool send(std::span<const std::uint8_t> envelope, const Blob& blob) override {
    // A send that does not wait looks for new connections only now and then; this look is not
    // skipped.
    if (!writable()) return false;
    zmq_msg_t first;
    if (zmq_msg_init_size(&first, envelope.size()) != 0) return false;
    std::memcpy(zmq_msg_data(&first), envelope.data(), envelope.size());
    if (blob.size == 0) return send_frame(dealer_, first, 0);
    zmq_msg_t second;
    if (!fill(second, blob)) {
      zmq_msg_close(&first);
      return false;
    }
    if (!send_frame(dealer_, first, ZMQ_SNDMORE)) {
      zmq_msg_close(&second);
      return false;
    }
    // Room is counted in messages, so the second frame always has it. If the connection went in
    // between, ZeroMQ drops both frames, and the job is sent again like any other.
    send_frame(dealer_, second, 0);
    return true;
  }

  bool writable() override { return dealer_ && (get_events(dealer_) & ZMQ_POLLOUT) != 0; }

  bool receive(Message& message) override {
    if (!dealer_ || zmq_msg_recv(&frames_[0], dealer_, ZMQ_DONTWAIT) < 0) return false;
    message = {bytes_of(frames_[0]), {}, 1};
    if (!zmq_msg_more(&frames_[0])) return true;
    if (zmq_msg_recv(&frames_[1], dealer_, ZMQ_DONTWAIT) < 0) return true;
    message.blob = bytes_of(frames_[1]);
    message.frames = 2;
    // A message of more frames is no message of ours; its rest is read away.
    bool more = zmq_msg_more(&frames_[1]) != 0;
    while (more && zmq_msg_recv(&frames_[1], dealer_, ZMQ_DONTWAIT) >= 0) {
      message.blob = {};
      ++message.frames;
      more = zmq_msg_more(&frames_[1]) != 0;
    }
    return true;
  }

  void wait(TimePoint until, int wake_fd, bool want_room) override {
    if (dealer_) {
      // ZeroMQ's descriptors tell of changes only: what is there already must be asked for.
      const int wanted = ZMQ_POLLIN | (want_room ? ZMQ_POLLOUT : 0);
      if ((get_events(dealer_) & wanted) != 0) return;
      if ((get_events(monitor_) & ZMQ_POLLIN) != 0) return;
    }
    const auto now = Clock::now();
    if (until <= now) return;
    const auto rest = std::chrono::duration_cast<std::chrono::nanoseconds>(until - now).count();
    timespec timeout{};
    timeout.tv_sec = static_cast<std::time_t>(rest / 1'000'000'000);
    timeout.tv_nsec = static_cast<long>(rest % 1'000'000'000);
    pollfd fds[3] = {{wake_fd, POLLIN, 0}, {dealer_fd_, POLLIN, 0}, {monitor_fd_, POLLIN, 0}};
    ppoll(fds, dealer_ ? 3 : 1, &timeout, nullptr);
  }

  void linger(std::chrono::milliseconds linger) override {
    if (dealer_) set(dealer_, ZMQ_LINGER, static_cast<int>(linger.count()));
  }

 private:
  bool set_options() {
    return set(dealer_, ZMQ_IMMEDIATE, 1) && set(dealer_, ZMQ_LINGER, 0) &&
           set(dealer_, ZMQ_RECONNECT_IVL, kNoReconnect) &&
           set(dealer_, ZMQ_CONNECT_TIMEOUT, kConnectMs) &&
           set(dealer_, ZMQ_HANDSHAKE_IVL, kHandshakeMs) &&
           set(dealer_, ZMQ_HEARTBEAT_IVL, kHeartbeatMs) &&
           set(dealer_, ZMQ_HEARTBEAT_TIMEOUT, kHeartbeatTimeoutMs) &&
           set(dealer_, ZMQ_HEARTBEAT_TTL, kHeartbeatTimeoutMs) &&
           set(dealer_, ZMQ_TCP_KEEPALIVE, 1) && set(dealer_, ZMQ_TCP_KEEPALIVE_IDLE, 30) &&
           set(dealer_, ZMQ_TCP_KEEPALIVE_INTVL, 10) && set(dealer_, ZMQ_TCP_KEEPALIVE_CNT, 3) &&
           set(dealer_, ZMQ_MAXMSGSIZE, max_message_bytes_);
  }

  void* context_;
  const std::int64_t max_message_bytes_;
  void* dealer_ = nullptr;
  void* monitor_ = nullptr;
  int dealer_fd_ = -1;
  int monitor_fd_ = -1;
  std::uint64_t connects_ = 0;
  zmq_msg_t frames_[2];
};

}  // namespace

std::unique_ptr<Link> open_zmq_link(std::size_t max_message_bytes) {
  void* context = zmq_ctx_new();
  if (!context) return nullptr;
  return std::make_unique<ZmqLink>(context, max_message_bytes);
}

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
