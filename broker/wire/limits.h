// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace jobwire::wire {

/// What one message and one session may hold: the table "Limits" of PROTOCOL.md, which a test
/// compares with these defaults, and what Welcome tells every peer. (The generated code has the
/// name Limits for the table in Welcome.)
struct ProtocolLimits {
  std::uint32_t max_payload_bytes = 33'554'432;
  std::uint32_t max_message_bytes = 34'603'008;
  std::uint32_t max_jobs_per_message = 1024;
  std::uint32_t window_jobs = 16'384;
  std::uint64_t window_bytes = 67'108'864;
  std::uint32_t max_name_bytes = 128;
  std::uint32_t max_error_bytes = 65'536;
  std::uint32_t session_timeout_ms = 30'000;
  std::uint32_t heartbeat_ms = 2'000;
  std::uint32_t max_checkpoint_bytes = 65'536;
};

/// The protocol version that Hello and Welcome name.
inline constexpr std::uint16_t kProtocolVersion = 1;

// Fixed by the protocol, not by a broker's configuration.
inline constexpr std::size_t kMaxEnvelopeBytes = 1'048'576;
/// Root offset, file identifier, one table without fields.
inline constexpr std::size_t kLeastBufferBytes = 12;
inline constexpr std::size_t kVerifierDepth = 16;
inline constexpr std::size_t kMaxDispatches = 256;
inline constexpr std::size_t kMaxHeaders = 32;
inline constexpr std::size_t kMaxHeaderBytes = 8192;
inline constexpr std::size_t kMaxDedupKeyBytes = 128;
/// One entry of Listed backoff for each attempt that a job may have.
inline constexpr std::size_t kMaxListedDelays = 100;
inline constexpr std::size_t kMaxFatalNames = 64;
inline constexpr std::size_t kMaxFatalNameBytes = 256;
inline constexpr std::size_t kMaxClientBytes = 256;
inline constexpr std::size_t kMaxHostNameBytes = 255;
inline constexpr std::size_t kMaxLogTailBytes = 65'536;
inline constexpr std::size_t kMaxProgressBytes = 1024;
inline constexpr std::size_t kMaxReasonBytes = 1024;
inline constexpr std::size_t kMaxByBytes = 128;
inline constexpr std::uint32_t kUsualDeadPage = 100;
inline constexpr std::uint32_t kMaxDeadPage = 500;
/// Attempts of one dead job in a page, or in an import.
inline constexpr std::size_t kMaxAttempts = 500;
/// Most leases, tokens or workers in one list: as many as the largest credit.
inline constexpr std::size_t kMaxLeases = 4096;

/// How many tables an envelope of `bytes` may have: 1 + 64 per KiB, at least 256. The verifier's
/// own default lets a 400-byte message cost 14 ms.
constexpr std::size_t max_tables(std::size_t bytes) {
  const std::size_t tables = 1 + 64 * (bytes / 1024);
  return tables < 256 ? 256 : tables;
}

}  // namespace jobwire::wire
