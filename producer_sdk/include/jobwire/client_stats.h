// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "jobwire/export.h"

JOBWIRE_NAMESPACE_BEGIN

/// What a client has done since connect(), for logs and metrics. All counters only grow;
/// `spooled`, `pending`, `watched` and `connected` are as of now.
struct JOBWIRE_EXPORT ClientStats {
  std::uint64_t submitted = 0;  ///< Jobs taken by submit, submit_async, submit_batch and post.
  std::uint64_t receipted = 0;  ///< Of those, accepted by the broker.
  std::uint64_t refused = 0;    ///< Refused by the broker for good.
  std::uint64_t expired = 0;    ///< Given up by submit when its timeout passed.
  std::uint64_t dropped = 0;    ///< Posted jobs that made room for newer ones.
  std::uint64_t overflows = 0;  ///< Jobs not taken because the backlog was full.
  std::uint64_t retried = 0;    ///< Refusals that pass by themselves, answered by trying again.
  std::uint64_t resent = 0;     ///< Sends of a job beyond its first, after silence or a reconnect.
  std::uint64_t messages = 0;   ///< Submit messages sent; submitted / messages is the batch size.
  std::uint64_t results = 0;    ///< Results received.
  std::uint64_t sessions = 0;   ///< Welcomes; more than one means that the client reconnected.
  std::uint64_t brokers = 0;    ///< Different broker processes met; more than one: it restarted.
  std::uint64_t malformed = 0;  ///< Messages from the broker that were no valid protocol, dropped.
  std::uint64_t recovered = 0;  ///< Jobs of an earlier process, found in the spool file.
  std::uint64_t spooled = 0;    ///< Jobs in the spool file now.
  std::uint64_t pending = 0;    ///< Jobs not yet receipted.
  std::uint64_t watched = 0;    ///< Jobs whose result is awaited or kept for a wait().
  bool connected = false;       ///< A session is open.
};

JOBWIRE_NAMESPACE_END
