// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "jobwire/error.h"
#include "jobwire/export.h"

JOBWIRE_NAMESPACE_BEGIN

/// Where a client stands with its brokers. It finds its way from Connecting and Refused to Open by
/// itself, as often as it takes; only close() ends that.
enum class ConnectionState {
  Connecting,  ///< No session: it connects, rests between two attempts, or waits for the welcome.
  Open,        ///< A broker has welcomed it.
  Refused,     ///< Every broker has answered, and none accepts it; it asks again now and then.
  Closed,      ///< close() was called.
};

/// The enumerator's name. Static storage.
JOBWIRE_EXPORT std::string_view to_string(ConnectionState state) noexcept;

struct JOBWIRE_EXPORT Connection {
  ConnectionState state = ConnectionState::Connecting;
  /// The broker of this session, or the one that is tried.
  std::string endpoint;
  /// Why there is no session, where a broker has said so.
  std::optional<Error> error;
  /// Welcomes so far.
  std::uint64_t sessions = 0;
};

JOBWIRE_NAMESPACE_END
