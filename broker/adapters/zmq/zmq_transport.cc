// SPDX-License-Identifier: Apache-2.0
#include "adapters/zmq/zmq_transport.h"

#include <sys/random.h>
#include <zmq.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "adapters/zmq/endpoint.h"

namespace jobwire::zmq_adapter {
namespace {

// A routing id that the library made: a zero byte and a counter. It starts at a random number,
// since whoever could guess ids could take them first.
constexpr std::size_t kRouteBytes = 5;

bool read_route(const zmq::message_t& frame, std::uint64_t& route) {
  if (frame.size() != kRouteBytes) return false;
  const auto* bytes = frame.data<std::uint8_t>();
  if (bytes[0] != 0) return false;
  std::uint32_t value;
  std::memcpy(&value, bytes + 1, sizeof value);
  route = value;
  return true;
}

std::array<std::uint8_t, kRouteBytes> route_frame(std::uint64_t route) {
  std::array<std::uint8_t, kRouteBytes> frame{};
  const auto value = static_cast<std::uint32_t>(route);
  std::memcpy(frame.data() + 1, &value, sizeof value);
  return frame;
}

std::span<const std::uint8_t> bytes_of(const zmq::message_t& frame) {
  return {frame.data<std::uint8_t>(), frame.size()};
}

void seed_rand() {
  unsigned seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != static_cast<ssize_t>(sizeof seed)) std::abort();
  std::srand(seed);
}

ports::Failure bind_failure(const std::string& endpoint, int error) {
  switch (error) {
    case EADDRINUSE: {
      const std::string owner = listener_of(port_of(endpoint));
      return {"cannot listen on " + endpoint + ": the port is taken" +
                  (owner.empty() ? "" : " by " + owner),
              false};
    }
    case EADDRNOTAVAIL:
    case ENODEV:
      return {"cannot listen on " + endpoint + ": this machine has no such address", false};
    case EACCES:
      return {"cannot listen on " + endpoint + ": not permitted", false};
    case EINVAL:
    case EPROTONOSUPPORT:
    case ENOCOMPATPROTO:
      return {
          "cannot listen on " + endpoint + ": not an endpoint, write it like tcp://127.0.0.1:7700",
          false};
    default:
      return {"cannot listen on " + endpoint + ": " + zmq_strerror(error), false};
  }
}

void configure(zmq::socket_t& socket, const TransportOptions& options) {
  socket.set(zmq::sockopt::router_mandatory, true);
  socket.set(zmq::sockopt::router_handover, false);
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::sndhwm, options.send_queue);
  socket.set(zmq::sockopt::rcvhwm, options.receive_queue);
  socket.set(zmq::sockopt::maxmsgsize, std::int64_t{options.max_frame_bytes});
  socket.set(zmq::sockopt::handshake_ivl, 3000);
  socket.set(zmq::sockopt::heartbeat_ivl, 5000);
  socket.set(zmq::sockopt::heartbeat_timeout, 15000);
  socket.set(zmq::sockopt::heartbeat_ttl, 15000);
  socket.set(zmq::sockopt::tcp_keepalive, 1);
  socket.set(zmq::sockopt::tcp_keepalive_idle, 30);
  socket.set(zmq::sockopt::tcp_keepalive_intvl, 10);
  socket.set(zmq::sockopt::tcp_keepalive_cnt, 3);
  socket.set(zmq::sockopt::backlog, 1024);
  // Here CURVE goes, with a ZAP domain that is not empty: without a ZAP handler it would accept
  // every key.
}

}  // namespace

ZmqTransport::ZmqTransport(const TransportOptions& options)
    : budget_(options.send_bytes, options.send_total_bytes), context_(1) {}

ZmqTransport::~ZmqTransport() { close(core::Millis{0}); }

ports::Result<std::unique_ptr<ZmqTransport>> ZmqTransport::open(const TransportOptions& options) {
  seed_rand();
  try {
    std::unique_ptr<ZmqTransport> transport(new ZmqTransport(options));
    for (const auto& [side, endpoint] : {std::pair{ports::Side::kProducers, options.producers},
                                         std::pair{ports::Side::kWorkers, options.workers}}) {
      const ports::Status bound = transport->bind(side, endpoint, options);
      if (!bound) return bound.failure();
    }
    return transport;
  } catch (const zmq::error_t& error) {
    return ports::Failure{std::string("cannot set up the sockets: ") + error.what(), false};
  }
}

ports::Status ZmqTransport::bind(ports::Side side, const std::string& endpoint,
                                 const TransportOptions& options) {
  if (!options.insecure && !is_local(endpoint)) {
    return ports::Failure{
        "will not listen on " + endpoint +
            ": other machines can reach it, and without keys anyone there could run jobs; bind a "
            "loopback address, or say --insecure",
        false};
  }
  Door& door = doors_[index(side)];
  door.socket = zmq::socket_t(context_, zmq::socket_type::router);
  configure(door.socket, options);
  if (endpoint.find('[') != std::string::npos) door.socket.set(zmq::sockopt::ipv6, true);
  if (zmq_bind(door.socket.handle(), endpoint.c_str()) != 0) return bind_failure(endpoint, errno);
  door.endpoint = door.socket.get(zmq::sockopt::last_endpoint);
  door.descriptor = door.socket.get(zmq::sockopt::fd);
  return {};
}

bool ZmqTransport::next_frame(Door& door, zmq::message_t& frame) {
  // Interrupted only when a signal comes before anything was done.
  while (zmq_msg_recv(frame.handle(), door.socket.handle(), ZMQ_DONTWAIT) < 0) {
    if (errno != EINTR) return false;
  }
  return true;
}

bool ZmqTransport::receive(ports::Side side, ports::Received& message) {
  Door& door = doors_[index(side)];
  door.asked = true;
  while (next_frame(door, route_)) {
    // The parts of a message come together: there is no waiting in here, and the library never
    // shows half a message.
    std::size_t frames = 0;
    for (bool more = route_.more(); more; ++frames) {
      zmq::message_t& frame = frames == 0 ? envelope_ : frames == 1 ? blob_ : extra_;
      if (!next_frame(door, frame)) break;
      more = frame.more();
    }
    ++counters_.received;
    message = {};
    message.peer.side = side;
    if (!read_route(route_, message.peer.route)) {
      ++counters_.foreign;
      continue;
    }
    message.malformed = frames == 0 || frames > 2;
    if (message.malformed) ++counters_.malformed;
    if (frames > 0) message.envelope = bytes_of(envelope_);
    if (frames > 1) message.blob = bytes_of(blob_);
    message.has_blob = frames > 1;
    if (frames > 2) extra_.rebuild();
    return true;
  }
  return false;
}

ports::Sent ZmqTransport::send(ports::PeerId peer, std::span<const std::uint8_t> envelope,
                               std::span<const std::uint8_t> blob) {
  void* socket = doors_[index(peer.side)].socket.handle();
  const auto route = route_frame(peer.route);
  if (!budget_.has_room(peer, envelope.size() + blob.size())) {
    ++counters_.full;
    return ports::Sent::kFull;
  }
  while (zmq_send(socket, route.data(), route.size(), ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0) {
    if (errno == EINTR) continue;
    const bool full = errno == EAGAIN;
    ++(full ? counters_.full : counters_.gone);
    return full ? ports::Sent::kFull : ports::Sent::kGone;
  }
  // Once the route is taken the rest is, too: the queue counts whole messages, and one that ends in
  // between is dropped.
  const auto push = [&](std::span<const std::uint8_t> bytes, int flags) {
    zmq_msg_t frame;
    budget_.fill(frame, peer, bytes);
    while (zmq_msg_send(&frame, socket, flags | ZMQ_DONTWAIT) < 0) {
      if (errno == EINTR) continue;
      zmq_msg_close(&frame);
      return false;
    }
    return true;
  };
  const bool taken =
      blob.empty() ? push(envelope, 0) : push(envelope, ZMQ_SNDMORE) && push(blob, 0);
  if (!taken) {
    ++counters_.gone;
    return ports::Sent::kGone;
  }
  ++counters_.sent;
  return ports::Sent::kYes;
}

void ZmqTransport::wait(core::Micros timeout, std::span<pollfd> others) {
  // A socket's descriptor stirs when something changes, not while something is there; asking for
  // its events first takes in what has changed, so that nothing is missed between here and the
  // poll.
  bool ready = false;
  for (Door& door : doors_) {
    if (!door.asked) continue;
    int events = 0;
    std::size_t size = sizeof events;
    if (zmq_getsockopt(door.socket.handle(), ZMQ_EVENTS, &events, &size) == 0)
      ready |= (events & ZMQ_POLLIN) != 0;
  }
  polled_.assign(others.begin(), others.end());
  if (!ready) {
    for (const Door& door : doors_) {
      if (door.asked) polled_.push_back({door.descriptor, POLLIN, 0});
    }
  }
  for (Door& door : doors_) door.asked = false;
  if (wake_descriptor_ >= 0) polled_.push_back({wake_descriptor_, POLLIN, 0});
  const auto patience = ready ? core::Micros{0} : std::max(timeout, core::Micros{0});
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(patience);
  const timespec limit{seconds.count(), std::chrono::nanoseconds(patience - seconds).count()};
  const int stirred = polled_.empty() ? 0 : ppoll(polled_.data(), polled_.size(), &limit, nullptr);
  for (std::size_t i = 0; i < others.size(); ++i) {
    others[i].revents = stirred > 0 ? polled_[i].revents : short{0};
  }
}

void ZmqTransport::close(core::Millis linger) {
  for (Door& door : doors_) {
    if (!door.socket) continue;
    const int milliseconds = static_cast<int>(std::clamp<std::int64_t>(linger.count(), 0, 60'000));
    zmq_setsockopt(door.socket.handle(), ZMQ_LINGER, &milliseconds, sizeof milliseconds);
    door.socket.close();
  }
  context_.close();
}

}  // namespace jobwire::zmq_adapter
