// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backlog.h"
#include "deadline.h"
#include "jobwire/client_options.h"
#include "phase.h"
#include "request.h"
#include "spool.h"
#include "waker.h"
#include "watches.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

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
  Exchange(std::vector<std::string> broker_endpoints, ClientOptions client_options,
           bool as_operator)
      : operates(as_operator),
        endpoints(std::move(broker_endpoints)),
        options(std::move(client_options)),
        backlog(options, waker),
        watches(options),
        phase(options) {}

  void log(LogLevel level, std::string_view text) const {
    if (options.on_log()) options.on_log()(level, text);
  }
  void tell(JobEvent::Kind kind, const Entry& entry, const Error* error = nullptr) const {
    if (!options.on_job_event()) return;
    const auto since =
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - entry.taken_at);
    options.on_job_event()({kind, entry.id, &entry.job, since, error, nullptr});
  }
  void tell_ended(const JobStatus& status) const {
    if (!options.on_job_event()) return;
    options.on_job_event()({JobEvent::Kind::Ended, status.id, nullptr, {}, nullptr, &status});
  }

  /// Greets as Operator instead of Producer.
  const bool operates;
  /// At least one.
  const std::vector<std::string> endpoints;
  const ClientOptions options;
  /// Null when the program wants none.
  std::unique_ptr<Spool> spool;
  Waker waker;
  Backlog backlog;
  Watches watches;
  Requests requests;
  Phase phase;
  Counters counters;
  /// The broker's limit as Welcome told it, the protocol's default before.
  std::atomic<std::size_t> max_payload_bytes{33'554'432};
};

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
