// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "core/effect.h"
#include "core/event.h"
#include "jobwire/wire/message_generated.h"
#include "ports/transport.h"
#include "wire/dead_place.h"
#include "wire/limits.h"
#include "wire/slices.h"

namespace jobwire::wire {

/// Who a message came from, as the broker knows it and not as the message claims.
struct Sender {
  ports::Side side = ports::Side::kProducers;
  /// Put into the decoded event. Zero before Hello.
  core::SessionId session{};
  /// kNone before Hello: everything but Hello is then refused as HelloFirst.
  core::Role role = core::Role::kNone;
};

/// The message is refused, whole: nothing in it took effect. Answer it with Encoder::refused().
struct RefusedIn {
  core::Code code = core::Code::kNone;
  /// A literal: what is wrong, for the peer and for the log.
  const char* message = "";
  /// The refused message's `request`; 0 when it has none or could not be read.
  std::uint64_t request = 0;
  /// For the log; NONE when it could not be read.
  Body kind = Body::NONE;
};

/// The protocol version is spoken here, and the role belongs to this door.
struct HelloIn {
  std::string_view client;
  core::SessionOpened opened;
};

struct GoodbyeIn {
  core::Code code = core::Code::kNone;
  std::string_view message;
};

/// To be echoed with Encoder::heartbeat(). `beat` has workers and leases only when an agent sent
/// it.
struct HeartbeatIn {
  std::uint64_t sequence = 0;
  core::HostBeat beat;
};

/// The jobs whose form is right, and receipts that refuse the others. Every job of the message is
/// in one of the two.
struct SubmitIn {
  std::uint64_t request = 0;
  core::Submitted good;
  std::span<const core::ReceiptOut> bad;
};

/// A page of dead jobs is asked for.
struct DeadQueryIn {
  core::SessionId session{};
  std::uint64_t request = 0;
  core::JobFilter filter;
  DeadPlace after;
  std::uint32_t limit = 0;  // 1 to kMaxDeadPage
  bool full = false;
};

/// Dead jobs of an export, as SubmitIn.
struct DeadImportIn {
  core::DeadImported good;
  std::span<const core::ReceiptOut> bad;
};

/// What an operator wants of the contracts.
struct ContractCommandIn {
  core::SessionId session{};
  std::uint64_t request = 0;
  ContractAction action = ContractAction::Unspecified;
  std::string_view name;
  std::span<const std::uint8_t> schema;
  std::string_view by;
  std::string_view why;
  std::string_view after;
};

using Decoded =
    std::variant<RefusedIn, HelloIn, GoodbyeIn, HeartbeatIn, SubmitIn, core::ResultsAsked,
                 core::CancelAsked, core::WorkerReady, core::ResultsReported, core::HandedBack,
                 core::WorkerDown, core::ProgressReported, core::CheckpointsReported,
                 core::QueueAsked, core::SweepAsked, DeadQueryIn, DeadImportIn, ContractCommandIn>;

/// Turns received bytes into events, or into one refusal. What comes out has the right form: the
/// envelope verified, every slice inside the blob, enums in range, required fields present, no list
/// longer than the limits, the kind one that the sender's role may send. What the values mean is
/// judged in the core.
///
/// Order of the checks: size, identifier, verifier, kind and role, then fields. Cost is linear in
/// the envelope and the number of entries, whatever the bytes are; a payload is never read, an
/// error buffer is verified.
///
/// One thread. Owns an aligned copy of the envelope and the vectors behind the spans, and uses them
/// again for the next message: in a steady state it allocates only for jobs that carry JobOptions.
class Decoder {
 public:
  explicit Decoder(const ProtocolLimits& limits);

  /// Decodes one message. Views in the answer point into this object and into `message.blob`, and
  /// end with the next call or the blob, whichever comes first. Never throws anything but
  /// bad_alloc.
  const Decoded& decode(const ports::Received& message, const Sender& sender);

 private:
  RefusedIn refuse(core::Code code, const char* message) const;
  void read(const Message& message, const Sender& sender);
  void read_hello(const Hello& body, const Sender& sender);
  void read_goodbye(const Goodbye& body);
  void read_heartbeat(const Heartbeat& body, const Sender& sender);
  void read_submit(const Submit& body, const Sender& sender);
  void read_result_request(const ResultRequest& body, const Sender& sender);
  void read_cancel(const Cancel& body, const Sender& sender);
  void read_ready(const Ready& body, const Sender& sender);
  void read_results(const Results& body, const Sender& sender);
  void read_hand_back(const HandBack& body, const Sender& sender);
  void read_worker_down(const WorkerDown& body, const Sender& sender);
  void read_progress(const Progress& body, const Sender& sender);
  void read_checkpoints(const Checkpoints& body, const Sender& sender);

  // decoder_operators.cc
  void read_queue_command(const QueueCommand& body, const Sender& sender);
  void read_sweep(const Sweep& body, const Sender& sender);
  void read_dead_query(const DeadQuery& body, const Sender& sender);
  void read_dead_import(const DeadImport& body, const Sender& sender);
  void read_contract_command(const ContractCommand& body, const Sender& sender);
  bool read_filter(const JobFilter* filter, core::JobFilter& out);
  bool read_dead_job(const DeadJob& dead, BlobSlices& slices, core::Submission& spec,
                     core::ImportedJob& job, core::ReceiptOut& refusal);
  bool read_attempts(const DeadJob& dead, BlobSlices& slices, core::ImportedJob& job,
                     core::ReceiptOut& refusal);
  bool is_text(const flatbuffers::String* text, const char* complaint);

  bool read_result(const ResultHead& head, BlobSlices& slices, core::ResultReport& report);
  bool read_leases(const flatbuffers::Vector<const LeaseHead*>* leases);

  ProtocolLimits limits_;
  std::span<const std::uint8_t> blob_;
  Decoded decoded_;
  // Of the message at hand, for its refusal.
  Body kind_ = Body::NONE;
  std::uint64_t request_ = 0;

  // Used again for each message.
  std::vector<std::uint64_t> envelope_;  // aligned for every field
  std::vector<std::uint64_t> error_;     // one JobError at a time
  std::vector<core::Submission> submissions_;
  std::vector<core::ReceiptOut> receipts_;
  std::vector<core::ImportedJob> imports_;
  std::vector<core::JobId> ids_;
  std::vector<core::LeaseToken> tokens_;
  std::vector<core::WorkerNumber> workers_;
  std::vector<core::HeldLease> leases_;
  std::vector<std::string_view> names_;
  std::vector<core::TypeOffer> offers_;
  std::vector<core::ResultReport> reports_;
  std::vector<core::ProgressNote> notes_;
  std::vector<core::CheckpointNote> checkpoints_;
};

}  // namespace jobwire::wire
