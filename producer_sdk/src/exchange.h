// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "backlog.h"
#include "deadline.h"
#include "jobwire/client_options.h"
#include "jobwire/receipt.h"
#include "questions.h"
#include "waker.h"
#include "watches.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// Whether there is a session, for those who wait for the first one. Thread-safe.
class Phase {
 public:
  void open() { change(true, std::nullopt); }
  void lost() { change(false, std::nullopt); }
  /// The broker does not accept this client.
  void refused(Error why) { change(false, std::move(why)); }

  [[nodiscard]] bool is_open() const {
    const std::lock_guard lock(mutex_);
    return open_;
  }
  /// The broker's last refusal of this client, while there is no session.
  [[nodiscard]] std::optional<Error> refusal() const {
    const std::lock_guard lock(mutex_);
    return refusal_;
  }
  /// Waits for a session or a refusal. False when neither came.
  bool wait(TimePoint deadline) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, deadline, [this] { return open_ || refusal_; });
  }

 private:
  void change(bool open, std::optional<Error> refusal) {
    const std::lock_guard lock(mutex_);
    open_ = open;
    refusal_ = std::move(refusal);
    changed_.notify_all();
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  std::optional<Error> refusal_;
};

/// What the I/O thread counts; it alone writes, anybody reads.
class Count {
 public:
  void add(std::uint64_t more = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

struct Counters {
  Count receipted, refused, expired, retried, resent, messages, results, sessions, brokers,
      malformed;
};

/// Everything that callers and the I/O thread share. Each member is thread-safe by itself.
struct Exchange {
  Exchange(std::string broker_endpoint, ClientOptions client_options)
      : endpoint(std::move(broker_endpoint)),
        options(std::move(client_options)),
        backlog(options, waker),
        watches(options) {}

  const std::string endpoint;
  const ClientOptions options;
  Waker waker;
  Backlog backlog;
  Watches watches;
  Questions questions;
  Phase phase;
  Counters counters;
  /// The broker's limit as Welcome told it, the protocol's default before.
  std::atomic<std::size_t> max_payload_bytes{33'554'432};
};

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
