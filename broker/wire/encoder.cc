// SPDX-License-Identifier: Apache-2.0
#include "wire/encoder.h"

#include <algorithm>
#include <cstring>

#include "jobwire/wire/error_generated.h"
#include "wire/utf8.h"

namespace jobwire::wire {
namespace {

// A blob is closed once it has so many bytes: more would not save messages worth speaking of, and
// would make the first job wait for the copy of the last. A payload of kAloneBytes travels by
// itself and is not copied here.
constexpr std::size_t kBlobBytes = 1U << 20;
constexpr std::size_t kAloneBytes = 1U << 16;
// Headers are in the envelope, which has a limit of its own.
constexpr std::size_t kHeaderBytesPerMessage = 1U << 18;
constexpr std::size_t kLeastEnvelope = 4096;

// The worker and the SDK read these by their layout.
static_assert(sizeof(Id) == 16 && sizeof(DispatchHead) == 52 && sizeof(ReceiptHead) == 40 &&
              sizeof(ResultView) == 64 && sizeof(LeaseRefusal) == 18 && sizeof(CancelHead) == 20 &&
              sizeof(ProgressView) == 40 && sizeof(CheckpointHead) == 32 &&
              sizeof(CheckpointAckHead) == 24);

template <typename CoreId>
Id to_wire(const CoreId& id) {
  Id wire;
  std::memcpy(static_cast<void*>(&wire), id.bytes.data(), id.bytes.size());
  return wire;
}

core::SessionId session_of(std::uint64_t key) {
  return core::SessionId{static_cast<std::uint32_t>(key >> 32)};
}
std::uint32_t index_of(std::uint64_t key) { return static_cast<std::uint32_t>(key); }

std::uint32_t to_u32(core::Millis span) {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(span.count(), 0, UINT32_MAX));
}

std::int64_t to_ms(core::Wall time) { return time.time_since_epoch().count(); }

// Writes a vector of structs in place. (CreateUninitializedVectorOfStructs of FlatBuffers 2.0.8
// takes a struct's size for its alignment, which is wrong for 52 bytes.)
template <typename Struct, typename Fill>
auto structs(flatbuffers::FlatBufferBuilder& builder, std::size_t size, Fill fill) {
  int unused = 0;
  return builder.CreateVectorOfStructs<Struct>(
      size, [&fill](std::size_t i, Struct* out, int*) { *out = fill(i); }, &unused);
}

}  // namespace

Encoder::Encoder(const ProtocolLimits& limits)
    : limits_(limits), builder_(kLeastEnvelope), error_builder_(kLeastEnvelope) {}

void Encoder::put(core::SessionId session, Body kind, ByteSpan envelope, ByteSpan blob,
                  std::size_t entries, OutgoingSink& sink) {
  sink.put({session, kind, envelope, blob, static_cast<std::uint32_t>(entries)});
}

template <typename T, typename Send>
void Encoder::each_group(std::span<const T> items, Send send) {
  keys_.clear();
  for (std::uint32_t i = 0; i < items.size(); ++i) {
    keys_.push_back(std::uint64_t{static_cast<std::uint32_t>(items[i].session)} << 32 | i);
  }
  if (!std::is_sorted(keys_.begin(), keys_.end())) std::sort(keys_.begin(), keys_.end());
  const std::span<const Key> keys(keys_);
  for (std::size_t begin = 0; begin < keys.size();) {
    std::size_t end = begin + 1;
    while (end < keys.size() && session_of(keys[end]) == session_of(keys[begin])) ++end;
    while (begin < end) begin += send(session_of(keys[begin]), keys.subspan(begin, end - begin));
  }
}

ByteSpan Encoder::welcome(const WelcomeOut& welcome) {
  builder_.Clear();
  Id broker;
  std::memcpy(static_cast<void*>(&broker), welcome.broker.data(), welcome.broker.size());
  const auto limits =
      CreateLimits(builder_, limits_.max_payload_bytes, limits_.max_jobs_per_message,
                   limits_.window_jobs, limits_.window_bytes, limits_.max_name_bytes,
                   limits_.max_error_bytes, limits_.max_message_bytes, limits_.session_timeout_ms,
                   limits_.heartbeat_ms, limits_.max_checkpoint_bytes);
  const auto version = builder_.CreateString(welcome.version.data(), welcome.version.size());
  return finish(Body::Welcome,
                CreateWelcome(builder_, kProtocolVersion, &broker, welcome.epoch,
                              static_cast<std::uint32_t>(welcome.session),
                              static_cast<Durability>(welcome.durability), welcome.replicas, limits,
                              to_ms(welcome.now), version));
}

ByteSpan Encoder::refused(core::Code code, std::string_view message, std::uint64_t request,
                          core::Millis retry_after) {
  builder_.Clear();
  const auto text = builder_.CreateString(message.data(), message.size());
  return finish(Body::Refused, CreateRefused(builder_, static_cast<Code>(code), text, request,
                                             to_u32(retry_after)));
}

ByteSpan Encoder::goodbye(core::Code code, std::string_view message) {
  builder_.Clear();
  const auto text = builder_.CreateString(message.data(), message.size());
  return finish(Body::Goodbye, CreateGoodbye(builder_, static_cast<Code>(code), text));
}

ByteSpan Encoder::heartbeat(std::uint64_t sequence) {
  builder_.Clear();
  return finish(Body::Heartbeat, CreateHeartbeat(builder_, 0, 0, sequence));
}

void Encoder::encode(const core::Effects& effects, OutgoingSink& sink) {
  refusals(effects.refusals, sink);
  receipts(effects.receipts, sink);
  acks(effects.acks, effects.lease_refusals, sink);
  checkpoint_acks(effects.checkpoint_acks, sink);
  results(effects.results, sink);
  progress(effects.progress, sink);
  cancel_replies(effects.cancel_replies, sink);
  revokes(effects.revokes, sink);
  recalls(effects.recalls, sink);
  dispatches(effects.dispatches, sink);
  cancel_leases(effects.cancel_leases, sink);
  queue_replies(effects.queue_replies, sink);
  sweep_reports(effects.sweep_reports, sink);
}

void Encoder::refusals(std::span<const core::RefusalOut> refusals, OutgoingSink& sink) {
  for (const core::RefusalOut& refusal : refusals) {
    const ByteSpan envelope =
        refused(refusal.code, refusal.message, refusal.request, refusal.retry_after);
    put(refusal.session, Body::Refused, envelope, {}, 1, sink);
  }
}

// The texts of refusals are literals: a thousand refusals for one reason hold its sentence once.
flatbuffers::Offset<flatbuffers::String> Encoder::literal(const char* text) {
  for (const auto& [known, offset] : literals_) {
    if (known == text) return offset;
  }
  const auto offset = builder_.CreateString(text);
  literals_.emplace_back(text, offset);
  return offset;
}

std::size_t Encoder::put_receipts(std::span<const core::ReceiptOut> receipts,
                                  std::span<const Key> keys, OutgoingSink& sink) {
  keys = keys.first(std::min<std::size_t>(keys.size(), limits_.max_jobs_per_message));
  builder_.Clear();
  literals_.clear();
  refusal_offsets_.clear();
  for (std::uint32_t i = 0; i < keys.size(); ++i) {
    const core::ReceiptOut& receipt = receipts[index_of(keys[i])];
    if (*receipt.message == '\0' && *receipt.field == '\0') continue;
    const auto message = literal(receipt.message);
    const auto field = literal(receipt.field);
    refusal_offsets_.push_back(CreateRefusal(builder_, i, message, field));
  }
  const auto heads = structs<ReceiptHead>(builder_, keys.size(), [&](std::size_t i) {
    const core::ReceiptOut& receipt = receipts[index_of(keys[i])];
    return ReceiptHead(to_wire(receipt.id), to_wire(receipt.job), to_u32(receipt.retry_after),
                       static_cast<Code>(receipt.code), receipt.duplicate,
                       static_cast<State>(receipt.state));
  });
  flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<Refusal>>> refusals = 0;
  if (!refusal_offsets_.empty()) refusals = builder_.CreateVector(refusal_offsets_);
  const ByteSpan envelope = finish(Body::Receipts, CreateReceipts(builder_, heads, refusals));
  put(session_of(keys[0]), Body::Receipts, envelope, {}, keys.size(), sink);
  return keys.size();
}

void Encoder::receipts(std::span<const core::ReceiptOut> receipts, OutgoingSink& sink) {
  each_group(receipts, [&](core::SessionId, std::span<const Key> keys) {
    return put_receipts(receipts, keys, sink);
  });
}

void Encoder::acks(std::span<const core::AckOut> acks,
                   std::span<const core::LeaseRefusalOut> refused, OutgoingSink& sink) {
  const auto send = [&](core::SessionId session, std::uint64_t through) {
    builder_.Clear();
    const auto list = builder_.CreateVectorOfStructs(lease_refusals_);
    put(session, Body::ResultAck, finish(Body::ResultAck, CreateResultAck(builder_, through, list)),
        {}, lease_refusals_.size(), sink);
    lease_refusals_.clear();
  };
  // Refusals first: once its sequence is settled, a worker forgets what was in it.
  each_group(refused, [&](core::SessionId session, std::span<const Key> keys) {
    keys = keys.first(std::min<std::size_t>(keys.size(), limits_.max_jobs_per_message));
    lease_refusals_.clear();
    for (const Key key : keys) {
      const core::LeaseRefusalOut& refusal = refused[index_of(key)];
      lease_refusals_.emplace_back(to_wire(refusal.token), static_cast<Code>(refusal.code));
    }
    send(session, 0);
    return keys.size();
  });
  each_group(acks, [&](core::SessionId session, std::span<const Key> keys) {
    std::uint64_t through = 0;
    for (const Key key : keys) through = std::max(through, acks[index_of(key)].through);
    send(session, through);
    return keys.size();
  });
}

void Encoder::checkpoint_acks(std::span<const core::CheckpointAckOut> acks, OutgoingSink& sink) {
  each_group(acks, [&](core::SessionId session, std::span<const Key> keys) {
    keys = keys.first(std::min<std::size_t>(keys.size(), limits_.max_jobs_per_message));
    builder_.Clear();
    const auto heads = structs<CheckpointAckHead>(builder_, keys.size(), [&](std::size_t i) {
      const core::CheckpointAckOut& ack = acks[index_of(keys[i])];
      return CheckpointAckHead(to_wire(ack.token), ack.number, static_cast<Code>(ack.code));
    });
    put(session, Body::CheckpointAck,
        finish(Body::CheckpointAck, CreateCheckpointAck(builder_, heads)), {}, keys.size(), sink);
    return keys.size();
  });
}

ByteSpan Encoder::error_buffer(const core::ErrorText& text) {
  // What the words need besides themselves: a root, two lengths and a table.
  constexpr std::size_t kFrame = 128;
  const std::size_t most = limits_.max_error_bytes > kFrame ? limits_.max_error_bytes - kFrame : 0;
  const std::string_view type = utf8_prefix(text.type, std::min<std::size_t>(most, 1024));
  const std::string_view message = utf8_prefix(text.message, most - type.size());
  const bool truncated = type.size() < text.type.size() || message.size() < text.message.size();
  error_builder_.Clear();
  const auto type_offset = error_builder_.CreateString(type.data(), type.size());
  const auto message_offset = error_builder_.CreateString(message.data(), message.size());
  FinishJobErrorBuffer(error_builder_, CreateJobError(error_builder_, type_offset, message_offset,
                                                      0, 0, 0, text.retryable, truncated));
  return {error_builder_.GetBufferPointer(), error_builder_.GetSize()};
}

ByteSpan Encoder::payload_of(const core::ResultOut& result, bool& is_error) {
  is_error = !result.result && (result.error || result.error_text);
  if (result.result) return result.result.span();
  if (result.error) return result.error.span();
  if (result.error_text) return error_buffer(*result.error_text);
  return {};
}

std::size_t Encoder::put_results(std::span<const core::ResultOut> results,
                                 std::span<const Key> keys, OutgoingSink& sink) {
  const std::size_t most = std::min<std::size_t>(keys.size(), limits_.max_jobs_per_message);
  const std::uint64_t request = results[index_of(keys[0])].request;
  builder_.Clear();
  blob_.clear();
  result_views_.clear();
  obstacle_offsets_.clear();
  ByteSpan alone;
  for (std::size_t i = 0; i < most; ++i) {
    const core::ResultOut& result = results[index_of(keys[i])];
    if (result.request != request) break;  // a message answers one request
    bool is_error = false;
    const ByteSpan payload = payload_of(result, is_error);
    if (payload.size() >= kAloneBytes) {
      if (i != 0) break;
      alone = payload;
    } else if (blob_.size() + payload.size() > kBlobBytes) {
      break;
    }
    const auto offset = static_cast<std::uint32_t>(blob_.size());
    if (alone.empty()) blob_.insert(blob_.end(), payload.begin(), payload.end());
    if (result.obstacle) {
      // Mostly one reason for many jobs: its text is there once.
      const auto text = builder_.CreateSharedString(*result.obstacle);
      obstacle_offsets_.push_back(
          CreateObstacle(builder_, static_cast<std::uint32_t>(result_views_.size()), text));
    }
    result_views_.emplace_back(
        to_wire(result.id), offset, static_cast<std::uint32_t>(payload.size()),
        to_ms(result.created), to_ms(result.started), to_ms(result.finished),
        static_cast<std::uint64_t>(std::max<std::int64_t>(result.run.count(), 0)), result.attempts,
        static_cast<Known>(result.known), static_cast<State>(result.state),
        static_cast<DeadReason>(result.reason), static_cast<Encoding>(result.encoding),
        result.pushed, is_error);
    if (!alone.empty()) break;
  }
  const auto views = builder_.CreateVectorOfStructs(result_views_);
  flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<Obstacle>>> obstacles;
  if (!obstacle_offsets_.empty()) obstacles = builder_.CreateVector(obstacle_offsets_);
  const ByteSpan envelope =
      finish(Body::ResultPush, CreateResultPush(builder_, request, views, obstacles));
  put(session_of(keys[0]), Body::ResultPush, envelope, alone.empty() ? ByteSpan(blob_) : alone,
      result_views_.size(), sink);
  return result_views_.size();
}

void Encoder::results(std::span<const core::ResultOut> results, OutgoingSink& sink) {
  each_group(results, [&](core::SessionId, std::span<const Key> keys) {
    return put_results(results, keys, sink);
  });
}

std::size_t Encoder::put_progress(std::span<const core::ProgressOut> words,
                                  std::span<const Key> keys, OutgoingSink& sink) {
  keys = keys.first(std::min<std::size_t>(keys.size(), limits_.max_jobs_per_message));
  builder_.Clear();
  blob_.clear();
  progress_views_.clear();
  for (const Key key : keys) {
    const core::ProgressOut& word = words[index_of(key)];
    const ByteSpan message = word.progress.message.span();
    progress_views_.emplace_back(to_wire(word.id), to_ms(word.progress.at), word.progress.value,
                                 static_cast<std::uint32_t>(blob_.size()),
                                 static_cast<std::uint32_t>(message.size()));
    blob_.insert(blob_.end(), message.begin(), message.end());
  }
  const auto views = builder_.CreateVectorOfStructs(progress_views_);
  const ByteSpan envelope = finish(Body::ProgressPush, CreateProgressPush(builder_, views));
  put(session_of(keys[0]), Body::ProgressPush, envelope, blob_, keys.size(), sink);
  return keys.size();
}

void Encoder::progress(std::span<const core::ProgressOut> words, OutgoingSink& sink) {
  each_group(words, [&](core::SessionId, std::span<const Key> keys) {
    return put_progress(words, keys, sink);
  });
}

void Encoder::cancel_replies(std::span<const core::CancelReplyOut> replies, OutgoingSink& sink) {
  each_group(replies, [&](core::SessionId session, std::span<const Key> keys) {
    const std::uint64_t request = replies[index_of(keys[0])].request;
    std::size_t count = 0;
    while (count < keys.size() && count < limits_.max_jobs_per_message &&
           replies[index_of(keys[count])].request == request) {
      ++count;
    }
    builder_.Clear();
    const auto heads = structs<CancelHead>(builder_, count, [&](std::size_t i) {
      const core::CancelReplyOut& reply = replies[index_of(keys[i])];
      return CancelHead(to_wire(reply.id), static_cast<Code>(reply.code),
                        static_cast<State>(reply.state));
    });
    const ByteSpan envelope =
        finish(Body::CancelReply, CreateCancelReply(builder_, request, heads));
    put(session, Body::CancelReply, envelope, {}, count, sink);
    return count;
  });
}

template <typename T>
void Encoder::tokens(std::span<const T> items, Body kind, OutgoingSink& sink) {
  each_group(items, [&](core::SessionId session, std::span<const Key> keys) {
    const std::size_t count = std::min<std::size_t>(keys.size(), limits_.max_jobs_per_message);
    builder_.Clear();
    const auto list = structs<Id>(
        builder_, count, [&](std::size_t i) { return to_wire(items[index_of(keys[i])].token); });
    const ByteSpan envelope = kind == Body::Recall ? finish(kind, CreateRecall(builder_, list))
                                                   : finish(kind, CreateRevoke(builder_, list));
    put(session, kind, envelope, {}, count, sink);
    return count;
  });
}

void Encoder::revokes(std::span<const core::RevokeOut> revokes, OutgoingSink& sink) {
  tokens(revokes, Body::Revoke, sink);
}

void Encoder::recalls(std::span<const core::RecallOut> recalls, OutgoingSink& sink) {
  tokens(recalls, Body::Recall, sink);
}

std::size_t Encoder::put_dispatches(std::span<const core::DispatchOut> dispatches,
                                    std::span<const Key> keys, OutgoingSink& sink) {
  const std::size_t most = std::min(keys.size(), kMaxDispatches);
  builder_.Clear();
  blob_.clear();
  dispatch_heads_.clear();
  extra_offsets_.clear();
  ByteSpan alone;
  std::size_t header_bytes = 0;
  for (std::size_t i = 0; i < most; ++i) {
    const core::DispatchOut& dispatch = dispatches[index_of(keys[i])];
    const ByteSpan payload = dispatch.payload.span();
    const core::Checkpoint& checkpoint = dispatch.checkpoint;
    if (payload.size() >= kAloneBytes && !checkpoint) {
      if (i != 0) break;
      alone = payload;
    } else if (i != 0 && blob_.size() + payload.size() + checkpoint.bytes.size() > kBlobBytes) {
      break;
    }
    const bool has_headers = dispatch.options && !dispatch.options->headers.empty();
    flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<Header>>> headers = 0;
    if (has_headers) {
      if (header_bytes > kHeaderBytesPerMessage) break;
      header_offsets_.clear();
      for (const auto& [key, value] : dispatch.options->headers) {
        header_bytes += key.size() + value.size() + 48;
        const auto key_offset = builder_.CreateString(key);
        const auto value_offset = builder_.CreateString(value);
        header_offsets_.push_back(CreateHeader(builder_, key_offset, value_offset));
      }
      headers = builder_.CreateVector(header_offsets_);
    }
    const bool has_extra = has_headers || checkpoint;
    if (has_extra) {
      // Behind the payload.
      const auto at = static_cast<std::uint32_t>(checkpoint ? blob_.size() + payload.size() : 0);
      extra_offsets_.push_back(CreateDispatchExtra(
          builder_, headers, at, static_cast<std::uint32_t>(checkpoint.bytes.size()),
          static_cast<Encoding>(checkpoint.encoding)));
    }
    dispatch_heads_.emplace_back(
        to_wire(dispatch.token), to_wire(dispatch.job), static_cast<std::uint32_t>(blob_.size()),
        static_cast<std::uint32_t>(payload.size()), std::max(to_u32(dispatch.timeout), 1U),
        dispatch.type, dispatch.attempt, static_cast<Encoding>(dispatch.encoding),
        dispatch.priority, static_cast<std::uint16_t>(has_extra ? extra_offsets_.size() : 0));
    if (!alone.empty()) break;
    blob_.insert(blob_.end(), payload.begin(), payload.end());
    const ByteSpan saved = checkpoint.bytes.span();
    blob_.insert(blob_.end(), saved.begin(), saved.end());
  }
  const auto heads = builder_.CreateVectorOfStructs(dispatch_heads_);
  flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<DispatchExtra>>> extras = 0;
  if (!extra_offsets_.empty()) extras = builder_.CreateVector(extra_offsets_);
  const ByteSpan envelope = finish(Body::Dispatch, CreateDispatch(builder_, heads, extras));
  put(session_of(keys[0]), Body::Dispatch, envelope, alone.empty() ? ByteSpan(blob_) : alone,
      dispatch_heads_.size(), sink);
  return dispatch_heads_.size();
}

void Encoder::dispatches(std::span<const core::DispatchOut> dispatches, OutgoingSink& sink) {
  each_group(dispatches, [&](core::SessionId, std::span<const Key> keys) {
    return put_dispatches(dispatches, keys, sink);
  });
}

void Encoder::cancel_leases(std::span<const core::CancelLeaseOut> cancels, OutgoingSink& sink) {
  for (const core::CancelLeaseOut& cancel : cancels) {
    builder_.Clear();
    const Id token = to_wire(cancel.token);
    const auto body = CreateCancelLease(builder_, &token, static_cast<std::uint64_t>(cancel.worker),
                                        to_u32(cancel.grace));
    put(cancel.session, Body::CancelLease, finish(Body::CancelLease, body), {}, 1, sink);
  }
}

}  // namespace jobwire::wire
