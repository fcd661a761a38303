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

namespace {

/// Aligned memory for FlatBuffers, which a string inside a reply need not be in; and what lies
/// there, verified.
class AlignedAttempt {
 public:
  explicit AlignedAttempt(std::string_view buffer)
      : words_(buffer.size() / sizeof(std::uint64_t) + 1) {
    if (buffer.size() < sizeof(std::uint64_t)) return;
    std::memcpy(words_.data(), buffer.data(), buffer.size());
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(words_.data());
    flatbuffers::Verifier verifier(bytes, buffer.size(), 8, 16);
    if (wire::VerifyAttemptBuffer(verifier)) table_ = wire::GetAttempt(bytes);
  }
  const wire::Attempt* table() const { return table_; }

 private:
  std::vector<std::uint64_t> words_;
  const wire::Attempt* table_ = nullptr;
};

core::Bytes error_in(const wire::Attempt& table) {
  const auto* error = table.error();
  if (!error) return {};
  return core::Bytes::copy_of(std::span(error->data(), error->size()));
}

std::string text_of(const flatbuffers::String* text) { return text ? text->str() : std::string(); }

}  // namespace

bool read_attempt(std::string_view buffer, core::Attempt& attempt) {
  const AlignedAttempt aligned(buffer);
  const wire::Attempt* table = aligned.table();
  if (!table || table->outcome() > wire::Outcome::MAX) return false;
  if (table->token())
    std::memcpy(attempt.token.bytes.data(), table->token(), sizeof attempt.token.bytes);
  attempt.worker = text_of(table->worker());
  attempt.host = text_of(table->host());
  attempt.started = core::Wall(core::Millis(table->started_ms()));
  attempt.ended = core::Wall(core::Millis(table->ended_ms()));
  attempt.outcome = static_cast<core::Outcome>(table->outcome());
  attempt.run = core::Micros(static_cast<std::int64_t>(table->run_us()));
  attempt.error = error_in(*table);
  return true;
}

core::Bytes error_of_attempt(std::string_view buffer) {
  const AlignedAttempt aligned(buffer);
  return aligned.table() ? error_in(*aligned.table()) : core::Bytes{};
}

}  // namespace jobwire::redis
