// SPDX-License-Identifier: Apache-2.0
// What operators send.
#include <algorithm>
#include <limits>

#include "wire/decoder.h"
#include "wire/job_error.h"
#include "wire/job_spec.h"
#include "wire/struct_list.h"
#include "wire/utf8.h"

namespace jobwire::wire {
namespace {

std::string_view view_of(const flatbuffers::String* text) {
  return text ? text->string_view() : std::string_view{};
}

core::Wall wall(std::int64_t ms) { return core::Wall{core::Millis{ms}}; }

std::uint16_t to_u16(std::uint32_t count) {
  return static_cast<std::uint16_t>(
      std::min<std::uint32_t>(count, std::numeric_limits<std::uint16_t>::max()));
}

core::Outcome outcome_of(core::DeadReason reason) {
  switch (reason) {
    case core::DeadReason::kTimedOut:
      return core::Outcome::kTimedOut;
    case core::DeadReason::kCrashed:
      return core::Outcome::kCrashed;
    case core::DeadReason::kRejected:
      return core::Outcome::kRejected;
    case core::DeadReason::kNone:
    case core::DeadReason::kRaised:
      break;
  }
  return core::Outcome::kRaised;
}

}  // namespace

bool Decoder::is_text(const flatbuffers::String* text, const char* complaint) {
  if (is_utf8(view_of(text))) return true;
  decoded_ = refuse(core::Code::kInvalidArgument, complaint);
  return false;
}

void Decoder::read_queue_command(const QueueCommand& body, const Sender& sender) {
  if (body.action() == QueueAction::Unspecified || body.action() > QueueAction::MAX) {
    decoded_ = refuse(core::Code::kInvalidArgument, "action: not known");
    return;
  }
  if (!is_text(body.by(), "by: not UTF-8") || !is_text(body.why(), "why: not UTF-8")) return;
  core::QueueAsked asked;
  asked.session = sender.session;
  asked.request = body.request();
  asked.action = static_cast<core::QueueAction>(body.action());
  asked.queue = view_of(body.queue());
  asked.by = view_of(body.by());
  asked.why = view_of(body.why());
  asked.until_ms = body.until_ms();
  asked.weight = body.weight();
  asked.after = view_of(body.after());
  asked.limit = body.limit();
  decoded_ = asked;
}

bool Decoder::read_filter(const JobFilter* filter, core::JobFilter& out) {
  out = {};
  if (!filter) return true;
  if (filter->reason() > DeadReason::MAX) {
    decoded_ = refuse(core::Code::kInvalidArgument, "reason: not known");
    return false;
  }
  const StructList<Id> ids(filter->ids());
  if (ids.size() > limits_.max_jobs_per_message) {
    decoded_ = refuse(core::Code::kTooMany, "ids: more than max_jobs_per_message");
    return false;
  }
  if (!is_text(filter->error(), "error: not UTF-8")) return false;
  out.queue = view_of(filter->queue());
  out.type = view_of(filter->type());
  out.reason = static_cast<core::DeadReason>(filter->reason());
  out.error = view_of(filter->error());
  out.before = wall(filter->before_ms());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const Id id = ids[i];
    out.ids.push_back(core::JobId::from_bytes(reinterpret_cast<const std::uint8_t*>(&id)));
  }
  return true;
}

void Decoder::read_sweep(const Sweep& body, const Sender& sender) {
  if (body.action() == SweepAction::Unspecified || body.action() > SweepAction::MAX) {
    decoded_ = refuse(core::Code::kInvalidArgument, "action: not known");
    return;
  }
  if (!is_text(body.by(), "by: not UTF-8") || !is_text(body.why(), "why: not UTF-8")) return;
  core::SweepAsked asked;
  if (!read_filter(body.filter(), asked.filter)) return;
  asked.session = sender.session;
  asked.request = body.request();
  asked.action = static_cast<core::SweepAction>(body.action());
  asked.by = view_of(body.by());
  asked.why = view_of(body.why());
  asked.dry_run = body.dry_run();
  asked.rate_per_s = body.rate_per_s();
  asked.limit = body.limit();
  asked.to_queue = view_of(body.to_queue());
  decoded_ = std::move(asked);
}

void Decoder::read_dead_query(const DeadQuery& body, const Sender& sender) {
  DeadQueryIn query;
  if (!read_filter(body.filter(), query.filter)) return;
  if (!read_dead_place(view_of(body.after()), query.after)) {
    decoded_ = refuse(core::Code::kInvalidArgument, "after: not the next of a page");
    return;
  }
  query.session = sender.session;
  query.request = body.request();
  query.limit =
      body.limit() == 0 ? kUsualDeadPage : std::min<std::uint32_t>(body.limit(), kMaxDeadPage);
  query.full = body.full();
  decoded_ = std::move(query);
}

bool Decoder::read_attempts(const DeadJob& dead, BlobSlices& slices, core::ImportedJob& job,
                            core::ReceiptOut& refusal) {
  const auto bad = [&](core::Code code, const char* message) {
    refusal.code = code;
    refusal.field = "attempt_list";
    refusal.message = message;
    return false;
  };
  const auto* attempts = dead.attempt_list();
  if (!attempts || attempts->size() == 0) {
    // What is known of the last one.
    core::Attempt last;
    last.number = std::max<std::uint16_t>(job.attempts, 1);
    last.generation = job.generation;
    last.ended = last.started = job.died;
    last.outcome = outcome_of(job.reason);
    last.error_type = view_of(dead.error_type());
    last.error_message = view_of(dead.error_message());
    job.attempt_list.push_back(std::move(last));
    return true;
  }
  if (attempts->size() > kMaxAttempts) return bad(core::Code::kTooMany, "more than 500");
  for (const DeadAttempt* attempt : *attempts) {
    if (attempt->outcome() == Outcome::Unspecified || attempt->outcome() > Outcome::MAX)
      return bad(core::Code::kInvalidArgument, "an outcome that is not known");
    if (attempt->error_size() > limits_.max_error_bytes)
      return bad(core::Code::kTooLarge, "an error larger than max_error_bytes");
    std::span<const std::uint8_t> error;
    if (slices.take(attempt->error_offset(), attempt->error_size(), error) !=
        BlobSlices::Verdict::kTaken) {
      return bad(core::Code::kMalformedFrame, "an error is not inside the blob");
    }
    core::Attempt& out = job.attempt_list.emplace_back();
    JobErrorWords words;
    if (!error.empty()) {
      if (!read_job_error(error, error_, words))
        return bad(core::Code::kMalformedFrame, "an error is not a verifiable JWER buffer");
      out.error = core::Bytes::copy_of(error);
    }
    out.number = to_u16(attempt->number());
    out.generation = attempt->generation();
    if (out.number == 0 || out.generation > job.generation)
      return bad(core::Code::kInvalidArgument, "an attempt that cannot have been");
    if (job.attempt_list.size() > 1) {
      const core::Attempt& before = job.attempt_list[job.attempt_list.size() - 2];
      if (std::pair(before.generation, before.number) >= std::pair(out.generation, out.number))
        return bad(core::Code::kInvalidArgument, "not in their order");
    }
    if (attempt->token())
      out.token = core::LeaseToken::from_bytes(attempt->token()->bytes()->data());
    out.worker = view_of(attempt->worker()).substr(0, kMaxHostNameBytes);
    out.host = view_of(attempt->host()).substr(0, kMaxHostNameBytes);
    out.started = wall(attempt->started_ms());
    out.ended = wall(attempt->ended_ms());
    out.outcome = static_cast<core::Outcome>(attempt->outcome());
    out.run = core::Micros{static_cast<std::int64_t>(
        std::min<std::uint64_t>(attempt->run_us(), std::uint64_t{1} << 62))};
    out.error_type = words.type;
    out.error_message = words.message;
  }
  core::Attempt& last = job.attempt_list.back();
  if (last.error_type.empty() && last.error_message.empty()) {
    last.error_type = view_of(dead.error_type());
    last.error_message = view_of(dead.error_message());
  }
  return true;
}

bool Decoder::read_dead_job(const DeadJob& dead, BlobSlices& slices, core::Submission& spec,
                            core::ImportedJob& job, core::ReceiptOut& refusal) {
  const auto bad = [&](const char* field, const char* message) {
    refusal.code = core::Code::kInvalidArgument;
    refusal.field = field;
    refusal.message = message;
    return false;
  };
  if (!dead.job()) return bad("job", "the job is missing");
  spec.id =
      dead.job()->id() ? core::JobId::from_bytes(dead.job()->id()->bytes()->data()) : core::JobId{};
  if (!read_job_spec(*dead.job(), limits_, slices, spec, refusal)) return false;
  // It has been due, or has expired, long ago.
  spec.delay_ms = 0;
  spec.not_before_ms = spec.expires_at_ms = 0;
  spec.watch = false;
  if (dead.reason() > DeadReason::MAX) return bad("reason", "not known");
  if (!is_utf8(view_of(dead.error_type())) || !is_utf8(view_of(dead.error_message())))
    return bad("error_message", "not UTF-8");
  if (view_of(dead.error_type()).size() + view_of(dead.error_message()).size() >
      limits_.max_error_bytes) {
    return bad("error_message", "larger than max_error_bytes");
  }
  job.created = wall(dead.created_ms());
  job.died = wall(dead.died_ms());
  job.reason = static_cast<core::DeadReason>(dead.reason());
  job.attempts = to_u16(dead.attempts());
  job.raised = to_u16(dead.raised());
  job.timed_out = to_u16(dead.timed_out());
  job.crashed = to_u16(dead.crashed());
  job.generation = dead.generation();
  job.origin_queue = view_of(dead.origin_queue());
  return read_attempts(dead, slices, job, refusal);
}

void Decoder::read_dead_import(const DeadImport& body, const Sender& sender) {
  const std::string_view by = view_of(body.by());
  if (by.empty() || by.size() > kMaxByBytes || !is_utf8(by)) {
    decoded_ = refuse(core::Code::kInvalidArgument, "by: 1 to 128 bytes of UTF-8");
    return;
  }
  submissions_.clear();
  receipts_.clear();
  imports_.clear();
  BlobSlices slices(blob_, limits_.max_message_bytes);
  if (body.jobs()) {
    for (const DeadJob* dead : *body.jobs()) {
      core::Submission& spec = submissions_.emplace_back();
      core::ImportedJob& job = imports_.emplace_back();
      core::ReceiptOut refusal;
      if (read_dead_job(*dead, slices, spec, job, refusal)) continue;
      refusal.session = sender.session;
      refusal.id = spec.id;
      refusal.job = spec.id;
      receipts_.push_back(refusal);
      submissions_.pop_back();
      imports_.pop_back();
    }
  }
  decoded_ = DeadImportIn{{sender.session, by, submissions_, imports_}, receipts_};
}

void Decoder::read_contract_command(const ContractCommand& body, const Sender& sender) {
  const auto bad = [&](core::Code code, const char* message) { decoded_ = refuse(code, message); };
  if (body.action() == ContractAction::Unspecified || body.action() > ContractAction::MAX)
    return bad(core::Code::kInvalidArgument, "action: not known");
  ContractCommandIn command;
  command.session = sender.session;
  command.request = body.request();
  command.action = body.action();
  command.name = view_of(body.name());
  command.by = view_of(body.by());
  command.why = view_of(body.why());
  command.after = view_of(body.after());
  if (command.action != ContractAction::List) {
    if (command.by.empty() || command.by.size() > kMaxByBytes || !is_utf8(command.by))
      return bad(core::Code::kInvalidArgument, "by: 1 to 128 bytes of UTF-8");
    if (command.why.size() > kMaxReasonBytes || !is_utf8(command.why))
      return bad(core::Code::kInvalidArgument, "why: at most 1024 bytes of UTF-8");
  }
  BlobSlices slices(blob_, limits_.max_message_bytes);
  if (slices.take(body.schema_offset(), body.schema_size(), command.schema) !=
      BlobSlices::Verdict::kTaken) {
    return bad(core::Code::kMalformedFrame, "the schema is not inside the blob");
  }
  decoded_ = command;
}

}  // namespace jobwire::wire
