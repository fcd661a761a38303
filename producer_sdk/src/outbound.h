// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "backlog.h"
#include "jobwire/job_id.h"
#include "link.h"
#include "wire.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// Writes the messages of a producer. Each call overwrites the last one's bytes, and keeps the
/// memory for the next.
class Outbound {
 public:
  using Bytes = std::span<const std::uint8_t>;

  Bytes hello(std::string_view client, bool operates);
  Bytes heartbeat(std::uint64_t sequence);
  Bytes goodbye();
  Bytes result_request(std::uint64_t request, std::span<const JobId> ids, bool wait);
  /// The jobs and, in `blob`, where their payloads lie; valid as long as the entries are.
  Bytes submit(std::uint64_t request, const EntryList& entries, Blob& blob);

  /// A bound on what one job adds to an envelope.
  static std::size_t envelope_bytes(const Job& job);

 private:
  flatbuffers::Offset<wire::JobSpec> write_job(const Entry& entry, std::size_t payload_offset);
  flatbuffers::Offset<flatbuffers::String> name(std::string_view text, int which);
  template <class T>
  Bytes finish(flatbuffers::Offset<T> body);

  flatbuffers::FlatBufferBuilder builder_{64 * 1024};
  std::vector<flatbuffers::Offset<wire::JobSpec>> jobs_;
  // The queue and the type of the job before: most jobs of a message share them.
  struct Name {
    std::string_view text;
    flatbuffers::Offset<flatbuffers::String> offset;
  };
  Name names_[2];
};

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
