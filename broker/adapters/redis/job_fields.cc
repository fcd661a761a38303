// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/job_fields.h"

#include <charconv>
#include <string>

#include "adapters/redis/options_text.h"

namespace jobwire::redis {
namespace {

constexpr std::array<Bulk, core::kStates> kStateNames = {
    "none", "scheduled", "queued", "running", "succeeded", "dead", "expired", "cancelled"};
constexpr std::array<Bulk, core::kLastEncoding + 1> kEncodingNames = {"none", "bytes",      "utf8",
                                                                      "json", "flatbuffer", "npy"};
constexpr std::array<Bulk, 5> kReasonNames = {"none", "raised", "timed_out", "crashed", "rejected"};

template <typename Number>
bool read_number(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

bool read_wall(std::string_view text, core::Wall& out) {
  std::int64_t value = 0;
  if (!read_number(text, value)) return false;
  out = core::Wall(core::Millis(value));
  return true;
}

template <typename Span>
bool read_span(std::string_view text, Span& out) {
  std::int64_t value = 0;
  if (!read_number(text, value)) return false;
  out = Span(value);
  return true;
}

template <typename Enum, std::size_t N>
bool read_name(const std::array<Bulk, N>& names, std::string_view text, Enum& out) {
  for (std::size_t i = 1; i < N; ++i) {
    if (names[i].name() == text) {
      out = static_cast<Enum>(i);
      return true;
    }
  }
  return false;
}

bool read_error(std::string_view line, ports::StoredJob& job) {
  const std::size_t colon = line.find(": ");
  job.error_type = line.substr(0, colon);
  job.error_message = colon == std::string_view::npos ? std::string_view{} : line.substr(colon + 2);
  return true;
}

}  // namespace

const Bulk& bulk_of(core::State state) { return kStateNames[static_cast<std::size_t>(state)]; }
const Bulk& bulk_of(core::Encoding encoding) {
  return kEncodingNames[static_cast<std::size_t>(encoding)];
}
const Bulk& bulk_of(core::DeadReason reason) {
  return kReasonNames[static_cast<std::size_t>(reason)];
}

std::optional<Field> field_named(std::string_view name) {
  for (std::size_t i = 0; i < kFieldNames.size(); ++i) {
    if (kFieldNames[i].name() == name) return static_cast<Field>(i);
  }
  return std::nullopt;
}

bool read_field(Field field, std::string_view text, ports::StoredJob& stored) {
  core::JobRecord& job = stored.job;
  switch (field) {
    case Field::kState:
      return read_name(kStateNames, text, job.state);
    case Field::kQueue:
      stored.queue = text;
      return !text.empty();
    case Field::kType:
      stored.type = text;
      return !text.empty();
    case Field::kCreated:
      return read_wall(text, job.created);
    case Field::kEncoding:
      return read_name(kEncodingNames, text, job.encoding);
    case Field::kSize:
      return read_number(text, job.payload_size);
    case Field::kPriority:
      return read_number(text, job.priority) && job.priority <= 9;
    case Field::kTimeout:
      return read_span(text, job.timeout);
    case Field::kExpires:
      return read_wall(text, job.expires);
    case Field::kKeep:
      job.keep_payload = text == "1";
      return job.keep_payload;
    case Field::kOptions: {
      auto options = std::make_shared<core::JobOptions>();
      if (!read_options(text, *options)) return false;
      job.options = std::move(options);
      return true;
    }
    case Field::kDue:
      return read_wall(text, job.due);
    case Field::kAttempts:
      return read_number(text, job.attempts);
    case Field::kRaised:
      return read_number(text, job.raised);
    case Field::kTimedOut:
      return read_number(text, job.timed_out);
    case Field::kCrashed:
      return read_number(text, job.crashed);
    case Field::kGeneration:
      return read_number(text, job.generation);
    case Field::kToken:
      return core::parse_hex(text, job.token.bytes);
    case Field::kWorker:
      stored.worker = text;
      return true;
    case Field::kStarted:
      return read_wall(text, job.started);
    case Field::kOrigin:
      stored.origin = text;
      return !text.empty();
    case Field::kFinished:
      return read_wall(text, job.finished);
    case Field::kRun:
      return read_span(text, job.run);
    case Field::kReason:
      return read_name(kReasonNames, text, job.reason);
    case Field::kCancelReason:
      job.cancel_reason = core::Bytes::copy_of(text);
      return true;
    case Field::kError:
      return read_error(text, stored);
    case Field::kStaleResults:
      return true;
    case Field::kProgress:
      return read_number(text, stored.progress.value);
    case Field::kProgressMessage:
      stored.progress.message = core::Bytes::copy_of(text);
      return true;
    case Field::kProgressAt:
      return read_wall(text, stored.progress.at);
    case Field::kCheckpointEncoding:
      return read_name(kEncodingNames, text, stored.checkpoint.encoding);
    case Field::kCheckpoint:
      stored.checkpoint.bytes = core::Bytes::copy_of(text);
      return true;
    case Field::kResultEncoding:
      return read_name(kEncodingNames, text, job.result_encoding);
    case Field::kResult:
      job.result = core::Bytes::copy_of(text);
      return true;
    case Field::kPayload:
      job.payload = core::Bytes::copy_of(text);
      return true;
  }
  return false;
}

std::string error_line(std::string_view type, std::string_view message) {
  constexpr std::size_t kLongest = 1024;
  std::string line;
  line.reserve(type.size() + 2 + message.size());
  line.append(type).append(": ").append(message);
  if (line.size() > kLongest) {
    std::size_t end = kLongest;  // not inside a UTF-8 character
    while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0U) == 0x80U) --end;
    line.resize(end);
  }
  for (char& c : line) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  return line;
}

}  // namespace jobwire::redis
