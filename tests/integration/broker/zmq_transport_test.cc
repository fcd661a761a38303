// SPDX-License-Identifier: Apache-2.0
#include "adapters/zmq/zmq_transport.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include "adapters/zmq/endpoint.h"

namespace jobwire::zmq_adapter {
namespace {

using ports::Side;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kPatience{10'000};

std::span<const std::uint8_t> bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
std::string text(std::span<const std::uint8_t> span) { return {span.begin(), span.end()}; }

// A TCP connection that speaks whatever it is told to.
class RawConnection {
 public:
  explicit RawConnection(std::uint16_t port) : descriptor_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const timeval limit{10, 0};
    setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  ~RawConnection() { close(descriptor_); }
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;

  void say(std::string_view words) {
    EXPECT_GE(send(descriptor_, words.data(), words.size(), MSG_NOSIGNAL), 0);
  }

  // Whether the other side ends the connection before the patience does.
  bool is_closed_by_peer() {
    char buffer[256];
    while (true) {
      const ssize_t size = recv(descriptor_, buffer, sizeof buffer, 0);
      if (size == 0) return true;
      if (size < 0) return errno == ECONNRESET;
    }
  }

 private:
  int descriptor_;
};

class ZmqTransportTest : public testing::Test {
 protected:
  ZmqTransportTest() { open({}); }

  void open(TransportOptions options) {
    transport_.reset();
    options.producers = "tcp://127.0.0.1:*";
    options.workers = "tcp://127.0.0.1:*";
    auto opened = ZmqTransport::open(options);
    ASSERT_TRUE(opened) << opened.failure().message;
    transport_ = std::move(*opened);
  }

  zmq::socket_t dealer(Side side = Side::kProducers, std::string_view route = {}) {
    zmq::socket_t socket(context_, zmq::socket_type::dealer);
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::rcvtimeo, static_cast<int>(kPatience.count()));
    if (!route.empty()) socket.set(zmq::sockopt::routing_id, std::string(route));
    socket.connect(transport_->endpoint(side));
    return socket;
  }

  static void say(zmq::socket_t& socket, std::initializer_list<std::string_view> frames) {
    std::size_t left = frames.size();
    for (const std::string_view frame : frames) {
      socket.send(zmq::buffer(frame), --left ? zmq::send_flags::sndmore : zmq::send_flags::none);
    }
  }

  // The next message of that side; the test fails when none comes in time.
  ports::Received await(Side side = Side::kProducers, milliseconds patience = kPatience) {
    ports::Received message;
    const auto until = steady_clock::now() + patience;
    while (!transport_->receive(side, message)) {
      if (steady_clock::now() > until) {
        ADD_FAILURE() << "no message within " << patience.count() << " ms";
        break;
      }
      transport_->wait(core::Micros{20'000}, {});
    }
    return message;
  }

  // Sends until the answer is `wanted`, receiving in between as a broker does.
  int send_until(ports::PeerId peer, ports::Sent wanted, std::span<const std::uint8_t> envelope) {
    const auto until = steady_clock::now() + kPatience;
    ports::Received message;
    for (int sent = 0;; ++sent) {
      if (transport_->send(peer, envelope, {}) == wanted) return sent;
      if (steady_clock::now() > until) {
        ADD_FAILURE() << "the answer did not come after " << sent << " messages";
        return sent;
      }
      while (transport_->receive(peer.side, message)) {
      }
      if (wanted == ports::Sent::kGone) transport_->wait(core::Micros{5'000}, {});
    }
  }

  zmq::context_t context_;
  std::unique_ptr<ZmqTransport> transport_;
};

TEST_F(ZmqTransportTest, CarriesMessagesBothWaysOnBothSides) {
  for (const Side side : {Side::kProducers, Side::kWorkers}) {
    zmq::socket_t peer = dealer(side);
    say(peer, {"envelope", "blob"});
    const ports::Received message = await(side);
    EXPECT_EQ(text(message.envelope), "envelope");
    EXPECT_EQ(text(message.blob), "blob");
    EXPECT_TRUE(message.has_blob);
    EXPECT_FALSE(message.malformed);
    EXPECT_EQ(message.peer.side, side);
    EXPECT_EQ(transport_->send(message.peer, bytes("answer"), bytes("bytes")), ports::Sent::kYes);
    zmq::message_t frame;
    ASSERT_TRUE(peer.recv(frame));
    EXPECT_EQ(frame.to_string(), "answer");
    EXPECT_TRUE(frame.more());
    ASSERT_TRUE(peer.recv(frame));
    EXPECT_EQ(frame.to_string(), "bytes");
    EXPECT_FALSE(frame.more());
  }
}

TEST_F(ZmqTransportTest, EmptyBlobIsNoFrame) {
  zmq::socket_t peer = dealer();
  say(peer, {"x"});
  const ports::Received message = await();
  EXPECT_FALSE(message.has_blob);
  EXPECT_EQ(transport_->send(message.peer, bytes("answer"), {}), ports::Sent::kYes);
  zmq::message_t frame;
  ASSERT_TRUE(peer.recv(frame));
  EXPECT_FALSE(frame.more());
}

TEST_F(ZmqTransportTest, UnknownPeerIsGone) {
  EXPECT_EQ(transport_->send({Side::kProducers, 12345}, bytes("x"), {}), ports::Sent::kGone);
  EXPECT_EQ(transport_->counters().gone, 1U);
}

TEST_F(ZmqTransportTest, DeadPeerIsGone) {
  ports::PeerId dead;
  {
    zmq::socket_t peer = dealer();
    say(peer, {"x"});
    dead = await().peer;
  }
  send_until(dead, ports::Sent::kGone, bytes("x"));
}

TEST_F(ZmqTransportTest, PeerThatNeverReadsIsFullAndOthersAreServed) {
  TransportOptions options;
  options.send_queue = 100;
  open(options);
  zmq::socket_t silent = dealer();
  silent.set(zmq::sockopt::rcvhwm, 10);
  silent.disconnect(transport_->endpoint(Side::kProducers));
  silent.connect(transport_->endpoint(Side::kProducers));
  say(silent, {"x"});
  const ports::PeerId deaf = await().peer;
  const std::string large(100'000, 'x');
  const int sent = send_until(deaf, ports::Sent::kFull, bytes(large));
  // The queue here, the one there, and what the kernel's buffers take.
  EXPECT_LT(sent, 100 + 10 + 400);
  EXPECT_EQ(transport_->send(deaf, bytes(large), {}), ports::Sent::kFull);
  EXPECT_EQ(transport_->counters().full, 2U);

  zmq::socket_t other = dealer();
  say(other, {"y"});
  EXPECT_EQ(transport_->send(await().peer, bytes("answer"), {}), ports::Sent::kYes);
  zmq::message_t frame;
  ASSERT_TRUE(other.recv(frame));
  EXPECT_EQ(frame.to_string(), "answer");
}

TEST_F(ZmqTransportTest, BytesThatWaitForAPeerAreBoundedAndLeaveWithIt) {
  TransportOptions options;
  options.send_bytes = 10 << 20;
  open(options);
  ports::PeerId deaf;
  const std::string large(2 << 20, 'x');
  {
    zmq::socket_t silent(context_, zmq::socket_type::dealer);
    silent.set(zmq::sockopt::linger, 0);
    silent.set(zmq::sockopt::rcvhwm, 1);
    silent.connect(transport_->endpoint(Side::kProducers));
    say(silent, {"x"});
    deaf = await().peer;
    send_until(deaf, ports::Sent::kFull, bytes(large));
    EXPECT_LE(transport_->waiting_bytes(), 10U << 20);
    EXPECT_GT(transport_->waiting_bytes(), 8U << 20);
  }
  send_until(deaf, ports::Sent::kGone, bytes("x"));
  const auto until = steady_clock::now() + kPatience;
  ports::Received message;
  while (transport_->waiting_bytes() > 0 && steady_clock::now() < until) {
    transport_->receive(Side::kProducers, message);
    transport_->wait(core::Micros{5'000}, {});
  }
  EXPECT_EQ(transport_->waiting_bytes(), 0U);
}

TEST_F(ZmqTransportTest, FrameOverTheLimitEndsItsConnectionOnly) {
  TransportOptions options;
  options.max_frame_bytes = 1000;
  open(options);
  zmq::socket_t peer = dealer();
  say(peer, {std::string(1000, 'x')});
  const ports::PeerId before = await().peer;
  say(peer, {std::string(1001, 'x')});
  send_until(before, ports::Sent::kGone, bytes("x"));
  zmq::socket_t other = dealer();
  say(other, {"y"});
  EXPECT_EQ(text(await().envelope), "y");
}

TEST_F(ZmqTransportTest, WhatIsNotZmtpIsClosedAndCostsNobodyAnything) {
  const std::uint16_t port = port_of(transport_->endpoint(Side::kProducers));
  RawConnection http(port);
  http.say("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  RawConnection garbage(port);
  garbage.say(std::string(4096, '\xA5'));
  RawConnection claims(port);  // a ZMTP greeting, then a frame that claims 2^62 bytes
  claims.say(std::string("\xFF\0\0\0\0\0\0\0\x01\x7F\x03\0NULL", 16) + std::string(48, '\0') +
             std::string("\x02\x40\0\0\0\0\0\0\0", 9));
  RawConnection mute(port);  // says nothing: the handshake has a deadline
  EXPECT_TRUE(http.is_closed_by_peer());
  EXPECT_TRUE(garbage.is_closed_by_peer());
  EXPECT_TRUE(claims.is_closed_by_peer());
  EXPECT_TRUE(mute.is_closed_by_peer());
  zmq::socket_t peer = dealer();
  say(peer, {"x"});
  EXPECT_EQ(text(await().envelope), "x");
  EXPECT_EQ(transport_->counters().received, 1U);
}

TEST_F(ZmqTransportTest, MoreThanTwoFramesAreMalformedAndDropped) {
  zmq::socket_t peer = dealer();
  say(peer, {"1", "2", "3", "4", "5"});
  say(peer, {"next"});
  EXPECT_TRUE(await().malformed);
  const ports::Received next = await();
  EXPECT_FALSE(next.malformed);
  EXPECT_EQ(text(next.envelope), "next");
  EXPECT_FALSE(next.has_blob);
  EXPECT_EQ(transport_->counters().malformed, 1U);
}

TEST_F(ZmqTransportTest, PartsOfNoBytesAreFrames) {
  zmq::socket_t peer = dealer();
  say(peer, {""});
  const ports::Received one = await();
  EXPECT_TRUE(one.envelope.empty());
  EXPECT_FALSE(one.has_blob);
  say(peer, {"", ""});
  const ports::Received two = await();
  EXPECT_TRUE(two.has_blob);
  EXPECT_FALSE(two.malformed);
  std::vector<std::string_view> many(10'000, "");
  for (std::size_t i = 0; i < many.size(); ++i) {
    peer.send(zmq::buffer(many[i]),
              i + 1 < many.size() ? zmq::send_flags::sndmore : zmq::send_flags::none);
  }
  EXPECT_TRUE(await().malformed);
}

TEST_F(ZmqTransportTest, PeerThatChoseItsRoutingIdIsNotServed) {
  zmq::socket_t thief = dealer(Side::kProducers, "admin");
  say(thief, {"x"});
  zmq::socket_t second =
      dealer(Side::kProducers, "admin");  // the same id again: the library ignores it
  say(second, {"x"});
  zmq::socket_t honest = dealer();
  const auto until = steady_clock::now() + kPatience;
  ports::Received message;
  while (transport_->counters().foreign == 0 && steady_clock::now() < until) {
    EXPECT_FALSE(transport_->receive(Side::kProducers, message));
    transport_->wait(core::Micros{10'000}, {});
  }
  EXPECT_GE(transport_->counters().foreign, 1U);
  say(honest, {"y"});
  EXPECT_EQ(text(await().envelope), "y");
}

TEST_F(ZmqTransportTest, TakenPortIsNamedWithItsOwner) {
  TransportOptions options;
  options.producers = transport_->endpoint(Side::kProducers);
  const auto opened = ZmqTransport::open(options);
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.failure().message.find(options.producers), std::string::npos)
      << opened.failure().message;
  EXPECT_NE(opened.failure().message.find("pid " + std::to_string(getpid())), std::string::npos)
      << opened.failure().message;
}

TEST_F(ZmqTransportTest, EndpointsThatOthersReachNeedTheWord) {
  TransportOptions options;
  options.producers = "tcp://0.0.0.0:*";
  options.workers = "tcp://127.0.0.1:*";
  const auto refused = ZmqTransport::open(options);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.failure().message.find("--insecure"), std::string::npos);
  options.insecure = true;
  EXPECT_TRUE(ZmqTransport::open(options));
}

TEST_F(ZmqTransportTest, NonsenseForAnEndpointIsOneClearLine) {
  TransportOptions options;
  options.producers = "ipc://";
  EXPECT_FALSE(ZmqTransport::open(options));
  options.producers = "tcp://127.0.0.1:http";
  const auto refused = ZmqTransport::open(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.failure().message.find('\n'), std::string::npos);
}

TEST_F(ZmqTransportTest, MessagesOfASideThatNobodyAsksForKeepNobodyAwake) {
  zmq::socket_t peer = dealer(Side::kProducers);
  say(peer, {"1"});
  say(peer, {"2"});
  await();
  ports::Received message;
  transport_->wait(core::Micros{1'000}, {});
  const auto before = steady_clock::now();
  for (int i = 0; i < 3; ++i) {
    transport_->receive(Side::kWorkers, message);
    transport_->wait(core::Micros{20'000}, {});
  }
  EXPECT_GE(steady_clock::now() - before, milliseconds{60});
  EXPECT_EQ(text(await().envelope), "2");
}

TEST_F(ZmqTransportTest, WaitEndsWithAMessageADescriptorOrTheTimeout) {
  const int event = eventfd(0, EFD_CLOEXEC);
  pollfd others[1] = {{event, POLLIN, 0}};
  const auto before = steady_clock::now();
  transport_->wait(core::Micros{30'000}, others);
  EXPECT_GE(steady_clock::now() - before, milliseconds{30});
  EXPECT_EQ(others[0].revents, 0);

  const std::uint64_t one = 1;
  ASSERT_EQ(write(event, &one, sizeof one), static_cast<ssize_t>(sizeof one));
  transport_->wait(core::Micros{10'000'000}, others);
  EXPECT_EQ(others[0].revents, POLLIN);
  std::uint64_t count = 0;
  ASSERT_EQ(read(event, &count, sizeof count), static_cast<ssize_t>(sizeof count));

  zmq::socket_t peer = dealer();
  say(peer, {"1"});
  say(peer, {"2"});
  ports::Received message;
  await();
  // One is left, or on its way: a wait never sleeps while a message is there.
  await(Side::kProducers, milliseconds{5'000});
  EXPECT_FALSE(transport_->receive(Side::kProducers, message));
  close(event);
}

TEST(Endpoint, LocalIsWhatOthersCannotReach) {
  for (const char* local : {"tcp://127.0.0.1:7700", "tcp://127.8.9.1:*", "tcp://localhost:1",
                            "tcp://[::1]:7700", "ipc:///tmp/x"}) {
    EXPECT_TRUE(is_local(local)) << local;
  }
  for (const char* open :
       {"tcp://*:7700", "tcp://0.0.0.0:7700", "tcp://eth0:7700", "tcp://[::]:1",
        "tcp://127.example.org:1", "tcp://10.0.0.1:1", "pgm://127.0.0.1:1", ""}) {
    EXPECT_FALSE(is_local(open)) << open;
  }
}

TEST(Endpoint, PortIsReadOrZero) {
  EXPECT_EQ(port_of("tcp://127.0.0.1:7700"), 7700);
  EXPECT_EQ(port_of("tcp://[::1]:7700"), 7700);
  EXPECT_EQ(port_of("tcp://127.0.0.1:*"), 0);
  EXPECT_EQ(port_of("tcp://127.0.0.1:99999"), 0);
  EXPECT_EQ(port_of("ipc:///tmp/x:5"), 0);
}

}  // namespace
}  // namespace jobwire::zmq_adapter
