// SPDX-License-Identifier: Apache-2.0
// Dead jobs of an export, taken in again.
#include <algorithm>
#include <limits>

#include "core/admission.h"
#include "core/engine.h"

namespace jobwire::core {
namespace {

constexpr Millis kRetrySoon{200};
constexpr Millis kRetryLater{1'000};
/// Clocks differ: what another broker wrote may seem to have happened a moment from now.
constexpr Millis kAhead{60'000};

std::uint8_t to_u8(std::uint16_t count) {
  return static_cast<std::uint8_t>(
      std::min<std::uint16_t>(count, std::numeric_limits<std::uint8_t>::max()));
}

}  // namespace

void Engine::on(const DeadImported& event, Now now, Effects& out) {
  Session* session = hear(event.session, 0, now, out);
  if (!session) return;
  for (std::size_t i = 0; i < event.jobs.size(); ++i)
    import(event.session, *session, event.jobs[i], event.imports[i], now, out);
  log(out, Severity::kInfo,
      std::to_string(event.jobs.size()) + " dead jobs to import from " + std::string(event.by));
}

void Engine::import(SessionId id, Session& session, const Submission& job, ImportedJob& imported,
                    Now now, Effects& out) {
  const auto turn_down = [&](Code code, const char* field, const char* message,
                             Millis retry_after = Millis{0}) {
    refuse(id, job, code, field, message, retry_after, out);
  };
  if (const auto objection = core::examine(job, now.wall))
    return turn_down(objection->code, objection->field, objection->message);
  if (imported.reason == DeadReason::kNone)
    return turn_down(Code::kInvalidArgument, "reason", "must be given");
  if (imported.died <= Wall{} || imported.died > now.wall + kAhead)
    return turn_down(Code::kInvalidArgument, "died_ms", "must be given, and have passed");
  if (imported.created > imported.died)
    return turn_down(Code::kInvalidArgument, "created_ms", "after its death");
  if (!imported.origin_queue.empty() && !is_name(imported.origin_queue))
    return turn_down(Code::kInvalidName, "origin_queue", "not a name");
  if (answer_known(id, job, out)) return;
  if (imported.died + config_.keep_dead <= now.wall)
    return turn_down(Code::kGoneJob, "died_ms", "dead for longer than dead jobs are kept");
  if (shutting_down_)
    return turn_down(Code::kShuttingDown, "", "the broker is stopping", kRetryLater);
  if (store_scarce_ || now.steady < store_full_until_)
    return turn_down(Code::kStoreFull, "", "the store has no room", kRetryLater);
  std::uint32_t queues = lanes_.queue_names().find(job.queue) ? 0 : 1;
  const bool moved = !imported.origin_queue.empty() && imported.origin_queue != job.queue;
  if (moved && !lanes_.queue_names().find(imported.origin_queue)) ++queues;
  if (lanes_.queue_names().size() + queues > config_.max_queues)
    return turn_down(Code::kQuotaExceeded, "queue", "too many queues");
  if (!lanes_.type_names().find(job.type) && lanes_.type_names().size() >= config_.max_types)
    return turn_down(Code::kQuotaExceeded, "type", "too many types");
  const std::uint64_t contract = job.options ? job.options->contract : 0;
  if (contract != 0 && too_many_contracts(job.type, contract))
    return turn_down(Code::kQuotaExceeded, "contract", "too many contracts of this type");
  if (const auto code = full(session, job.queue, job.payload.size(), now))
    return turn_down(*code, "", "", *code == Code::kQueueFull ? kRetryLater : kRetrySoon);

  const QueueIx queue_ix = lanes_.queue(job.queue);
  const JobIx ix = jobs_.insert(job.id);
  Job& dead = jobs_[ix];
  dead.lane = lanes_.lane(queue_ix, lanes_.type(job.type), contract);
  move(dead, Move::kImport);
  dead.encoding = job.encoding;
  dead.priority = job.priority;
  dead.keep_payload = job.keep_payload;
  dead.timeout_ms = static_cast<std::uint32_t>(job.timeout_ms);
  dead.created = imported.created > Wall{} ? imported.created : imported.died;
  dead.finished = std::min(imported.died, now.wall);
  dead.expires = Wall(Millis(job.expires_at_ms));
  dead.reason = imported.reason;
  dead.attempts = imported.attempts;
  dead.raised = to_u8(imported.raised);
  dead.timed_out = to_u8(imported.timed_out);
  dead.crashed = to_u8(imported.crashed);
  dead.generation = imported.generation;
  dead.payload = Bytes::copy_of(job.payload);
  dead.payload_size = static_cast<std::uint32_t>(job.payload.size());
  dead.submitter = id;
  JobExtra& extra = dead.more();
  if (job.options) extra.options = job.options;
  if (moved) extra.origin = lanes_.queue(imported.origin_queue);
  if (!imported.attempt_list.empty()) {
    Attempt& last = imported.attempt_list.back();
    dead.started = last.started;
    dead.run_us = static_cast<std::uint32_t>(
        std::clamp<Micros::rep>(last.run.count(), 0, std::numeric_limits<std::uint32_t>::max()));
    for (const Attempt& attempt : imported.attempt_list)
      unstored_report_bytes_ += attempt.error.size();
    extra.last_failure = std::make_shared<const Attempt>(last);
    extra.unstored_attempts = std::move(imported.attempt_list);
  }
  ++session.unreceipted;
  session.unreceipted_bytes += dead.payload_size;
  ++unstored_jobs_;
  unstored_bytes_ += dead.payload_size;
  Queue& queue = lanes_[queue_ix];
  ++queue.jobs;
  queue.bytes += dead.payload_size;
  mark_dirty(ix);
}

}  // namespace jobwire::core
