// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "deadline.h"
#include "id_table.h"
#include "jobwire/job.h"
#include "jobwire/result.h"
#include "outbound.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// The posted jobs of a program that may die, in a file: written before post() returns, struck off
/// once the broker has receipted or refused them, and read when the program comes back. What is
/// written survives this process, not the machine. One process at a time.
///
/// An append-only file of records, each with its length and CRC-32C: a job (the Submit message that
/// carries it alone, then its payload), or the ids that are struck off. What a crash left half
/// written is recognised by its checksum and passed over. When the file has reached its bound, the
/// jobs that are left move to a new one, which takes its place. Thread-safe.
class Spool {
 public:
  struct Recovered {
    std::vector<Job> jobs;  ///< Each with its id, oldest first.
    std::size_t damaged_bytes = 0;
  };

  /// Opens or makes the file. It holds at most `max_bytes`, half of that in jobs. Error:
  /// SpoolFailed, and the file is as it was, when it cannot be used, is another process's, or is no
  /// spool.
  static Result<std::unique_ptr<Spool>> open(const std::string& path, std::size_t max_bytes,
                                             Recovered& recovered);
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  /// Writes the job, waiting for room until `deadline`. Errors: Full when there is none, TooLarge
  /// when there never will be, SpoolFailed when the disk takes no more; the job is then not there.
  Status add(const Job& job, const JobId& id, TimePoint deadline);

  /// Strikes off what is there of these. A strike that cannot be written means that the job is sent
  /// once more by the next process, under the same id.
  void remove(std::span<const JobId> ids);

  /// Whoever waits for room is sent away.
  void close();

  [[nodiscard]] std::size_t size() const;

 private:
  struct Place {
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
  };
  using Piece = std::span<const std::byte>;

  Spool(std::string path, std::size_t max_bytes, int fd);
  Status recover(Recovered& recovered);
  [[nodiscard]] std::array<Piece, 2> header() const;
  Status append(std::uint32_t kind, std::span<const Piece> body, Place* place);
  Status compact();
  [[nodiscard]] Error failed(const char* what) const;

  const std::string path_;
  const std::size_t max_bytes_;
  /// Random, and part of each checksum: no payload can be taken for a record.
  std::uint64_t salt_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable room_;
  int fd_;
  std::uint64_t end_ = 0;
  std::uint64_t live_bytes_ = 0;
  IdTable<Place> places_;
  std::size_t waiting_ = 0;
  bool closed_ = false;
  Outbound outbound_;
  EntryList entry_{1};
};

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
