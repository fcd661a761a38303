// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/job_writer.h"

#include <string>

#include "adapters/redis/options_text.h"

namespace jobwire::redis {
namespace {

void put_text(CommandBuffer& out, Field field, std::string_view text) {
  out.literal(bulk_of(field));
  out.arg(text);
}

template <typename Number>
void put_number(CommandBuffer& out, Field field, Number value) {
  if (value == 0) return;
  out.literal(bulk_of(field));
  out.number(value);
}

void put_time(CommandBuffer& out, Field field, core::Wall time) {
  put_number(out, field, time.time_since_epoch().count());
}

}  // namespace

void JobWriter::write(const core::JobWrite& write, CommandBuffer& out) {
  const core::JobRecord& job = write.job;
  out.next("HSET", 16);
  out.id(keys_.job, job.id);
  out.literal(bulk_of(Field::kState));
  out.literal(bulk_of(job.state));
  if (write.stored == core::State::kNone) {
    write_once(job, out);
  } else if (!write.stored_queue.empty()) {
    put_text(out, Field::kQueue, job.queue);
    if (!job.origin.empty()) put_text(out, Field::kOrigin, job.origin);
  }
  write_now(job, out);
  write_attempts(write, out);
  if (write.stored == core::State::kNone) {
    if (job.payload && !write.drop_payload) put_text(out, Field::kPayload, job.payload.view());
  } else {
    // Emptied, not deleted: that would be another command, and 8 % more of Redis for each job.
    if (write.drop_payload && job.payload_size > 0) put_text(out, Field::kPayload, {});
    drop(write, out);
  }
}

void JobWriter::write(const core::ProgressWrite& word, CommandBuffer& out) {
  out.next("HSET", 8);
  out.id(keys_.job, word.id);
  out.literal(bulk_of(Field::kProgress));
  out.number(word.progress.value);
  // Empty too: the last word's must not stay.
  put_text(out, Field::kProgressMessage, word.progress.message.view());
  out.literal(bulk_of(Field::kProgressAt));
  out.number(word.progress.at.time_since_epoch().count());
}

void JobWriter::write(const core::CheckpointWrite& write, CommandBuffer& out) {
  const core::Checkpoint& checkpoint = write.checkpoint;
  out.next(checkpoint ? Bulk("HSET") : Bulk("HDEL"), checkpoint ? 6 : 4);
  out.id(keys_.job, write.id);
  out.literal(bulk_of(Field::kCheckpointEncoding));
  if (checkpoint) out.literal(bulk_of(checkpoint.encoding));
  out.literal(bulk_of(Field::kCheckpoint));
  if (checkpoint) out.arg(checkpoint.bytes.view());
}

void JobWriter::write_once(const core::JobRecord& job, CommandBuffer& out) {
  put_text(out, Field::kQueue, job.queue);
  if (!job.origin.empty()) put_text(out, Field::kOrigin, job.origin);
  put_text(out, Field::kType, job.type);
  put_time(out, Field::kCreated, job.created);
  if (job.encoding != core::Encoding::kNone) {
    out.literal(bulk_of(Field::kEncoding));
    out.literal(bulk_of(job.encoding));
  }
  put_number(out, Field::kSize, job.payload_size);
  if (job.priority != core::JobRecord{}.priority) {
    out.literal(bulk_of(Field::kPriority));
    out.number(unsigned{job.priority});
  }
  put_number(out, Field::kTimeout, job.timeout.count());
  put_time(out, Field::kExpires, job.expires);
  if (job.keep_payload) put_text(out, Field::kKeep, "1");
  if (job.options) put_text(out, Field::kOptions, options_text(*job.options));
}

void JobWriter::write_now(const core::JobRecord& job, CommandBuffer& out) {
  put_time(out, Field::kDue, job.due);
  put_number(out, Field::kAttempts, job.attempts);
  put_number(out, Field::kRaised, job.raised);
  put_number(out, Field::kTimedOut, job.timed_out);
  put_number(out, Field::kCrashed, job.crashed);
  put_number(out, Field::kGeneration, job.generation);
  if (!job.token.is_zero()) {
    out.literal(bulk_of(Field::kToken));
    out.hex(job.token.bytes);
  }
  if (!job.worker.empty()) put_text(out, Field::kWorker, job.worker);
  put_time(out, Field::kStarted, job.started);
  put_time(out, Field::kFinished, job.finished);
  put_number(out, Field::kRun, job.run.count());
  if (job.reason != core::DeadReason::kNone) {
    out.literal(bulk_of(Field::kReason));
    out.literal(bulk_of(job.reason));
  }
  if (job.cancel_reason) put_text(out, Field::kCancelReason, job.cancel_reason.view());
  if (job.result_encoding != (job.result ? job.encoding : core::Encoding::kNone)) {
    out.literal(bulk_of(Field::kResultEncoding));
    out.literal(bulk_of(job.result_encoding));
  }
  if (job.result) put_text(out, Field::kResult, job.result.view());
}

void JobWriter::write_attempts(const core::JobWrite& write, CommandBuffer& out) {
  for (const core::Attempt& attempt : write.attempts) {
    // A replayed job counts its attempts anew, and keeps the old ones.
    std::string name = "attempt:";
    if (attempt.generation > 0) (name += std::to_string(attempt.generation)) += '.';
    out.arg(name += std::to_string(attempt.number));
    out.arg(attempt_.build(attempt));
  }
  if (write.attempts.empty()) return;
  const core::Attempt& last = write.attempts.back();
  if (!last.error_type.empty() || !last.error_message.empty())
    put_text(out, Field::kError, error_line(last.error_type, last.error_message));
}

void JobWriter::drop(const core::JobWrite& write, CommandBuffer& out) {
  const core::JobRecord& job = write.job;
  bool any = false;
  const auto del = [&](Field field) {
    if (!any) {
      out.next("HDEL", 3);
      out.id(keys_.job, job.id);
      any = true;
    }
    out.literal(bulk_of(field));
  };

  // Only what the stored state can have set. A lease belongs to a running job or to one that a
  // result ended; a due time to a scheduled one; the rest is left behind by a replay.
  const core::State stored = write.stored;
  const bool was_final = core::is_final(stored);
  if (stored == core::State::kScheduled && job.due == core::Wall{}) del(Field::kDue);
  if (stored == core::State::kRunning || was_final) {
    if (job.token.is_zero()) del(Field::kToken);
    if (job.worker.empty()) del(Field::kWorker);
    if (job.started == core::Wall{}) del(Field::kStarted);
  }
  const bool no_error = write.attempts.empty() ? was_final
                                               : write.attempts.back().error_type.empty() &&
                                                     write.attempts.back().error_message.empty();
  const bool failed_before = job.raised + job.timed_out + job.crashed > 0 || job.generation > 0;
  if (failed_before && (no_error || job.state == core::State::kSucceeded)) del(Field::kError);
  if (was_final) {
    if (job.attempts == 0) del(Field::kAttempts);
    if (job.raised == 0) del(Field::kRaised);
    if (job.timed_out == 0) del(Field::kTimedOut);
    if (job.crashed == 0) del(Field::kCrashed);
    if (job.expires == core::Wall{}) del(Field::kExpires);
    if (job.finished == core::Wall{}) del(Field::kFinished);
    if (job.run.count() == 0) del(Field::kRun);
    if (job.reason == core::DeadReason::kNone) del(Field::kReason);
    if (job.result_encoding == core::Encoding::kNone) del(Field::kResultEncoding);
    if (!job.result) del(Field::kResult);
    if (!write.stored_queue.empty() && job.origin.empty()) del(Field::kOrigin);
  }
}

}  // namespace jobwire::redis
