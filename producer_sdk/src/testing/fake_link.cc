// SPDX-License-Identifier: Apache-2.0
#include "testing/fake_link.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstring>
#include <ctime>
#include <utility>

JOBWIRE_NAMESPACE_BEGIN
namespace testing {

using client_detail::Link;

FakeWire::FakeWire() : bell_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
FakeWire::~FakeWire() { close(bell_); }

void FakeWire::ring() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(bell_, &one, sizeof one);
}

void FakeWire::silence() const {
  std::uint64_t rings = 0;
  [[maybe_unused]] const ssize_t got = read(bell_, &rings, sizeof rings);
}

void FakeWire::deliver(std::span<const std::uint8_t> envelope, std::string_view blob) {
  Message message;
  message.envelope.resize((envelope.size() + 7) / 8);
  std::memcpy(message.envelope.data(), envelope.data(), envelope.size());
  message.envelope_bytes = envelope.size();
  const auto bytes = std::as_bytes(std::span(blob));
  message.blob.assign(bytes.begin(), bytes.end());
  const std::lock_guard lock(mutex_);
  messages_.push_back(std::move(message));
  ring();
}

void FakeWire::post_event(Link::Event event) {
  const std::lock_guard lock(mutex_);
  events_.push_back(event);
  ring();
}

bool FakeWire::take(Message& message) {
  const std::lock_guard lock(mutex_);
  if (messages_.empty()) return false;
  message = std::move(messages_.front());
  messages_.pop_front();
  return true;
}

Link::Event FakeWire::take_event() {
  const std::lock_guard lock(mutex_);
  if (events_.empty()) return Link::Event::None;
  const Link::Event event = events_.front();
  events_.pop_front();
  return event;
}

bool FakeWire::has_anything() const {
  const std::lock_guard lock(mutex_);
  return !messages_.empty() || !events_.empty();
}

bool FakeLink::connect(const std::string& /*endpoint*/) {
  disconnect();
  wire_ = std::make_shared<FakeWire>();
  door_.knock(wire_);
  return true;
}

void FakeLink::disconnect() {
  if (wire_) door_.leave(wire_);
  wire_.reset();
}

bool FakeLink::send(std::span<const std::uint8_t> envelope, const client_detail::Blob& blob) {
  if (!wire_) return false;
  FakeWire::Message message;
  message.envelope.resize((envelope.size() + 7) / 8);
  std::memcpy(message.envelope.data(), envelope.data(), envelope.size());
  message.envelope_bytes = envelope.size();
  for (const auto piece : blob.pieces) {
    message.blob.insert(message.blob.end(), piece.begin(), piece.end());
  }
  door_.send(wire_, std::move(message));
  return true;
}

bool FakeLink::receive(Message& message) {
  if (!wire_ || !wire_->take(current_)) return false;
  message.envelope = std::as_bytes(std::span(current_.envelope)).first(current_.envelope_bytes);
  message.blob = current_.blob;
  message.frames = current_.blob.empty() ? 1 : 2;
  return true;
}

void FakeLink::wait(client_detail::TimePoint until, int wake_fd, bool /*want_room*/) {
  if (wire_ && wire_->has_anything()) return;
  const auto now = client_detail::Clock::now();
  if (until <= now) return;
  const auto rest = std::chrono::duration_cast<std::chrono::nanoseconds>(until - now).count();
  timespec timeout{};
  timeout.tv_sec = static_cast<std::time_t>(rest / 1'000'000'000);
  timeout.tv_nsec = static_cast<long>(rest % 1'000'000'000);
  pollfd fds[2] = {{wake_fd, POLLIN, 0}, {wire_ ? wire_->bell() : -1, POLLIN, 0}};
  ppoll(fds, 2, &timeout, nullptr);
  if (wire_) wire_->silence();
}

}  // namespace testing
JOBWIRE_NAMESPACE_END
