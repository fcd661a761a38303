// SPDX-License-Identifier: Apache-2.0
#include "wire.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "byte_block.h"
#include "jobwire/wire/error_generated.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {
namespace {

template <class Public, class Wire>
Public known_or(Wire value, Wire last, Public otherwise) {
  // The public enumerators stand in the order of the schema's; names_test compares them.
  return value <= last ? static_cast<Public>(value) : otherwise;
}

std::string text_of(const flatbuffers::String* text) { return text ? text->str() : std::string(); }

std::vector<JobErrorFrame> read_frames(
    const flatbuffers::Vector<flatbuffers::Offset<wire::Frame>>* frames) {
  std::vector<JobErrorFrame> read;
  if (!frames) return read;
  read.reserve(frames->size());
  for (const wire::Frame* frame : *frames) {
    read.push_back({text_of(frame->file()), frame->line(), text_of(frame->function()),
                    text_of(frame->source())});
  }
  return read;
}

struct Meaning {
  ErrorCode code;
  const char* text;
};

Meaning meaning(wire::Code code) {
  using wire::Code;
  switch (code) {
    case Code::Unspecified:
      return {ErrorCode::Internal, "the broker gave no reason"};
    case Code::MalformedFrame:
      return {ErrorCode::Internal, "the broker could not read the message"};
    case Code::UnsupportedVersion:
      return {ErrorCode::Incompatible, "the broker does not speak this protocol version"};
    case Code::UnknownKind:
      return {ErrorCode::Incompatible, "the broker does not know this message"};
    case Code::HelloFirst:
      return {ErrorCode::Unavailable, "the session was lost"};
    case Code::WrongRole:
      return {ErrorCode::NotPermitted, "this is not for producers"};
    case Code::TooLarge:
      return {ErrorCode::TooLarge, "over the broker's limit on bytes"};
    case Code::TooMany:
      return {ErrorCode::TooLarge, "over the broker's limit on entries"};
    case Code::InvalidArgument:
      return {ErrorCode::InvalidArgument, "a value is out of its range"};
    case Code::InvalidName:
      return {ErrorCode::InvalidArgument, "a queue or type name is not valid"};
    case Code::DuplicateMismatch:
      return {ErrorCode::Conflict, "the id is known for another queue or type"};
    case Code::QueueFull:
      return {ErrorCode::Full, "the queue is full"};
    case Code::WindowFull:
      return {ErrorCode::Full, "too many unreceipted jobs"};
    case Code::StoreUnavailable:
      return {ErrorCode::Unavailable, "the broker's store is away"};
    case Code::StoreFull:
      return {ErrorCode::Full, "the broker's store is full"};
    case Code::ShuttingDown:
      return {ErrorCode::Unavailable, "the broker is shutting down"};
    case Code::QueuePaused:
      return {ErrorCode::Paused, "the queue is closed for intake"};
    case Code::QuotaExceeded:
      return {ErrorCode::Full, "a limit of this client's key is reached"};
    case Code::UnknownJob:
      return {ErrorCode::UnknownJob, "this broker never saw the job"};
    case Code::GoneJob:
      return {ErrorCode::GoneJob, "the job is older than what the broker keeps"};
    case Code::AlreadyFinal:
      return {ErrorCode::AlreadyFinal, "the job has ended"};
    case Code::IncompatibleContract:
      return {ErrorCode::Incompatible, "no worker may serve this contract"};
    case Code::NotPermitted:
      return {ErrorCode::NotPermitted, "this client's key does not allow it"};
    case Code::SlowReader:
      return {ErrorCode::Unavailable, "the broker closed the session of a slow reader"};
    case Code::UnknownQueue:
      return {ErrorCode::UnknownQueue, "no queue of that name was ever used"};
    case Code::StaleLease:
    case Code::UnknownWorker:
    case Code::CreditExceeded:
      return {ErrorCode::Internal, "a refusal that is meant for workers"};
  }
  return {ErrorCode::Incompatible, "a refusal that this version of the library does not know"};
}

}  // namespace

std::chrono::system_clock::time_point to_time(std::int64_t unix_ms) {
  constexpr std::int64_t kMost = 9'000'000'000'000;
  return JobStatus::Time(std::chrono::milliseconds(std::clamp<std::int64_t>(unix_ms, 0, kMost)));
}

std::chrono::microseconds to_run_time(std::uint64_t us) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 62U;
  return std::chrono::microseconds(static_cast<std::int64_t>(std::min(us, kMost)));
}

AttemptOutcome from_wire(wire::Outcome outcome) {
  return known_or(outcome, wire::Outcome::MAX, AttemptOutcome::Unspecified);
}

JobState from_wire(wire::State state) {
  return known_or(state, wire::State::MAX, JobState::Unspecified);
}

DeadReason from_wire(wire::DeadReason reason) {
  return known_or(reason, wire::DeadReason::MAX, DeadReason::Unspecified);
}

Durability from_wire(wire::Durability durability) {
  return known_or(durability, wire::Durability::MAX, Durability::Unspecified);
}

Encoding from_wire(wire::Encoding encoding) {
  switch (encoding) {
    case wire::Encoding::Utf8:
      return Encoding::Utf8;
    case wire::Encoding::Json:
      return Encoding::Json;
    case wire::Encoding::FlatBuffer:
      return Encoding::FlatBuffer;
    case wire::Encoding::Npy:
      return Encoding::Npy;
    case wire::Encoding::Unspecified:
    case wire::Encoding::Bytes:
      break;
  }
  return Encoding::Bytes;
}

wire::Encoding to_wire(Encoding encoding) {
  switch (encoding) {
    case Encoding::Bytes:
      return wire::Encoding::Bytes;
    case Encoding::Utf8:
      return wire::Encoding::Utf8;
    case Encoding::Json:
      return wire::Encoding::Json;
    case Encoding::FlatBuffer:
      return wire::Encoding::FlatBuffer;
    case Encoding::Npy:
      return wire::Encoding::Npy;
  }
  return wire::Encoding::Unspecified;
}

Error refusal(wire::Code code, std::string message, std::uint32_t retry_after_ms) {
  const Meaning what = meaning(code);
  if (message.empty()) message = what.text;
  return {what.code, std::move(message), std::chrono::milliseconds(retry_after_ms)};
}

bool passes(wire::Code code) {
  switch (code) {
    case wire::Code::QueueFull:
    case wire::Code::WindowFull:
    case wire::Code::StoreUnavailable:
    case wire::Code::StoreFull:
    case wire::Code::ShuttingDown:
    case wire::Code::QuotaExceeded:
    case wire::Code::HelloFirst:
    case wire::Code::SlowReader:
      return true;
    default:  // every other code, known or not, stays a refusal
      return false;
  }
}

flatbuffers::Verifier bounded_verifier(const std::uint8_t* buffer, std::size_t bytes) {
  const std::size_t tables = std::max<std::size_t>(256, 1 + 64 * (bytes / 1024));
  return flatbuffers::Verifier(buffer, bytes, 16, static_cast<flatbuffers::uoffset_t>(tables));
}

void JobResultAccess::set_bytes(JobResult& result, std::span<const std::byte> bytes,
                                Encoding encoding) {
  result.bytes_ = copy_bytes(bytes);
  result.size_ = bytes.size();
  result.encoding_ = encoding;
}

void JobResultAccess::set_error(JobResult& result, JobError error) {
  result.error_ = std::make_shared<const JobError>(std::move(error));
}

JobError read_job_error(std::span<const std::byte> bytes) {
  JobError error;
  const auto aligned = copy_bytes(bytes);
  const auto* buffer = reinterpret_cast<const std::uint8_t*>(aligned.get());
  constexpr std::size_t kLeastBytes = 12;
  bool readable = bytes.size() >= kLeastBytes;
  if (readable) {
    auto verifier = bounded_verifier(buffer, bytes.size());
    readable = wire::VerifyJobErrorBuffer(verifier);
  }
  if (!readable) {
    error.type = "jobwire.UnreadableError";
    error.message = "the worker's error could not be read";
    error.truncated = true;
    return error;
  }
  const wire::JobError* read = wire::GetJobError(buffer);
  error.type = text_of(read->type());
  error.message = text_of(read->message());
  error.frames = read_frames(read->frames());
  if (const auto* chain = read->chain()) {
    for (const wire::ChainedError* link : *chain) {
      using Relation = ChainedJobError::Relation;
      error.chain.push_back({known_or(link->relation(), wire::Relation::MAX, Relation::Unspecified),
                             text_of(link->type()), text_of(link->message()),
                             read_frames(link->frames())});
    }
  }
  if (const auto* notes = read->notes()) {
    for (const flatbuffers::String* note : *notes) error.notes.push_back(text_of(note));
  }
  error.retryable = read->retryable();
  error.truncated = read->truncated();
  return error;
}

std::optional<Result<JobResult>> read_result(const wire::ResultView& view,
                                             std::span<const std::byte> blob) {
  const std::size_t offset = view.payload_offset();
  const std::size_t size = view.payload_size();
  if (size > 0 && (offset > blob.size() || size > blob.size() - offset)) return std::nullopt;
  if (view.known() == wire::Known::Unknown) return refusal(wire::Code::UnknownJob, {}, 0);
  if (view.known() == wire::Known::Gone) return refusal(wire::Code::GoneJob, {}, 0);
  JobResult result;
  JobStatus& status = JobResultAccess::status(result);
  status.id = from_wire(view.id());
  status.state = from_wire(view.state());
  status.reason = from_wire(view.reason());
  status.attempts = view.attempts();
  status.created = to_time(view.created_ms());
  status.started = to_time(view.started_ms());
  status.finished = to_time(view.finished_ms());
  status.run_time = to_run_time(view.run_us());
  if (size > 0) {
    const auto bytes = blob.subspan(offset, size);
    if (view.payload_is_error()) {
      JobResultAccess::set_error(result, read_job_error(bytes));
    } else {
      JobResultAccess::set_bytes(result, bytes, from_wire(view.encoding()));
    }
  } else {
    JobResultAccess::set_bytes(result, {}, from_wire(view.encoding()));
  }
  return result;
}

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
