// SPDX-License-Identifier: Apache-2.0
#include "dead_json.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <type_traits>
#include <utility>

#include "base64.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {
namespace {

// Keys in the order in which they are written, so that an export can be compared with another.
using Json = nlohmann::ordered_json;
using Builder = flatbuffers::FlatBufferBuilder;
using Text = flatbuffers::Offset<flatbuffers::String>;

constexpr int kFormat = 1;

// ---------------------------------------------------------------- to JSON

void put(Json& json, const char* key, const flatbuffers::String* text) {
  if (text && text->size() > 0) json[key] = text->str();
}

template <class T>
void put(Json& json, const char* key, T value, T absent = 0) {
  if (value != absent) json[key] = value;
}

Json retry_to_json(const wire::RetryPolicy& retry) {
  Json json = Json::object();
  put(json, "attempts", retry.attempts());
  put(json, "timeouts", retry.timeouts());
  put(json, "crashes", retry.crashes());
  if (retry.backoff() != wire::Backoff::Unspecified) {
    json["backoff"] = wire::EnumNameBackoff(retry.backoff());
  }
  put(json, "base_ms", retry.base_ms());
  put(json, "cap_ms", retry.cap_ms());
  put(json, "factor", retry.factor(), 2.0F);
  if (retry.listed_ms()) {
    for (const std::uint32_t rest : *retry.listed_ms()) json["listed_ms"].push_back(rest);
  }
  if (retry.no_jitter()) json["no_jitter"] = true;
  if (retry.fatal()) {
    for (const flatbuffers::String* name : *retry.fatal()) json["fatal"].push_back(name->str());
  }
  return json;
}

Json spec_to_json(const wire::JobSpec& spec) {
  Json json = Json::object();
  if (spec.id()) json["id"] = from_wire(*spec.id()).to_string();
  put(json, "queue", spec.queue());
  put(json, "type", spec.type());
  json["encoding"] = wire::EnumNameEncoding(spec.encoding());
  json["priority"] = spec.priority();
  put(json, "timeout_ms", spec.timeout_ms());
  put(json, "expires_at_ms", spec.expires_at_ms());
  put(json, "result_ttl_ms", spec.result_ttl_ms());
  if (spec.retry()) json["retry"] = retry_to_json(*spec.retry());
  put(json, "dedup_key", spec.dedup_key());
  put(json, "dedup_window_ms", spec.dedup_window_ms());
  if (spec.headers()) {
    for (const wire::Header* header : *spec.headers()) {
      json["headers"].push_back({header->key() ? header->key()->str() : std::string(),
                                 header->value() ? header->value()->str() : std::string()});
    }
  }
  put(json, "contract", spec.contract());
  if (spec.keep_payload()) json["keep_payload"] = true;
  return json;
}

std::optional<std::string> slice_to_base64(std::span<const std::byte> blob, std::size_t offset,
                                           std::size_t size) {
  if (size > 0 && (offset > blob.size() || size > blob.size() - offset)) return std::nullopt;
  return size > 0 ? to_base64(blob.subspan(offset, size)) : std::string();
}

// ---------------------------------------------------------------- from JSON

// The library throws on a key of another type than was asked for; these do not.
const Json* find(const Json& json, const char* key) {
  const auto at = json.find(key);
  return at == json.end() ? nullptr : &*at;
}

std::string get_text(const Json& json, const char* key) {
  const Json* value = find(json, key);
  return value && value->is_string() ? value->get<std::string>() : std::string();
}

template <class T>
T get_number(const Json& json, const char* key, T otherwise = 0) {
  const Json* value = find(json, key);
  const bool fits =
      value && (std::is_integral_v<T> ? value->is_number_integer() : value->is_number());
  return fits ? value->get<T>() : otherwise;
}

bool get_flag(const Json& json, const char* key) {
  const Json* value = find(json, key);
  return value && value->is_boolean() && value->get<bool>();
}

/// The enumerator of that name; Unspecified when there is none.
template <class E, class Names>
E get_enum(const Json& json, const char* key, Names names) {
  const std::string name = get_text(json, key);
  for (int i = 0; names[i] != nullptr; ++i) {
    if (name == names[i]) return static_cast<E>(i);
  }
  return static_cast<E>(0);
}

Text text(Builder& builder, const Json& json, const char* key) {
  const std::string value = get_text(json, key);
  return value.empty() ? Text() : builder.CreateString(value);
}

flatbuffers::Offset<wire::RetryPolicy> write_retry(Builder& builder, const Json& json) {
  std::vector<std::uint32_t> rests;
  if (const Json* listed = find(json, "listed_ms"); listed && listed->is_array()) {
    for (const Json& rest : *listed) {
      if (rest.is_number_integer()) rests.push_back(rest.get<std::uint32_t>());
    }
  }
  std::vector<std::string> names;
  if (const Json* fatal = find(json, "fatal"); fatal && fatal->is_array()) {
    for (const Json& name : *fatal) {
      if (name.is_string()) names.push_back(name.get<std::string>());
    }
  }
  const auto listed_ms = rests.empty() ? 0 : builder.CreateVector(rests);
  const auto fatal = names.empty() ? 0 : builder.CreateVectorOfStrings(names);
  wire::RetryPolicyBuilder retry(builder);
  retry.add_attempts(get_number<std::uint16_t>(json, "attempts"));
  retry.add_timeouts(get_number<std::uint16_t>(json, "timeouts"));
  retry.add_crashes(get_number<std::uint16_t>(json, "crashes"));
  retry.add_backoff(get_enum<wire::Backoff>(json, "backoff", wire::EnumNamesBackoff()));
  retry.add_base_ms(get_number<std::uint32_t>(json, "base_ms"));
  retry.add_cap_ms(get_number<std::uint32_t>(json, "cap_ms"));
  retry.add_factor(get_number<float>(json, "factor", 2.0F));
  if (!listed_ms.IsNull()) retry.add_listed_ms(listed_ms);
  retry.add_no_jitter(get_flag(json, "no_jitter"));
  if (!fatal.IsNull()) retry.add_fatal(fatal);
  return retry.Finish();
}

flatbuffers::Offset<wire::JobSpec> write_spec(Builder& builder, const Json& json, const JobId& id,
                                              std::size_t offset, std::size_t size) {
  const Text queue = text(builder, json, "queue");
  const Text type = text(builder, json, "type");
  const Text dedup_key = text(builder, json, "dedup_key");
  flatbuffers::Offset<wire::RetryPolicy> retry;
  if (const Json* policy = find(json, "retry"); policy && policy->is_object()) {
    retry = write_retry(builder, *policy);
  }
  std::vector<flatbuffers::Offset<wire::Header>> list;
  if (const Json* headers = find(json, "headers"); headers && headers->is_array()) {
    for (const Json& header : *headers) {
      if (!header.is_array() || header.size() != 2 || !header[0].is_string() ||
          !header[1].is_string()) {
        continue;
      }
      const auto key = builder.CreateString(header[0].get<std::string>());
      list.push_back(
          wire::CreateHeader(builder, key, builder.CreateString(header[1].get<std::string>())));
    }
  }
  const auto headers = list.empty() ? 0 : builder.CreateVector(list);
  const wire::Id wire_id = to_wire(id);
  wire::JobSpecBuilder spec(builder);
  spec.add_id(&wire_id);
  if (!queue.IsNull()) spec.add_queue(queue);
  if (!type.IsNull()) spec.add_type(type);
  spec.add_payload_offset(static_cast<std::uint32_t>(offset));
  spec.add_payload_size(static_cast<std::uint32_t>(size));
  spec.add_encoding(get_enum<wire::Encoding>(json, "encoding", wire::EnumNamesEncoding()));
  spec.add_priority(get_number<std::uint8_t>(json, "priority", 4));
  spec.add_timeout_ms(get_number<std::uint32_t>(json, "timeout_ms"));
  spec.add_expires_at_ms(get_number<std::int64_t>(json, "expires_at_ms"));
  spec.add_result_ttl_ms(get_number<std::uint64_t>(json, "result_ttl_ms"));
  if (!retry.IsNull()) spec.add_retry(retry);
  if (!dedup_key.IsNull()) spec.add_dedup_key(dedup_key);
  spec.add_dedup_window_ms(get_number<std::uint64_t>(json, "dedup_window_ms"));
  if (!headers.IsNull()) spec.add_headers(headers);
  spec.add_contract(get_number<std::uint64_t>(json, "contract"));
  spec.add_keep_payload(get_flag(json, "keep_payload"));
  return spec.Finish();
}

struct Slice {
  std::size_t offset = 0;
  std::size_t size = 0;
};

flatbuffers::Offset<wire::DeadAttempt> write_attempt(Builder& builder, const Json& json,
                                                     Slice error) {
  const Text worker = text(builder, json, "worker");
  const Text host = text(builder, json, "host");
  const auto token = JobId::parse(get_text(json, "token"));
  const wire::Id wire_token = to_wire(token ? *token : JobId());
  wire::DeadAttemptBuilder attempt(builder);
  attempt.add_number(get_number<std::uint32_t>(json, "number"));
  attempt.add_generation(get_number<std::uint32_t>(json, "generation"));
  if (token) attempt.add_token(&wire_token);
  if (!worker.IsNull()) attempt.add_worker(worker);
  if (!host.IsNull()) attempt.add_host(host);
  attempt.add_started_ms(get_number<std::int64_t>(json, "started_ms"));
  attempt.add_ended_ms(get_number<std::int64_t>(json, "ended_ms"));
  attempt.add_outcome(get_enum<wire::Outcome>(json, "outcome", wire::EnumNamesOutcome()));
  attempt.add_run_us(get_number<std::uint64_t>(json, "run_us"));
  attempt.add_error_offset(static_cast<std::uint32_t>(error.offset));
  attempt.add_error_size(static_cast<std::uint32_t>(error.size));
  return attempt.Finish();
}

Error no_dead_job(std::string what) { return {ErrorCode::InvalidArgument, std::move(what)}; }

}  // namespace

Result<std::string> to_json_line(const wire::DeadJob& dead, std::span<const std::byte> blob) {
  const Error outside(ErrorCode::Internal, "a dead job points outside its message");
  if (!dead.job()) return outside;
  Json json = Json::object();
  json["jobwire"] = kFormat;
  json["job"] = spec_to_json(*dead.job());
  auto payload = slice_to_base64(blob, dead.job()->payload_offset(), dead.job()->payload_size());
  if (!payload) return outside;
  if (!payload->empty()) json["payload"] = std::move(*payload);
  put(json, "origin_queue", dead.origin_queue());
  json["reason"] = wire::EnumNameDeadReason(dead.reason());
  put(json, "error_type", dead.error_type());
  put(json, "error_message", dead.error_message());
  put(json, "created_ms", dead.created_ms());
  put(json, "died_ms", dead.died_ms());
  put(json, "attempts", dead.attempts());
  put(json, "raised", dead.raised());
  put(json, "timed_out", dead.timed_out());
  put(json, "crashed", dead.crashed());
  put(json, "generation", dead.generation());
  if (dead.attempt_list()) {
    for (const wire::DeadAttempt* attempt : *dead.attempt_list()) {
      Json one = Json::object();
      put(one, "number", attempt->number());
      put(one, "generation", attempt->generation());
      if (attempt->token()) one["token"] = from_wire(*attempt->token()).to_string();
      put(one, "worker", attempt->worker());
      put(one, "host", attempt->host());
      put(one, "started_ms", attempt->started_ms());
      put(one, "ended_ms", attempt->ended_ms());
      one["outcome"] = wire::EnumNameOutcome(attempt->outcome());
      put(one, "run_us", attempt->run_us());
      auto error = slice_to_base64(blob, attempt->error_offset(), attempt->error_size());
      if (!error) return outside;
      if (!error->empty()) one["error"] = std::move(*error);
      json["attempt_list"].push_back(std::move(one));
    }
  }
  // What is no UTF-8 in a text is replaced: JSON has no other way to write it.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

struct DeadLines::Lines {
  struct Line {
    Json json;
    Slice payload;
    std::vector<Slice> errors;  // one per attempt
  };
  std::vector<Line> all;
};

DeadLines::DeadLines() : lines_(std::make_unique<Lines>()) {}
DeadLines::~DeadLines() = default;
DeadLines::DeadLines(DeadLines&&) noexcept = default;
DeadLines& DeadLines::operator=(DeadLines&&) noexcept = default;

Status DeadLines::add(std::string_view text) {
  Lines::Line line;
  line.json = Json::parse(text, nullptr, false);
  const Json& json = line.json;
  if (!json.is_object()) return no_dead_job("no JSON object");
  if (get_number<int>(json, "jobwire") != kFormat) return no_dead_job("\"jobwire\" is not 1");
  const Json* job = find(json, "job");
  if (!job || !job->is_object()) return no_dead_job("no \"job\"");
  const auto id = JobId::parse(get_text(*job, "id"));
  if (!id) return no_dead_job("\"job.id\" is no id");
  if (get_enum<wire::Encoding>(*job, "encoding", wire::EnumNamesEncoding()) ==
      wire::Encoding::Unspecified) {
    return no_dead_job("\"job.encoding\" is none that is known");
  }
  if (get_enum<wire::DeadReason>(json, "reason", wire::EnumNamesDeadReason()) ==
      wire::DeadReason::Unspecified) {
    return no_dead_job("\"reason\" is none that is known");
  }
  std::vector<std::byte> bytes;
  const auto take = [&](const Json& from, const char* key, Slice& slice) {
    slice.offset = blob_.size() + bytes.size();
    if (!from_base64(get_text(from, key), bytes)) return false;
    slice.size = blob_.size() + bytes.size() - slice.offset;
    return true;
  };
  if (!take(json, "payload", line.payload)) return no_dead_job("\"payload\" is no base64");
  if (const Json* attempts = find(json, "attempt_list"); attempts && attempts->is_array()) {
    for (const Json& attempt : *attempts) {
      if (!attempt.is_object() || !take(attempt, "error", line.errors.emplace_back())) {
        return no_dead_job("an attempt's \"error\" is no base64");
      }
    }
  }
  blob_.insert(blob_.end(), bytes.begin(), bytes.end());
  // Every text of the line is at most as long in the message; the rest is numbers.
  const std::size_t encoded = (bytes.size() + 2) / 3 * 4;
  constexpr std::size_t kNumbers = 512;
  envelope_bytes_ +=
      text.size() - std::min(text.size(), encoded) + kNumbers * (1 + line.errors.size());
  ids_.push_back(*id);
  lines_->all.push_back(std::move(line));
  return {};
}

void DeadLines::write(std::uint64_t number, const std::string& by, Builder& builder) const {
  std::vector<flatbuffers::Offset<wire::DeadJob>> jobs;
  for (std::size_t i = 0; i < lines_->all.size(); ++i) {
    const Lines::Line& line = lines_->all[i];
    const Json& json = line.json;
    const auto spec =
        write_spec(builder, *find(json, "job"), ids_[i], line.payload.offset, line.payload.size);
    std::vector<flatbuffers::Offset<wire::DeadAttempt>> attempts;
    for (std::size_t a = 0; a < line.errors.size(); ++a) {
      attempts.push_back(write_attempt(builder, json["attempt_list"][a], line.errors[a]));
    }
    const auto attempt_list = attempts.empty() ? 0 : builder.CreateVector(attempts);
    const Text origin_queue = text(builder, json, "origin_queue");
    const Text error_type = text(builder, json, "error_type");
    const Text error_message = text(builder, json, "error_message");
    wire::DeadJobBuilder dead(builder);
    dead.add_job(spec);
    if (!origin_queue.IsNull()) dead.add_origin_queue(origin_queue);
    dead.add_reason(get_enum<wire::DeadReason>(json, "reason", wire::EnumNamesDeadReason()));
    if (!error_type.IsNull()) dead.add_error_type(error_type);
    if (!error_message.IsNull()) dead.add_error_message(error_message);
    dead.add_created_ms(get_number<std::int64_t>(json, "created_ms"));
    dead.add_died_ms(get_number<std::int64_t>(json, "died_ms"));
    dead.add_attempts(get_number<std::uint32_t>(json, "attempts"));
    dead.add_raised(get_number<std::uint32_t>(json, "raised"));
    dead.add_timed_out(get_number<std::uint32_t>(json, "timed_out"));
    dead.add_crashed(get_number<std::uint32_t>(json, "crashed"));
    dead.add_generation(get_number<std::uint32_t>(json, "generation"));
    dead.add_payload_bytes(static_cast<std::uint32_t>(line.payload.size));
    if (!attempt_list.IsNull()) dead.add_attempt_list(attempt_list);
    jobs.push_back(dead.Finish());
  }
  const auto list = builder.CreateVector(jobs);
  const Text who = by.empty() ? Text() : builder.CreateString(by);
  wire::FinishMessageBuffer(
      builder, wire::CreateMessage(builder, wire::Body::DeadImport,
                                   wire::CreateDeadImport(builder, number, list, who).Union()));
}

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
