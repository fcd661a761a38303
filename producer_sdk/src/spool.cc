// SPDX-License-Identifier: Apache-2.0
#include "spool.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "crc32c.h"
#include "read_job.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {
namespace {

constexpr std::array<char, 8> kFileMagic = {'J', 'W', 'S', 'P', 'O', 'O', 'L', '1'};
constexpr std::uint32_t kRecordMagic = 0x5253574A;  // "JWSR"
constexpr std::size_t kHeaderBytes = 16;            // the magic, then the salt
constexpr std::size_t kEnvelopeRoom = 256;          // what an envelope holds besides its job
constexpr std::uint32_t kJob = 1;
constexpr std::uint32_t kStruck = 2;

struct RecordHead {
  std::uint32_t magic = kRecordMagic;
  std::uint32_t kind = 0;
  std::uint64_t size = 0;  ///< Of what follows.
  std::uint32_t crc = 0;   ///< Of kind, size and what follows.
  std::uint32_t reserved = 0;
};
static_assert(sizeof(RecordHead) == 24);

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

std::uint32_t crc_of(std::uint64_t salt, const RecordHead& head,
                     std::span<const std::span<const std::byte>> body) {
  std::uint32_t crc = crc32c(bytes_of(salt));
  crc = crc32c(bytes_of(head.kind), crc);
  crc = crc32c(bytes_of(head.size), crc);
  for (const auto piece : body) crc = crc32c(piece, crc);
  return crc;
}

/// The whole record at the start of `bytes`, when there is one that is intact.
std::optional<std::span<const std::byte>> record_at(std::uint64_t salt,
                                                    std::span<const std::byte> bytes,
                                                    RecordHead& head) {
  if (bytes.size() < sizeof head) return std::nullopt;
  std::memcpy(&head, bytes.data(), sizeof head);
  if (head.magic != kRecordMagic || head.size > bytes.size() - sizeof head) return std::nullopt;
  const auto body = bytes.subspan(sizeof head, head.size);
  if (head.crc != crc_of(salt, head, {&body, 1})) return std::nullopt;
  return body;
}

/// A job's record: the length of its envelope, the envelope, the payload.
std::optional<Job> read_record(std::span<const std::byte> body) {
  std::uint64_t envelope_bytes = 0;
  if (body.size() < sizeof envelope_bytes) return std::nullopt;
  std::memcpy(&envelope_bytes, body.data(), sizeof envelope_bytes);
  body = body.subspan(sizeof envelope_bytes);
  if (envelope_bytes == 0 || envelope_bytes > body.size() || envelope_bytes > kMaxEnvelopeBytes) {
    return std::nullopt;
  }
  std::vector<std::uint64_t> aligned((envelope_bytes + 7) / 8);
  std::memcpy(aligned.data(), body.data(), envelope_bytes);
  const auto* buffer = reinterpret_cast<const std::uint8_t*>(aligned.data());
  auto verifier = bounded_verifier(buffer, envelope_bytes);
  if (!wire::VerifyMessageBuffer(verifier)) return std::nullopt;
  const wire::Submit* submit = wire::GetMessage(buffer)->body_as_Submit();
  if (!submit || !submit->jobs() || submit->jobs()->size() != 1) return std::nullopt;
  auto job = read_job(*submit->jobs()->Get(0), body.subspan(envelope_bytes));
  if (job) job->watch(false);  // whoever waited for its result is gone
  return job;
}

bool write_all(int fd, std::span<const std::span<const std::byte>> pieces, std::uint64_t offset) {
  std::vector<iovec> rest;
  for (const auto piece : pieces) {
    if (!piece.empty()) rest.push_back({const_cast<std::byte*>(piece.data()), piece.size()});
  }
  std::size_t at = 0;
  while (at < rest.size()) {
    const ssize_t written = pwritev(fd, rest.data() + at, static_cast<int>(rest.size() - at),
                                    static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    offset += static_cast<std::uint64_t>(written);
    auto left = static_cast<std::size_t>(written);
    while (at < rest.size() && left >= rest[at].iov_len) left -= rest[at++].iov_len;
    if (at < rest.size()) {
      rest[at].iov_base = static_cast<std::byte*>(rest[at].iov_base) + left;
      rest[at].iov_len -= left;
    }
  }
  return true;
}

bool read_all(int fd, std::span<std::byte> out, std::uint64_t offset) {
  while (!out.empty()) {
    const ssize_t got = pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    out = out.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  return true;
}

Error error_of(const std::string& path, const char* what) {
  return {ErrorCode::SpoolFailed, "spool \"" + path + "\": " + what + ": " + std::strerror(errno)};
}

}  // namespace

Spool::Spool(std::string path, std::size_t max_bytes, int fd)
    : path_(std::move(path)), max_bytes_(max_bytes), fd_(fd) {}

Spool::~Spool() { ::close(fd_); }

Error Spool::failed(const char* what) const { return error_of(path_, what); }

Result<std::unique_ptr<Spool>> Spool::open(const std::string& path, std::size_t max_bytes,
                                           Recovered& recovered) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return error_of(path, "cannot be opened");
  std::unique_ptr<Spool> spool(new Spool(path, max_bytes, fd));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    return Error(ErrorCode::SpoolFailed, "spool \"" + path + "\": another process uses it");
  }
  if (const Status read = spool->recover(recovered); !read) return read.error();
  return spool;
}

std::array<Spool::Piece, 2> Spool::header() const {
  return {std::as_bytes(std::span(kFileMagic)), bytes_of(salt_)};
}

Status Spool::recover(Recovered& recovered) {
  struct stat info {};
  if (fstat(fd_, &info) != 0) return failed("cannot be read");
  if (!S_ISREG(info.st_mode)) {
    return Error(ErrorCode::SpoolFailed, "spool \"" + path_ + "\": no regular file");
  }
  std::vector<std::byte> file(static_cast<std::size_t>(info.st_size));
  if (!read_all(fd_, file, 0)) return failed("cannot be read");
  const std::size_t known = std::min(file.size(), kFileMagic.size());
  if (known > 0 && std::memcmp(file.data(), kFileMagic.data(), known) != 0) {
    return Error(ErrorCode::SpoolFailed, "spool \"" + path_ + "\": the file is no spool");
  }
  end_ = kHeaderBytes;
  if (file.size() < kHeaderBytes) {  // new, or its maker died at once
    std::memcpy(&salt_, JobId::make().bytes().data() + 8, sizeof salt_);
    if (!write_all(fd_, header(), 0)) return failed("cannot be written");
    return {};
  }
  std::memcpy(&salt_, file.data() + kFileMagic.size(), sizeof salt_);
  std::vector<std::pair<JobId, std::uint64_t>> order;
  for (std::size_t at = kHeaderBytes; at < file.size();) {
    RecordHead head;
    const auto body = record_at(salt_, std::span(file).subspan(at), head);
    if (!body) {  // to the next that is intact, if there is one
      ++at;
      ++recovered.damaged_bytes;
      continue;
    }
    const std::size_t whole = sizeof head + body->size();
    if (head.kind == kJob) {
      if (const auto job = read_record(*body)) {
        *places_.insert(*job->id()).first = {at, whole};
        order.emplace_back(*job->id(), at);
      } else {
        recovered.damaged_bytes += whole;
      }
    } else if (head.kind == kStruck) {
      for (std::size_t i = 0; i + sizeof(JobId) <= body->size(); i += sizeof(JobId)) {
        JobId::Bytes id;
        std::memcpy(id.data(), body->data() + i, id.size());
        places_.erase(JobId(id));
      }
    }
    at += whole;
    end_ = at;
  }
  for (const auto& [id, offset] : order) {
    const Place* place = places_.find(id);
    if (!place || place->offset != offset) continue;  // struck off, or written once more
    const auto body = std::span(file).subspan(place->offset + sizeof(RecordHead),
                                              place->bytes - sizeof(RecordHead));
    if (auto job = read_record(body)) {
      live_bytes_ += place->bytes;
      recovered.jobs.push_back(std::move(*job));
    }
  }
  // A torn end would hide what is written behind it.
  if (ftruncate(fd_, static_cast<off_t>(end_)) != 0) return failed("cannot be cut");
  return {};
}

Status Spool::append(std::uint32_t kind, std::span<const Piece> body, Place* place) {
  RecordHead head;
  head.kind = kind;
  for (const Piece piece : body) head.size += piece.size();
  head.crc = crc_of(salt_, head, body);
  std::vector<Piece> pieces = {bytes_of(head)};
  pieces.insert(pieces.end(), body.begin(), body.end());
  if (!write_all(fd_, pieces, end_)) {
    const Error error = failed("takes no more");
    [[maybe_unused]] const int cut = ftruncate(fd_, static_cast<off_t>(end_));
    return error;
  }
  if (place) *place = {end_, sizeof head + head.size};
  end_ += sizeof head + head.size;
  return {};
}

Status Spool::add(const Job& job, const JobId& id, TimePoint deadline) {
  const std::size_t most = max_bytes_ / 2;
  const std::size_t bound =
      sizeof(RecordHead) + kEnvelopeRoom + Outbound::envelope_bytes(job) + job.payload().size();
  if (bound > most) {
    return Error(ErrorCode::TooLarge, "spool \"" + path_ + "\": the job is over its bound");
  }
  std::unique_lock lock(mutex_);
  ++waiting_;
  room_.wait_until(lock, deadline, [&] { return closed_ || live_bytes_ + bound <= most; });
  --waiting_;
  if (live_bytes_ + bound > most) {
    return Error(ErrorCode::Full, "spool \"" + path_ + "\": it holds as much as it may");
  }
  if (places_.find(id)) return {};  // the same job once more
  if (end_ + bound > max_bytes_) {
    if (const Status compacted = compact(); !compacted) return compacted;
  }
  Entry& entry = entry_.front();
  entry.job = job;
  entry.id = id;
  Blob blob;
  const auto envelope = std::as_bytes(outbound_.submit(0, entry_, blob));
  const std::uint64_t envelope_bytes = envelope.size();
  const std::array<Piece, 3> body = {bytes_of(envelope_bytes), envelope, job.payload()};
  Place place;
  const Status written = append(kJob, body, &place);
  entry.job = Job(std::string_view());
  if (!written) return written;
  *places_.insert(id).first = place;
  live_bytes_ += place.bytes;
  return {};
}

void Spool::remove(std::span<const JobId> ids) {
  const std::lock_guard lock(mutex_);
  std::vector<JobId> struck;
  for (const JobId& id : ids) {
    const Place* place = places_.find(id);
    if (!place) continue;
    live_bytes_ -= place->bytes;
    places_.erase(id);
    struck.push_back(id);
  }
  if (struck.empty()) return;
  if (waiting_ > 0) room_.notify_all();
  if (places_.size() == 0 && ftruncate(fd_, static_cast<off_t>(kHeaderBytes)) == 0) {
    end_ = kHeaderBytes;
    return;
  }
  const auto body = std::as_bytes(std::span(struck));
  // On failure the next process sends these again.
  [[maybe_unused]] const Status written = append(kStruck, {&body, 1}, nullptr);
}

Status Spool::compact() {
  const std::string next = path_ + ".next";
  const int fd = ::open(next.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return failed("no second file for its jobs");
  const auto give_up = [&](const char* what) -> Status {
    const Error error = failed(what);
    ::close(fd);
    unlink(next.c_str());
    return error;
  };
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) return give_up("its second file is in use");
  std::vector<std::pair<JobId, Place>> live;
  places_.for_each([&live](const JobId& id, const Place& place) { live.emplace_back(id, place); });
  std::sort(live.begin(), live.end(),
            [](const auto& a, const auto& b) { return a.second.offset < b.second.offset; });
  if (!write_all(fd, header(), 0)) return give_up("its second file takes no more");
  std::uint64_t end = kHeaderBytes;
  std::vector<std::byte> record;
  for (auto& [id, place] : live) {
    record.resize(place.bytes);
    const Piece piece(record);
    if (!read_all(fd_, record, place.offset)) return give_up("cannot be read");
    if (!write_all(fd, {&piece, 1}, end)) return give_up("its second file takes no more");
    place.offset = end;
    end += place.bytes;
  }
  if (rename(next.c_str(), path_.c_str()) != 0) return give_up("cannot be replaced");
  ::close(fd_);
  fd_ = fd;
  end_ = end;
  for (const auto& [id, place] : live) *places_.find(id) = place;
  return {};
}

void Spool::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  room_.notify_all();
}

std::size_t Spool::size() const {
  const std::lock_guard lock(mutex_);
  return places_.size();
}

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
