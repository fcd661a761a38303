// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "link.h"

JOBWIRE_NAMESPACE_BEGIN
namespace testing {

/// One end of a connection in this process: two queues of messages and a bell. The client's end is
/// FakeLink; the broker's is this. Thread-safe.
class FakeWire {
 public:
  FakeWire();
  ~FakeWire();
  FakeWire(const FakeWire&) = delete;
  FakeWire& operator=(const FakeWire&) = delete;

  struct Message {
    std::vector<std::uint64_t> envelope;  // aligned for FlatBuffers
    std::size_t envelope_bytes = 0;
    std::vector<std::byte> blob;
  };

  /// Broker: a message for the client; an event.
  void deliver(std::span<const std::uint8_t> envelope, std::string_view blob);
  void post_event(client_detail::Link::Event event);

  /// Client.
  bool take(Message& message);
  client_detail::Link::Event take_event();
  [[nodiscard]] bool has_anything() const;
  [[nodiscard]] int bell() const noexcept { return bell_; }
  void silence() const;

 private:
  void ring() const;

  int bell_;
  mutable std::mutex mutex_;
  std::deque<Message> messages_;
  std::deque<client_detail::Link::Event> events_;
};

/// A client's link to a broker in this process.
class FakeLink final : public client_detail::Link {
 public:
  /// What the broker does with what comes; all may be called from any client's thread.
  struct Door {
    std::function<void(const std::shared_ptr<FakeWire>&)> knock;
    std::function<void(const std::shared_ptr<FakeWire>&, FakeWire::Message)> send;
    std::function<void(const std::shared_ptr<FakeWire>&)> leave;
  };
  explicit FakeLink(Door door) : door_(std::move(door)) {}
  ~FakeLink() override { disconnect(); }

  bool connect(const std::string& endpoint) override;
  void disconnect() override;
  Event next_event() override { return wire_ ? wire_->take_event() : Event::None; }
  bool send(std::span<const std::uint8_t> envelope, const client_detail::Blob& blob) override;
  bool writable() override { return wire_ != nullptr; }
  bool receive(Message& message) override;
  void wait(client_detail::TimePoint until, int wake_fd, bool want_room) override;
  void linger(std::chrono::milliseconds /*linger*/) override {}

 private:
  Door door_;
  std::shared_ptr<FakeWire> wire_;
  FakeWire::Message current_;
};

}  // namespace testing
JOBWIRE_NAMESPACE_END
