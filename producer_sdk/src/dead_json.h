// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jobwire/job_id.h"
#include "jobwire/result.h"
#include "wire.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// A dead job of a full page as one line of PROTOCOL.md, "Dead jobs as NDJSON", without the line's
/// end. Error: Internal when it points outside the blob.
Result<std::string> to_json_line(const wire::DeadJob& job, std::span<const std::byte> blob);

/// Lines that were read, on their way into one DeadImport message.
class DeadLines {
 public:
  DeadLines();
  ~DeadLines();
  DeadLines(DeadLines&&) noexcept;
  DeadLines& operator=(DeadLines&&) noexcept;

  /// Takes a line. Error: InvalidArgument, and nothing is taken, when it is no dead job.
  Status add(std::string_view line);

  [[nodiscard]] std::size_t size() const noexcept { return ids_.size(); }
  [[nodiscard]] const std::vector<JobId>& ids() const noexcept { return ids_; }
  /// Bytes of payloads and errors.
  [[nodiscard]] std::vector<std::byte>& blob() noexcept { return blob_; }
  /// A bound on the message around them.
  [[nodiscard]] std::size_t envelope_bytes() const noexcept { return envelope_bytes_; }

  /// Writes a DeadImport message that points into the blob.
  void write(std::uint64_t number, const std::string& by,
             flatbuffers::FlatBufferBuilder& builder) const;

 private:
  struct Lines;
  std::unique_ptr<Lines> lines_;
  std::vector<JobId> ids_;
  std::vector<std::byte> blob_;
  std::size_t envelope_bytes_ = 0;
};

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
