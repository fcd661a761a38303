// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/attempt_buffer.h"

#include <cstring>
#include <vector>

#include "jobwire/wire/attempt_generated.h"

namespace jobwire::redis {

std::string_view AttemptBuffer::build(const core::Attempt& attempt) {
  builder_.Clear();
  flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>> error;
  if (attempt.error) error = builder_.CreateVector(attempt.error.data(), attempt.error.size());
  const auto text = [this](const std::string& value) {
    return value.empty() ? flatbuffers::Offset<flatbuffers::String>{}
                         : builder_.CreateString(value);
  };
  const auto worker = text(attempt.worker);
  const auto host = text(attempt.host);
  wire::Id token;
  static_assert(sizeof token == sizeof attempt.token.bytes);
  std::memcpy(static_cast<void*>(&token), attempt.token.bytes.data(), sizeof token);

  wire::AttemptBuilder table(builder_);
  table.add_run_us(static_cast<std::uint64_t>(attempt.run.count()));
  table.add_started_ms(attempt.started.time_since_epoch().count());
  table.add_ended_ms(attempt.ended.time_since_epoch().count());
  if (!attempt.token.is_zero()) table.add_token(&token);
  if (!error.IsNull()) table.add_error(error);
  if (!worker.IsNull()) table.add_worker(worker);
  if (!host.IsNull()) table.add_host(host);
  table.add_number(attempt.number);
  table.add_outcome(static_cast<wire::Outcome>(attempt.outcome));
  wire::FinishAttemptBuffer(builder_, table.Finish());
  return {reinterpret_cast<const char*>(builder_.GetBufferPointer()), builder_.GetSize()};
}

core::Bytes error_of_attempt(std::string_view buffer) {
  // FlatBuffers wants aligned memory, which a string inside a reply need not be.
  if (buffer.size() < sizeof(std::uint64_t)) return {};
  const std::size_t words = buffer.size() / sizeof(std::uint64_t) + 1;
  std::vector<std::uint64_t> aligned(words);
  std::memcpy(aligned.data(), buffer.data(), buffer.size());
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(aligned.data());
  flatbuffers::Verifier verifier(bytes, buffer.size(), 8, 16);
  if (!wire::VerifyAttemptBuffer(verifier)) return {};
  const auto* error = wire::GetAttempt(bytes)->error();
  if (!error) return {};
  return core::Bytes::copy_of(std::span(error->data(), error->size()));
}

}  // namespace jobwire::redis
