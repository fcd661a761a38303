// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <flatbuffers/flatbuffers.h>

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "core/effect.h"
#include "jobwire/wire/message_generated.h"
#include "ports/store.h"
#include "wire/dead_place.h"
#include "wire/limits.h"

namespace jobwire::wire {

using ByteSpan = std::span<const std::uint8_t>;

/// One message on its way out. The spans end when put() returns.
struct Outgoing {
  core::SessionId session{};
  Body kind = Body::NONE;
  ByteSpan envelope;
  /// Empty when the message has no second frame. A single big payload lies here as it is, not
  /// copied.
  ByteSpan blob;
  /// Heads in it: jobs, receipts, results, tokens.
  std::uint32_t entries = 0;
};

/// Takes messages one after another, in the order in which each session is to get them.
class OutgoingSink {
 public:
  virtual ~OutgoingSink() = default;
  virtual void put(const Outgoing& message) = 0;
};

/// The answer to Hello.
struct WelcomeOut {
  core::SessionId session{};
  std::array<std::uint8_t, 16> broker{};  // random per start of a broker
  std::uint64_t epoch = 0;
  core::Durability durability = core::Durability::kUnspecified;
  std::uint8_t replicas = 0;
  core::Wall now{};
  std::string_view version;
};

/// A page of dead jobs; read with kHead, or with kWhole when it is full.
struct DeadPageOut {
  core::SessionId session{};
  std::uint64_t request = 0;
  core::Code code = core::Code::kNone;
  const char* message = "";
  core::Millis retry_after{0};
  std::deque<ports::StoredJob> jobs;
  std::string next;  // empty: it is the last
  bool full = false;
};

/// The answer to a ContractCommand.
struct ContractReplyOut {
  core::SessionId session{};
  std::uint64_t request = 0;
  core::Code code = core::Code::kNone;
  std::string message;
  core::Millis retry_after{0};
  std::vector<ports::HeldContract> contracts;
};

/// Turns effects of the core into messages, few of them: what goes to one session in one call
/// shares messages of at most 256 dispatches or 1,024 receipts, results or tokens, and an envelope
/// and blob within the limits. Within a session and kind the order of the effects is kept.
///
/// One thread. Owns one builder and one blob buffer, used again for every message.
class Encoder {
 public:
  explicit Encoder(const ProtocolLimits& limits);

  // ---- one message; the span ends with the next call of any method

  ByteSpan welcome(const WelcomeOut& welcome);
  ByteSpan refused(core::Code code, std::string_view message, std::uint64_t request = 0,
                   core::Millis retry_after = core::Millis{0});
  ByteSpan goodbye(core::Code code, std::string_view message);
  /// The echo of a Heartbeat.
  ByteSpan heartbeat(std::uint64_t sequence);

  // ---- grouped by session

  /// All of `effects` that travels, in this order: refusals, receipts, acks with lease refusals,
  /// acks of checkpoints, results, progress, cancel replies, revokes, recalls, dispatches, lease
  /// cancellations, queue replies, sweep reports. Not here, since they need the runtime:
  /// result_reads, payload_reads, dead_scans, contracts_done, session_drops, logs.
  void encode(const core::Effects& effects, OutgoingSink& sink);

  void refusals(std::span<const core::RefusalOut> refusals, OutgoingSink& sink);
  void receipts(std::span<const core::ReceiptOut> receipts, OutgoingSink& sink);
  /// Lease refusals first, in acks with `through` 0, which settles nothing; then one ResultAck a
  /// session, with its highest `through`.
  void acks(std::span<const core::AckOut> acks, std::span<const core::LeaseRefusalOut> refused,
            OutgoingSink& sink);
  void checkpoint_acks(std::span<const core::CheckpointAckOut> acks, OutgoingSink& sink);
  /// The bytes of each are its result, or its JobError buffer, or one built of its ErrorText.
  void results(std::span<const core::ResultOut> results, OutgoingSink& sink);
  void progress(std::span<const core::ProgressOut> words, OutgoingSink& sink);
  void cancel_replies(std::span<const core::CancelReplyOut> replies, OutgoingSink& sink);
  void revokes(std::span<const core::RevokeOut> revokes, OutgoingSink& sink);
  void recalls(std::span<const core::RecallOut> recalls, OutgoingSink& sink);
  void dispatches(std::span<const core::DispatchOut> dispatches, OutgoingSink& sink);
  void cancel_leases(std::span<const core::CancelLeaseOut> cancels, OutgoingSink& sink);
  /// One message a reply; it ends early where its envelope would be too large.
  void queue_replies(std::span<const core::QueueReplyOut> replies, OutgoingSink& sink);
  void sweep_reports(std::span<const core::SweepReportOut> reports, OutgoingSink& sink);
  /// Ends early, as above, and where the blob would be. Errors that do not fit are left out.
  void dead_page(const DeadPageOut& page, OutgoingSink& sink);
  /// Ends early, as above.
  void contract_reply(const ContractReplyOut& reply, OutgoingSink& sink);

 private:
  /// A session in the upper half, an index into the effects in the lower: sorted, they are grouped
  /// by session and keep their order.
  using Key = std::uint64_t;

  /// Calls send(session, keys) for each session; it returns how many keys it took, at least one.
  template <typename T, typename Send>
  void each_group(std::span<const T> items, Send send);
  template <typename T>
  void tokens(std::span<const T> items, Body kind, OutgoingSink& sink);
  template <typename BodyTable>
  ByteSpan finish(Body kind, flatbuffers::Offset<BodyTable> body) {
    FinishMessageBuffer(builder_, CreateMessage(builder_, kind, body.Union()));
    return {builder_.GetBufferPointer(), builder_.GetSize()};
  }
  void put(core::SessionId session, Body kind, ByteSpan envelope, ByteSpan blob,
           std::size_t entries, OutgoingSink& sink);
  flatbuffers::Offset<flatbuffers::String> literal(const char* text);
  std::size_t put_receipts(std::span<const core::ReceiptOut> receipts, std::span<const Key> keys,
                           OutgoingSink& sink);
  std::size_t put_results(std::span<const core::ResultOut> results, std::span<const Key> keys,
                          OutgoingSink& sink);
  std::size_t put_progress(std::span<const core::ProgressOut> words, std::span<const Key> keys,
                           OutgoingSink& sink);
  std::size_t put_dispatches(std::span<const core::DispatchOut> dispatches,
                             std::span<const Key> keys, OutgoingSink& sink);
  flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<DeadAttempt>>> attempts_in(
      const ports::StoredJob& job);
  ByteSpan error_buffer(const core::ErrorText& text);
  /// The bytes that go with a result; they end with the next call.
  ByteSpan payload_of(const core::ResultOut& result, bool& is_error);

  ProtocolLimits limits_;
  flatbuffers::FlatBufferBuilder builder_;
  flatbuffers::FlatBufferBuilder error_builder_;
  std::vector<std::uint8_t> blob_;
  std::vector<Key> keys_;
  std::vector<std::pair<const char*, flatbuffers::Offset<flatbuffers::String>>> literals_;
  std::vector<flatbuffers::Offset<Refusal>> refusal_offsets_;
  std::vector<flatbuffers::Offset<Header>> header_offsets_;
  std::vector<flatbuffers::Offset<DispatchExtra>> extra_offsets_;
  std::vector<flatbuffers::Offset<Obstacle>> obstacle_offsets_;
  std::vector<DispatchHead> dispatch_heads_;
  std::vector<ResultView> result_views_;
  std::vector<LeaseRefusal> lease_refusals_;
  std::vector<ProgressView> progress_views_;
};

}  // namespace jobwire::wire
