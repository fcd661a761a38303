// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "jobwire/client_options.h"
#include "jobwire/connection.h"
#include "stoppable_wait.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// The client's Connection: written by the I/O thread, read by anybody, and told to the program's
/// hooks when its state changes. Thread-safe.
class Phase {
 public:
  explicit Phase(const ClientOptions& options) : options_(options) {}

  void tries(const std::string& endpoint) {
    const std::lock_guard lock(mutex_);
    connection_.endpoint = endpoint;
  }
  void open() { change(ConnectionState::Open, std::nullopt); }
  void lost() { change(ConnectionState::Connecting, std::nullopt); }
  /// One broker does not accept this client; `all` says that none of the others does.
  void refused(Error why, bool all) {
    change(all ? ConnectionState::Refused : ConnectionState::Connecting, std::move(why));
  }
  /// A broker that was tried did not answer; what another one said still holds.
  void unanswered() { change(ConnectionState::Connecting, connection().error); }
  void closed() { change(ConnectionState::Closed, std::nullopt); }

  [[nodiscard]] Connection connection() const {
    const std::lock_guard lock(mutex_);
    return connection_;
  }
  [[nodiscard]] bool is_open() const {
    const std::lock_guard lock(mutex_);
    return connection_.state == ConnectionState::Open;
  }
  /// Waits for a session or a refusal. False when neither came.
  bool wait(TimePoint deadline, const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    return wait_until(lock, changed_, deadline, stop,
                      [this] { return connection_.state != ConnectionState::Connecting; });
  }

 private:
  void change(ConnectionState state, std::optional<Error> error) {
    Connection now;
    {
      const std::lock_guard lock(mutex_);
      const bool same = connection_.state == state;
      if (state == ConnectionState::Open) ++connection_.sessions;
      connection_.state = state;
      connection_.error = std::move(error);
      changed_.notify_all();
      if (same) return;
      if (!options_.on_connection() && !options_.on_log()) return;
      now = connection_;
    }
    if (options_.on_log()) options_.on_log()(level(state), describe(now));
    if (options_.on_connection()) options_.on_connection()(now);
  }

  static LogLevel level(ConnectionState state) {
    return state == ConnectionState::Open || state == ConnectionState::Closed ? LogLevel::Info
                                                                              : LogLevel::Warning;
  }
  static std::string describe(const Connection& connection) {
    std::string text(to_string(connection.state));
    text += ": " + connection.endpoint;
    if (connection.error) text += ": " + connection.error->to_string();
    return text;
  }

  const ClientOptions& options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Connection connection_;
};

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
