// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "deadline.h"
#include "jobwire/error.h"
#include "link.h"
#include "wire.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// A message from the broker, verified, and the bytes it lies in. Valid during the call.
struct Reply {
  const wire::Message& message;
  /// Aligned for FlatBuffers.
  std::span<const std::byte> envelope;
  std::span<const std::byte> blob;
};

/// One message to the broker that is answered, and whoever waits for the answer. Written again
/// after a reconnect, so asking twice must be as good as once. Used by the I/O thread alone, once
/// it was handed over.
class Request {
 public:
  explicit Request(TimePoint deadline) : deadline_(deadline) {}
  virtual ~Request() = default;
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  /// Writes the message, numbered, into `builder`, which is empty. What `blob` points to must live
  /// as long as this request.
  virtual void write(std::uint64_t number, flatbuffers::FlatBufferBuilder& builder, Blob& blob) = 0;

  /// Fence: done() is to be called once everything has come that the broker sent together with
  /// this.
  enum class Read { Done, More, Fence, Malformed };
  /// A reply that carries the number.
  virtual Read read(const Reply& reply) = 0;
  /// A receipt of a job that is not in flight; true when it is one of this request's.
  virtual bool receipt(const wire::ReceiptHead& /*head*/, const Error* /*refusal*/) {
    return false;
  }
  virtual void progress(const JobId& /*id*/, const JobProgress& /*progress*/) {}
  virtual void done() {}
  /// True when nothing more is awaited.
  [[nodiscard]] virtual bool complete() const { return false; }
  virtual void fail(const Error& error) = 0;

  [[nodiscard]] TimePoint deadline() const noexcept { return deadline_; }

 protected:
  void set_deadline(TimePoint deadline) noexcept { deadline_ = deadline; }

 private:
  TimePoint deadline_;
};

/// Requests on their way from callers to the I/O thread. Thread-safe, bounded.
class Requests {
 public:
  static constexpr std::size_t kMost = 16'384;

  /// False when too many wait, or the client is closed; the request was not taken.
  bool ask(std::shared_ptr<Request> request) {
    const std::lock_guard lock(mutex_);
    if (closed_ || requests_.size() >= kMost) return false;
    requests_.push_back(std::move(request));
    return true;
  }

  std::vector<std::shared_ptr<Request>> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(requests_, {});
  }

  std::vector<std::shared_ptr<Request>> close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    return std::exchange(requests_, {});
  }

 private:
  std::mutex mutex_;
  bool closed_ = false;
  std::vector<std::shared_ptr<Request>> requests_;
};

/// Ends a message.
template <class T>
void finish_message(flatbuffers::FlatBufferBuilder& builder, flatbuffers::Offset<T> body) {
  wire::FinishMessageBuffer(
      builder, wire::CreateMessage(builder, wire::BodyTraits<T>::enum_value, body.Union()));
}

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
