// SPDX-License-Identifier: Apache-2.0
#include "wire/decoder.h"

#include <cmath>

#include "wire/envelope.h"
#include "wire/job_error.h"
#include "wire/job_spec.h"
#include "wire/kinds.h"
#include "wire/struct_list.h"
#include "wire/utf8.h"

namespace jobwire::wire {
namespace {

template <typename CoreId>
CoreId to_core(const Id& id) {
  return CoreId::from_bytes(reinterpret_cast<const std::uint8_t*>(&id));
}

template <typename CoreId>
CoreId to_core(const Id* id) {
  return id ? to_core<CoreId>(*id) : CoreId{};
}

std::string_view text_of(const flatbuffers::String* text, std::size_t most) {
  return text ? text->string_view().substr(0, most) : std::string_view{};
}

// The number of elements, for lists that may be absent.
template <typename T>
std::size_t size_of(const flatbuffers::Vector<T>* vector) {
  return vector ? vector->size() : 0;
}

core::Micros to_micros(std::uint64_t value) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 62;
  return core::Micros{static_cast<std::int64_t>(value < kMost ? value : kMost)};
}

template <typename CoreId>
void copy_ids(const flatbuffers::Vector<const Id*>* vector, std::vector<CoreId>& ids) {
  const StructList<Id> list(vector);
  ids.clear();
  for (std::size_t i = 0; i < list.size(); ++i) ids.push_back(to_core<CoreId>(list[i]));
}

std::uint64_t request_of(const Message& message) {
  switch (message.body_type()) {
    case Body::Submit:
      return message.body_as_Submit()->request();
    case Body::ResultRequest:
      return message.body_as_ResultRequest()->request();
    case Body::Cancel:
      return message.body_as_Cancel()->request();
    case Body::QueueCommand:
      return message.body_as_QueueCommand()->request();
    case Body::Sweep:
      return message.body_as_Sweep()->request();
    case Body::DeadQuery:
      return message.body_as_DeadQuery()->request();
    case Body::DeadImport:
      return message.body_as_DeadImport()->request();
    case Body::ContractCommand:
      return message.body_as_ContractCommand()->request();
    default:
      return 0;
  }
}

// A crash or a loss is for others to find.
bool worker_reports(Outcome outcome) {
  switch (outcome) {
    case Outcome::Succeeded:
    case Outcome::Raised:
    case Outcome::Rejected:
    case Outcome::RetryAsked:
    case Outcome::TimedOut:
    case Outcome::Cancelled:
    case Outcome::HandedBack:
      return true;
    case Outcome::Unspecified:
    case Outcome::Crashed:
    case Outcome::Lost:
      return false;
  }
  return false;  // a number of a later protocol
}

bool belongs_to(core::Role role, ports::Side side) {
  const bool works = role == core::Role::kWorker || role == core::Role::kAgent;
  return works == (side == ports::Side::kWorkers);
}

}  // namespace

Decoder::Decoder(const ProtocolLimits& limits) : limits_(limits) {}

RefusedIn Decoder::refuse(core::Code code, const char* message) const {
  return {code, message, request_, kind_};
}

const Decoded& Decoder::decode(const ports::Received& message, const Sender& sender) {
  kind_ = Body::NONE;
  request_ = 0;
  blob_ = message.blob;
  if (message.malformed) {
    decoded_ = refuse(core::Code::kMalformedFrame, "a message is one or two frames");
    return decoded_;
  }
  if (blob_.size() > limits_.max_message_bytes) {
    decoded_ = refuse(core::Code::kTooLarge, "the blob is larger than max_message_bytes");
    return decoded_;
  }
  const Opened opened = open_envelope(message.envelope, limits_.max_jobs_per_message, envelope_);
  if (!opened.message) {
    decoded_ = refuse(opened.code, opened.reason);
    return decoded_;
  }
  kind_ = opened.message->body_type();
  if (kind_ > Body::MAX || !opened.message->body()) kind_ = Body::NONE;
  if (kind_ != Body::NONE) request_ = request_of(*opened.message);
  switch (const core::Code code = judge(kind_, sender.role)) {
    case core::Code::kNone:
      read(*opened.message, sender);
      break;
    case core::Code::kHelloFirst:
      decoded_ = refuse(code, "no session: send Hello, then everything unacknowledged");
      break;
    case core::Code::kWrongRole:
      decoded_ = refuse(code, "the session's role does not send this message");
      break;
    default:
      decoded_ = refuse(code, "no message of this kind is sent to the broker");
      break;
  }
  return decoded_;
}

void Decoder::read(const Message& message, const Sender& sender) {
  switch (message.body_type()) {
    case Body::Hello:
      return read_hello(*message.body_as_Hello(), sender);
    case Body::Goodbye:
      return read_goodbye(*message.body_as_Goodbye());
    case Body::Heartbeat:
      return read_heartbeat(*message.body_as_Heartbeat(), sender);
    case Body::Submit:
      return read_submit(*message.body_as_Submit(), sender);
    case Body::ResultRequest:
      return read_result_request(*message.body_as_ResultRequest(), sender);
    case Body::Cancel:
      return read_cancel(*message.body_as_Cancel(), sender);
    case Body::Ready:
      return read_ready(*message.body_as_Ready(), sender);
    case Body::Results:
      return read_results(*message.body_as_Results(), sender);
    case Body::HandBack:
      return read_hand_back(*message.body_as_HandBack(), sender);
    case Body::WorkerDown:
      return read_worker_down(*message.body_as_WorkerDown(), sender);
    case Body::Progress:
      return read_progress(*message.body_as_Progress(), sender);
    case Body::Checkpoints:
      return read_checkpoints(*message.body_as_Checkpoints(), sender);
    case Body::NONE:
    case Body::Welcome:
    case Body::Refused:
    case Body::Receipts:
    case Body::ResultPush:
    case Body::CancelReply:
    case Body::Dispatch:
    case Body::ResultAck:
    case Body::Recall:
    case Body::CancelLease:
    case Body::Revoke:
    case Body::ProgressPush:
    case Body::QueueReply:
    case Body::SweepReport:
    case Body::DeadPage:
    case Body::CheckpointAck:
    case Body::ContractReply:
      break;  // judged before
    case Body::QueueCommand:
      return read_queue_command(*message.body_as_QueueCommand(), sender);
    case Body::Sweep:
      return read_sweep(*message.body_as_Sweep(), sender);
    case Body::DeadQuery:
      return read_dead_query(*message.body_as_DeadQuery(), sender);
    case Body::DeadImport:
      return read_dead_import(*message.body_as_DeadImport(), sender);
    case Body::ContractCommand:
      return read_contract_command(*message.body_as_ContractCommand(), sender);
  }
  decoded_ = refuse(core::Code::kUnknownKind, "no message of this kind is sent to the broker");
}

void Decoder::read_hello(const Hello& body, const Sender& sender) {
  if (body.protocol() != kProtocolVersion) {
    decoded_ = refuse(core::Code::kUnsupportedVersion, "this broker speaks protocol 1");
    return;
  }
  if (body.role() == Role::Unspecified || body.role() > Role::MAX) {
    decoded_ = refuse(core::Code::kInvalidArgument, "role: not known");
    return;
  }
  HelloIn hello;
  hello.client = text_of(body.client(), kMaxClientBytes);
  hello.opened.session = sender.session;
  hello.opened.role = static_cast<core::Role>(body.role());
  if (!belongs_to(hello.opened.role, sender.side)) {
    decoded_ = refuse(core::Code::kWrongRole,
                      "producers and operators, workers and agents have doors of their own");
    return;
  }
  hello.opened.host = to_core<core::HostId>(body.host());
  hello.opened.host_name = text_of(body.host_name(), kMaxHostNameBytes);
  hello.opened.worker = core::WorkerNumber{body.worker()};
  hello.opened.pid = body.pid();
  if (hello.opened.role == core::Role::kAgent && hello.opened.host.is_zero()) {
    decoded_ = refuse(core::Code::kInvalidArgument, "host: an agent has an id");
    return;
  }
  decoded_ = hello;
}

void Decoder::read_goodbye(const Goodbye& body) {
  decoded_ =
      GoodbyeIn{static_cast<core::Code>(body.code()), text_of(body.message(), kMaxClientBytes)};
}

void Decoder::read_heartbeat(const Heartbeat& body, const Sender& sender) {
  HeartbeatIn heartbeat;
  heartbeat.sequence = body.sequence();
  heartbeat.beat.session = sender.session;
  if (sender.role == core::Role::kAgent) {
    const StructList<std::uint64_t> workers(body.workers());
    if (workers.size() > kMaxLeases) {
      decoded_ = refuse(core::Code::kTooMany, "workers: more than 4096");
      return;
    }
    if (!read_leases(body.running())) return;
    workers_.clear();
    for (std::size_t i = 0; i < workers.size(); ++i) {
      workers_.push_back(core::WorkerNumber{flatbuffers::EndianScalar(workers[i])});
    }
    heartbeat.beat.workers = workers_;
    heartbeat.beat.running = leases_;
  }
  decoded_ = heartbeat;
}

void Decoder::read_submit(const Submit& body, const Sender& sender) {
  submissions_.clear();
  receipts_.clear();
  BlobSlices slices(blob_, limits_.max_message_bytes);
  if (body.jobs()) {
    for (const JobSpec* spec : *body.jobs()) {
      core::Submission& job = submissions_.emplace_back();
      job.id = to_core<core::JobId>(spec->id());
      core::ReceiptOut refusal;
      if (read_job_spec(*spec, limits_, slices, job, refusal)) continue;
      refusal.session = sender.session;
      refusal.id = job.id;
      refusal.job = job.id;
      receipts_.push_back(refusal);
      submissions_.pop_back();
    }
  }
  decoded_ = SubmitIn{body.request(), {sender.session, submissions_}, receipts_};
}

void Decoder::read_result_request(const ResultRequest& body, const Sender& sender) {
  if (size_of(body.ids()) > limits_.max_jobs_per_message) {
    decoded_ = refuse(core::Code::kTooMany, "ids: more than max_jobs_per_message");
    return;
  }
  copy_ids(body.ids(), ids_);
  decoded_ = core::ResultsAsked{sender.session, body.request(), ids_, body.wait()};
}

void Decoder::read_cancel(const Cancel& body, const Sender& sender) {
  if (size_of(body.ids()) > limits_.max_jobs_per_message) {
    decoded_ = refuse(core::Code::kTooMany, "ids: more than max_jobs_per_message");
    return;
  }
  const std::string_view reason = body.reason() ? body.reason()->string_view() : std::string_view{};
  if (reason.size() > kMaxReasonBytes) {
    decoded_ = refuse(core::Code::kTooLarge, "reason: more than 1024 bytes");
    return;
  }
  if (!is_utf8(reason)) {
    decoded_ = refuse(core::Code::kInvalidArgument, "reason: not UTF-8");
    return;
  }
  copy_ids(body.ids(), ids_);
  decoded_ = core::CancelAsked{sender.session, body.request(), ids_, reason};
}

bool Decoder::read_leases(const flatbuffers::Vector<const LeaseHead*>* leases) {
  const StructList<LeaseHead> list(leases);
  if (list.size() > kMaxLeases) {
    decoded_ = refuse(core::Code::kTooMany, "leases: more than 4096");
    return false;
  }
  leases_.clear();
  for (std::size_t i = 0; i < list.size(); ++i) {
    const LeaseHead head = list[i];
    leases_.push_back({to_core<core::LeaseToken>(head.token()), to_core<core::JobId>(head.job()),
                       core::WorkerNumber{head.worker()},
                       core::Wall{core::Millis{head.started_ms()}}, head.attempt(),
                       head.finished()});
  }
  return true;
}

void Decoder::read_ready(const Ready& body, const Sender& sender) {
  if (size_of(body.queues()) > limits_.max_jobs_per_message ||
      size_of(body.types()) > limits_.max_jobs_per_message) {
    decoded_ = refuse(core::Code::kTooMany, "queues, types: more than max_jobs_per_message");
    return;
  }
  const auto is_name = [&](const flatbuffers::String* text) {
    return text && text->size() != 0 && text->size() <= limits_.max_name_bytes;
  };
  names_.clear();
  offers_.clear();
  if (body.queues()) {
    for (const flatbuffers::String* queue : *body.queues()) {
      if (!is_name(queue)) {
        decoded_ = refuse(core::Code::kInvalidName, "queues: a name of 0 or too many bytes");
        return;
      }
      names_.push_back(queue->string_view());
    }
  }
  if (body.types()) {
    for (const TypeOffer* offer : *body.types()) {
      if (!is_name(offer->name())) {
        decoded_ = refuse(core::Code::kInvalidName, "types: a name of 0 or too many bytes");
        return;
      }
      core::TypeOffer taken;
      taken.name = offer->name()->string_view();
      taken.contract = offer->contract();
      if (const auto* accepts = offer->accepts())
        taken.accepts = {accepts->data(), accepts->size()};
      if (offer->version()) taken.version = offer->version()->string_view();
      if (!is_utf8(taken.version)) {
        decoded_ = refuse(core::Code::kInvalidArgument, "types: a version that is not UTF-8");
        return;
      }
      taken.timeout_ms = offer->timeout_ms();
      if (offer->retry()) {
        auto retry = std::make_shared<core::RetryPolicy>();
        core::ReceiptOut refusal;
        if (!read_retry(*offer->retry(), *retry, refusal)) {
          decoded_ = refuse(refusal.code, refusal.message);
          return;
        }
        taken.retry = std::move(retry);
      }
      offers_.push_back(taken);
    }
  }
  if (!read_leases(body.held())) return;
  decoded_ =
      core::WorkerReady{sender.session, names_, offers_, body.slots(), body.credit(), leases_};
}

bool Decoder::read_result(const ResultHead& head, BlobSlices& slices, core::ResultReport& report) {
  if (!worker_reports(head.outcome())) {
    decoded_ = refuse(core::Code::kInvalidArgument, "outcome: not one that a worker reports");
    return false;
  }
  const bool succeeded = head.outcome() == Outcome::Succeeded;
  if (succeeded && (head.encoding() == Encoding::Unspecified || head.encoding() > Encoding::MAX)) {
    decoded_ = refuse(core::Code::kInvalidArgument, "encoding: not known");
    return false;
  }
  if (head.payload_size() > (succeeded ? limits_.max_payload_bytes : limits_.max_error_bytes)) {
    decoded_ = refuse(core::Code::kTooLarge, succeeded ? "a result larger than max_payload_bytes"
                                                       : "an error larger than max_error_bytes");
    return false;
  }
  switch (slices.take(head.payload_offset(), head.payload_size(), report.payload)) {
    case BlobSlices::Verdict::kTaken:
      break;
    case BlobSlices::Verdict::kOutside:
      decoded_ = refuse(core::Code::kMalformedFrame, "a result is not inside the blob");
      return false;
    case BlobSlices::Verdict::kTooMuch:
      decoded_ =
          refuse(core::Code::kTooLarge, "results are together larger than max_message_bytes");
      return false;
  }
  if (!succeeded && !report.payload.empty()) {
    JobErrorWords words;
    if (!read_job_error(report.payload, error_, words)) {
      decoded_ = refuse(core::Code::kMalformedFrame, "an error is not a verifiable JWER buffer");
      return false;
    }
    report.error_type = words.type;
    report.error_message = words.message;
    report.error_retryable = words.retryable;
  }
  report.token = to_core<core::LeaseToken>(head.token());
  report.job = to_core<core::JobId>(head.job());
  report.outcome = static_cast<core::Outcome>(head.outcome());
  report.encoding =
      succeeded ? static_cast<core::Encoding>(head.encoding()) : core::Encoding::kNone;
  report.run = to_micros(head.run_us());
  report.started = core::Wall{core::Millis{head.started_ms()}};
  report.retry_delay = core::Millis{head.retry_delay_ms()};
  return true;
}

void Decoder::read_results(const Results& body, const Sender& sender) {
  const StructList<ResultHead> heads(body.heads());
  if (heads.size() > limits_.max_jobs_per_message) {
    decoded_ = refuse(core::Code::kTooMany, "heads: more than max_jobs_per_message");
    return;
  }
  reports_.clear();
  BlobSlices slices(blob_, limits_.max_message_bytes);
  for (std::size_t i = 0; i < heads.size(); ++i) {
    if (!read_result(heads[i], slices, reports_.emplace_back())) return;
  }
  decoded_ = core::ResultsReported{sender.session, body.sequence(), reports_};
}

void Decoder::read_hand_back(const HandBack& body, const Sender& sender) {
  if (size_of(body.tokens()) > kMaxLeases) {
    decoded_ = refuse(core::Code::kTooMany, "tokens: more than 4096");
    return;
  }
  copy_ids(body.tokens(), tokens_);
  decoded_ = core::HandedBack{sender.session, tokens_};
}

void Decoder::read_worker_down(const WorkerDown& body, const Sender& sender) {
  if (body.end() == WorkerEnd::Unspecified || body.end() > WorkerEnd::MAX) {
    decoded_ = refuse(core::Code::kInvalidArgument, "end: not known");
    return;
  }
  if (!read_leases(body.running())) return;
  core::WorkerDown down;
  down.session = sender.session;
  down.worker = core::WorkerNumber{body.worker()};
  down.end = static_cast<core::WorkerEnd>(body.end());
  down.pid = body.pid();
  down.signal = body.signal();
  down.exit_code = body.exit_code();
  down.running = leases_;
  down.log_tail = text_of(body.log_tail(), kMaxLogTailBytes);
  decoded_ = down;
}

void Decoder::read_progress(const Progress& body, const Sender& sender) {
  const StructList<ProgressHead> heads(body.heads());
  if (heads.size() > limits_.max_jobs_per_message) {
    decoded_ = refuse(core::Code::kTooMany, "heads: more than max_jobs_per_message");
    return;
  }
  notes_.clear();
  BlobSlices slices(blob_, limits_.max_message_bytes);
  for (std::size_t i = 0; i < heads.size(); ++i) {
    const ProgressHead head = heads[i];
    if (!std::isfinite(head.value())) {
      decoded_ = refuse(core::Code::kInvalidArgument, "value: not a number");
      return;
    }
    if (head.message_size() > kMaxProgressBytes) {
      decoded_ = refuse(core::Code::kTooLarge, "a progress message of more than 1024 bytes");
      return;
    }
    std::span<const std::uint8_t> text;
    if (slices.take(head.message_offset(), head.message_size(), text) !=
        BlobSlices::Verdict::kTaken) {
      decoded_ = refuse(core::Code::kMalformedFrame, "a progress message is not inside the blob");
      return;
    }
    const std::string_view message(reinterpret_cast<const char*>(text.data()), text.size());
    if (!is_utf8(message)) {
      decoded_ = refuse(core::Code::kInvalidArgument, "a progress message is not UTF-8");
      return;
    }
    notes_.push_back({to_core<core::LeaseToken>(head.token()), head.value(), message});
  }
  decoded_ = core::ProgressReported{sender.session, notes_};
}

void Decoder::read_checkpoints(const Checkpoints& body, const Sender& sender) {
  const StructList<CheckpointHead> heads(body.heads());
  if (heads.size() > limits_.max_jobs_per_message) {
    decoded_ = refuse(core::Code::kTooMany, "heads: more than max_jobs_per_message");
    return;
  }
  checkpoints_.clear();
  BlobSlices slices(blob_, limits_.max_message_bytes);
  for (std::size_t i = 0; i < heads.size(); ++i) {
    const CheckpointHead head = heads[i];
    if (head.encoding() == Encoding::Unspecified || head.encoding() > Encoding::MAX) {
      decoded_ = refuse(core::Code::kInvalidArgument, "encoding: not known");
      return;
    }
    if (head.number() == 0) {
      decoded_ = refuse(core::Code::kInvalidArgument, "number: counts from 1");
      return;
    }
    if (head.size() > limits_.max_checkpoint_bytes) {
      decoded_ = refuse(core::Code::kTooLarge, "a checkpoint larger than max_checkpoint_bytes");
      return;
    }
    std::span<const std::uint8_t> bytes;
    if (slices.take(head.offset(), head.size(), bytes) != BlobSlices::Verdict::kTaken) {
      decoded_ = refuse(core::Code::kMalformedFrame, "a checkpoint is not inside the blob");
      return;
    }
    checkpoints_.push_back({to_core<core::LeaseToken>(head.token()), head.number(),
                            static_cast<core::Encoding>(head.encoding()), bytes});
  }
  decoded_ = core::CheckpointsReported{sender.session, checkpoints_};
}

}  // namespace jobwire::wire
