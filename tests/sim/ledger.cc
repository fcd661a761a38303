// SPDX-License-Identifier: Apache-2.0
#include "sim/ledger.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "core/admission.h"

namespace jobwire::sim {

using core::JobId;
using core::LeaseToken;
using core::Millis;
using core::Outcome;
using core::State;

Buffer result_bytes(const LeaseToken& token, const JobId& job, std::size_t padding) {
  Buffer bytes(32 + padding, 0x2e);
  std::copy(token.bytes.begin(), token.bytes.end(), bytes.begin());
  std::copy(job.bytes.begin(), job.bytes.end(), bytes.begin() + 16);
  return bytes;
}

Buffer checkpoint_bytes(const LeaseToken& token, std::uint32_t number) {
  Buffer bytes(token.bytes.begin(), token.bytes.end());
  bytes.resize(bytes.size() + sizeof number);
  std::memcpy(bytes.data() + token.bytes.size(), &number, sizeof number);
  return bytes;
}

void Ledger::violated(const std::string& rule, const JobId& id) const {
  char tail[20];
  std::snprintf(tail, sizeof tail, "%llx", static_cast<unsigned long long>(id.tail()));
  throw Violation(rule + " (job " + core::to_string(id) + ", in the trace " + tail + ")");
}

Truth& Ledger::truth(const JobId& id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) violated("a job that nobody submitted", id);
  return found->second;
}

Run* Ledger::find_run(const LeaseToken& token) {
  const auto found = runs_.find(token);
  return found == runs_.end() ? nullptr : &found->second;
}

Run& Ledger::run(const LeaseToken& token) {
  Run* const found = find_run(token);
  if (!found) throw Violation("a lease token that nobody granted");
  return *found;
}

Truth& Ledger::submitted(const JobSpec& spec, bool invalid) {
  Truth& truth = jobs_[spec.id];
  truth.spec = spec;
  truth.invalid = invalid;
  truth.first_sent = agenda_.steady();
  return truth;
}

void Ledger::receipt_sent(const wire::ReceiptHead& head) {
  const auto id = id_of<JobId>(head.id());
  const auto job = id_of<JobId>(head.job());
  Truth& asked = truth(id);
  trace_.note("  receipt", id.tail(), static_cast<std::uint64_t>(head.code()),
              static_cast<std::uint64_t>(head.state()));
  if (head.code() != wire::Code::Unspecified) {
    if (head.code() == wire::Code::DuplicateMismatch)
      violated("a mismatch where there is none", id);
    return;
  }
  if (asked.invalid) violated("an invalid job was receipted", id);
  const Truth& holder = truth(job);
  if (!holder.stored) violated("a receipt before the commit", job);
  if (job != id && holder.spec.dedup_key != asked.spec.dedup_key)
    violated("receipted as another job", id);
  if (head.duplicate()) coverage_.met(Met::kDuplicateReceipt);
  if (job != id) coverage_.met(Met::kDedupHit);
  const auto state = static_cast<State>(head.state());
  // A superseded broker may know an earlier life of the id, or an earlier end.
  if (core::is_final(state) && holder.lives == 1 && holder.replays == 0)
    end_told(job, state, "receipt");
}

void Ledger::end_told(const JobId& id, State state, const char* by) {
  const Truth& known = truth(id);
  if (known.end != state) {
    violated(std::string("a ") + by + " says " + std::string(core::name_of(state)) +
                 ", the store " + std::string(core::name_of(known.end)),
             id);
  }
}

void Ledger::view_sent(std::uint64_t endpoint, const wire::ResultView& view, ByteSpan payload) {
  const auto id = id_of<JobId>(view.id());
  Truth& known = truth(id);
  trace_.note("  result", id.tail(), static_cast<std::uint64_t>(view.known()),
              static_cast<std::uint64_t>(view.state()));
  const auto state = static_cast<State>(view.state());
  // The answer to a question of an earlier life of the same id may come late.
  if (known.lives > 1 || known.replays > 0) return;
  switch (view.known()) {
    case wire::Known::Final: {
      end_told(id, state, "result");
      coverage_.met(view.pushed() ? Met::kFinalPushed : Met::kFinalRead);
      if (state == State::kSucceeded) {
        const ByteSpan bytes = payload.subspan(view.payload_offset(), view.payload_size());
        if (bytes.size() < 32 ||
            !std::equal(known.winner.bytes.begin(), known.winner.bytes.end(), bytes.begin()) ||
            !std::equal(id.bytes.begin(), id.bytes.end(), bytes.begin() + 16)) {
          violated("the result is not the one that counted", id);
        }
      }
      break;
    }
    case wire::Known::Unknown:
      coverage_.met(Met::kUnknown);
      if (known.receipted && endpoint == owner_ && !known.removed)
        violated("a receipted job is unknown", id);
      if (known.stored && endpoint == owner_ && !known.removed)
        violated("a stored job is unknown", id);
      if (known.removed && endpoint == owner_ && !wall_was_stepped)
        violated("a removed job is unknown instead of gone", id);
      break;
    case wire::Known::Gone:
      coverage_.met(Met::kGone);
      // Its removal may be under way.
      if (endpoint == owner_ && known.stored && known.end == State::kNone)
        violated("a living job is gone", id);
      break;
    case wire::Known::Waiting:
    case wire::Known::Running:
      if (core::is_final(state)) violated("a final state that is not known as final", id);
      break;
    case wire::Known::Unspecified:
      violated("an answer without an answer", id);
  }
}

Run& Ledger::spoken(const JobId& job, std::string_view message, float value) {
  LeaseToken token;
  if (!core::parse_hex(message, token.bytes)) violated("progress with a message of nobody's", job);
  Run& run = this->run(token);
  if (run.job != job) violated("progress of another job", job);
  const auto word = static_cast<std::uint32_t>(value);
  if (word == 0 || word > run.words) violated("progress that nobody told", job);
  return run;
}

void Ledger::progress_sent(std::uint64_t endpoint, const wire::ProgressView& view, ByteSpan blob) {
  const auto id = id_of<JobId>(view.id());
  const ByteSpan text = blob.subspan(view.message_offset(), view.message_size());
  Run& run = spoken(id, {reinterpret_cast<const char*>(text.data()), text.size()}, view.value());
  coverage_.met(Met::kProgressPushed);
  if (run.superseded_by == endpoint) violated("progress of a lease that is over", id);
  const Truth& known = truth(id);
  if (known.end != State::kNone && known.lives == 1 && endpoint == owner_)
    violated("progress of a job that has ended", id);
  // Its agent and the worker itself are two ways: one may overtake the other.
  run.words_told = static_cast<std::uint32_t>(view.value());
}

void Ledger::recall_sent(const LeaseToken& token) {
  Run* const run = find_run(token);
  // Granted to a session that had just gone: its Dispatch was never sent, and the worker that has
  // greeted anew has not said Ready yet.
  if (!run) return;
  if (!truth(run->job).cancel_asked) coverage_.met(Met::kIdleRecall);
  run->recalled = true;
}

void Ledger::progress_written(const core::ProgressWrite& write) {
  Run& run = spoken(write.id, write.progress.message.view(), write.progress.value);
  coverage_.met(Met::kProgressStored);
  run.words_stored = static_cast<std::uint32_t>(write.progress.value);
}

std::pair<Run*, std::uint32_t> Ledger::saved(const JobId& job, ByteSpan bytes) {
  LeaseToken token;
  std::uint32_t number = 0;
  if (bytes.size() != token.bytes.size() + sizeof number)
    violated("a checkpoint of another size", job);
  std::memcpy(token.bytes.data(), bytes.data(), token.bytes.size());
  std::memcpy(&number, bytes.data() + token.bytes.size(), sizeof number);
  Run& run = this->run(token);
  if (run.job != job) violated("the checkpoint of another job", job);
  if (number == 0 || number > run.saves) violated("a checkpoint that nobody saved", job);
  return {&run, number};
}

void Ledger::checkpoint_written(const core::CheckpointWrite& write) {
  const auto [run, number] = saved(write.id, write.checkpoint.bytes.span());
  coverage_.met(Met::kCheckpointStored);
  run->saves_stored = std::max(run->saves_stored, number);
}

void Ledger::checkpoint_acknowledged(std::uint64_t endpoint, const wire::CheckpointAckHead& head) {
  const auto token = id_of<LeaseToken>(head.token());
  Run& run = this->run(token);
  if (head.code() != wire::Code::Unspecified) {
    coverage_.met(Met::kCheckpointRefused);
    return;
  }
  if (head.number() > run.saves_stored)
    violated("an acknowledged checkpoint is not in the store", run.job);
  Truth& known = truth(run.job);
  if (endpoint != owner_ || run.life != known.lives + known.replays) return;
  const auto place = std::find(known.runs.begin(), known.runs.end(), token);
  const auto index = static_cast<std::size_t>(place - known.runs.begin()) + 1;
  known.saved = std::max(known.saved, std::pair(index, head.number()));
}

void Ledger::check_resumed(const Truth& known, const Run& run, const JobId& id,
                           const wire::DispatchExtra* extra, ByteSpan blob) {
  std::pair<std::size_t, std::uint32_t> found{};
  if (extra && extra->checkpoint_encoding() != wire::Encoding::Unspecified) {
    coverage_.met(Met::kResumed);
    const auto [saver, number] =
        saved(id, blob.subspan(extra->checkpoint_offset(), extra->checkpoint_size()));
    if (saver->life != run.life) violated("a checkpoint from before a replay", id);
    const auto place = std::find_if(known.runs.begin(), known.runs.end(),
                                    [&](const auto& token) { return &runs_.at(token) == saver; });
    found = {static_cast<std::size_t>(place - known.runs.begin()) + 1, number};
  }
  if (found < known.saved) violated("an acknowledged checkpoint is lost", id);
}

void Ledger::cancel_reply_sent(std::uint64_t endpoint, const wire::CancelHead& head) {
  const auto id = id_of<JobId>(head.id());
  Truth& known = truth(id);
  const auto state = static_cast<State>(head.state());
  switch (head.code()) {
    case wire::Code::Unspecified:
      coverage_.met(Met::kCancelConfirmed);
      if (state != State::kCancelled) violated("a cancel is confirmed without its state", id);
      if (known.replays == 0) end_told(id, state, "confirmed cancel");
      break;
    case wire::Code::AlreadyFinal:
      coverage_.met(Met::kCancelTooLate);
      if (known.replays == 0) end_told(id, state, "cancel that came too late");
      break;
    case wire::Code::UnknownJob:
      if (known.stored && endpoint == owner_ && !known.removed)
        violated("a cancel of a stored job finds nothing", id);
      break;
    default:
      break;
  }
}

void Ledger::dispatched(std::uint64_t endpoint, const wire::DispatchHead& head,
                        const wire::DispatchExtra* extra, ByteSpan payload) {
  const auto id = id_of<JobId>(head.job());
  const auto token = id_of<LeaseToken>(head.token());
  Truth& known = truth(id);
  trace_.note("  dispatched", token.tail(), id.tail(), endpoint);
  coverage_.met(Met::kDispatched);
  if (!known.stored) violated("dispatched before the commit that took it in", id);
  if (endpoint == owner_) {
    if (known.end != State::kNone) violated("dispatched after its end", id);
    // What its operator was told of, and is so in the store. A resume, or a pause that follows one
    // that is over, may be in the store and not told yet.
    const core::QueueSettings& settings = settings_[known.queue];
    const auto told = told_paused_.find(known.queue);
    if (told != told_paused_.end() && settings.paused && settings.since == told->second &&
        !wall_was_stepped && (settings.until == core::Wall{} || agenda_.wall() < settings.until)) {
      violated("handed out of a paused queue", id);
    }
    for (const LeaseToken& older : known.runs) runs_[older].superseded_by = endpoint;
  }
  const auto [entry, fresh] = runs_.try_emplace(token);
  if (!fresh) violated("a lease token was granted twice", id);
  Run& run = entry->second;
  run.job = id;
  run.endpoint = endpoint;
  run.timeout_ms = head.timeout_ms();
  run.attempt = head.attempt();
  run.granted_at = agenda_.steady();
  run.life = known.lives + known.replays;
  known.runs.push_back(token);
  if (endpoint == owner_) check_resumed(known, run, id, extra, payload);
  const ByteSpan bytes = head.payload_size() == 0
                             ? ByteSpan{}
                             : payload.subspan(head.payload_offset(), head.payload_size());
  if (!std::equal(bytes.begin(), bytes.end(), known.spec.payload.begin(),
                  known.spec.payload.end())) {
    violated("dispatched with another payload", id);
  }
  if (head.priority() != known.spec.priority ||
      head.encoding() != static_cast<wire::Encoding>(known.spec.encoding)) {
    violated("dispatched with another priority or encoding", id);
  }
  // Its worker has said what holds for the type before anything came to it.
  const std::uint32_t of_type = declared.at(known.spec.type).timeout_ms;
  const auto of_broker = static_cast<std::uint32_t>(config_.default_timeout.count());
  const std::uint32_t timeout_ms = known.spec.timeout_ms != 0 ? known.spec.timeout_ms
                                   : of_type != 0             ? of_type
                                                              : of_broker;
  if (head.timeout_ms() != timeout_ms) violated("dispatched with another timeout", id);
  if (known.spec.timeout_ms == 0 && of_type != 0) coverage_.met(Met::kTypeTimeoutUsed);
  const auto earliest = known.first_sent + Millis(static_cast<Millis::rep>(known.spec.delay_ms));
  if (!wall_was_stepped && agenda_.steady() + Millis(2) < earliest)
    violated("dispatched before its delay has passed", id);
}

void Ledger::started(const LeaseToken& token) {
  Run& begun = run(token);
  const Truth& known = truth(begun.job);
  if (known.invalid || (truly_refused(known) && known.refused > 0))
    violated("a refused job runs", begun.job);
  begun.started = true;
  begun.started_at = agenda_.steady();
}

void Ledger::acknowledged(const ResultNote& note) {
  const Truth& known = truth(note.job);
  const Run& settled = run(note.token);
  // The end, or the charge of this very attempt, is in the store.
  const bool stored =
      known.end != State::kNone || known.lives > 1 || known.replays > 0 || settled.charged;
  if (stored || note.outcome == Outcome::kHandedBack) return;
  violated("an acknowledged result is not in the store", note.job);
}

void Ledger::claim_refused(const LeaseToken& token, std::uint64_t endpoint) {
  const Run& run = this->run(token);
  const Truth& known = truth(run.job);
  if (endpoint != owner_ || run.endpoint == endpoint) return;
  // The job may have ended, or gone on to another lease, for reasons that are not in the store yet.
  const bool may_have_ended = known.end != State::kNone || known.cancel_asked ||
                              known.spec.expires_at_ms != 0 || run.charged || known.replays > 0;
  // With several leases about, another one's holder may have come first.
  const bool may_be_elsewhere = known.runs.size() > 1 || run.superseded_by != 0;
  const bool may_be_overdue =
      run.started && agenda_.steady() - run.started_at > Millis(run.timeout_ms);
  // Nor is anybody waited for longer than the adoption window.
  const bool may_be_lost = agenda_.steady() - owner_since_ > config_.adoption_window;
  if (may_have_ended || may_be_elsewhere || may_be_overdue || may_be_lost) return;
  violated("a run from before the restart was not adopted", run.job);
}

std::array<core::RetryPolicy, 2> Ledger::policies_of(const core::JobRecord& job) const {
  const auto type = declared.find(std::string(job.type));
  const bool has_type = type != declared.end() && type->second.retry;
  std::array<core::RetryPolicy, 2> policies = {
      has_type ? core::with_defaults(*type->second.retry, config_.retry) : config_.retry,
      config_.retry};
  if (job.options && job.options->has_retry) {
    for (core::RetryPolicy& policy : policies)
      policy = core::with_defaults(job.options->retry, policy);
  }
  return policies;
}

void Ledger::inserted(const core::JobRecord& job, core::Wall now) {
  Truth& known = truth(job.id);
  if (known.invalid) violated("an invalid job was stored", job.id);
  if (known.lives > 0 && !known.removed) violated("a job was taken in twice", job.id);
  ++known.lives;
  known.saved = {};
  known.stored = true;
  known.removed = false;
  known.queue = job.queue;
  known.end = State::kNone;
  const JobSpec& spec = known.spec;
  if (job.queue != spec.queue || job.type != spec.type || job.priority != spec.priority ||
      job.encoding != spec.encoding || job.keep_payload != spec.keep_payload ||
      job.payload_size != spec.payload.size() ||
      job.expires.time_since_epoch().count() != spec.expires_at_ms ||
      job.timeout.count() != spec.timeout_ms) {
    violated("stored otherwise than submitted", job.id);
  }
  if (job.state != State::kSucceeded && job.payload_size > 0 &&
      !std::equal(job.payload.span().begin(), job.payload.span().end(), spec.payload.begin(),
                  spec.payload.end())) {
    violated("stored with another payload", job.id);
  }
  const std::string key = job.options ? job.options->dedup_key : "";
  if (key != spec.dedup_key) violated("stored with another dedup key", job.id);
  if ((job.options && job.options->has_retry) != spec.retry.has_value())
    violated("stored without its retry policy", job.id);
  if ((job.options ? job.options->contract : 0) != spec.contract)
    violated("stored with another contract", job.id);
  if (job.options && job.options->headers != spec.headers)
    violated("stored with other headers", job.id);
  if (key.empty()) return;
  Hold& hold = dedups_[key];
  if (!hold.job.is_zero() && hold.job != job.id && !wall_was_stepped &&
      job.created < hold.since + Millis(static_cast<Millis::rep>(hold.window_ms))) {
    violated("two jobs with one dedup key within its window", job.id);
  }
  hold = {job.id, job.created, spec.dedup_window_ms};
  (void)now;
}

void Ledger::attempt_written(const core::JobRecord& job, const core::Attempt& attempt) {
  const auto policies = policies_of(job);
  const auto fits = [&](const core::RetryPolicy& policy) {
    return job.raised <= policy.attempts && job.timed_out <= policy.timeouts &&
           job.crashed <= policy.crashes;
  };
  if (!fits(policies[0]) && !fits(policies[1])) violated("a budget is exceeded", job.id);
  if (fits(policies[0]) && !fits(policies[1])) coverage_.met(Met::kTypeRetryUsed);
  if (attempt.token.is_zero()) violated("an attempt without a lease", job.id);
  Run* const known = find_run(attempt.token);
  const bool presumed =
      attempt.error_type == "jobwire.HostLost" || attempt.error_type == "jobwire.WorkerLost";
  if (!known && presumed) {
    coverage_.met(Met::kHostLossCharged);
    return;  // granted, but it never left the broker: which nobody can know when a host is lost
  }
  Run& ended = run(attempt.token);
  if (ended.job != job.id) violated("charged to another job", job.id);
  // The word of a dead worker may come in the next life of the id.
  if (ended.charged && truth(job.id).lives == 1) violated("one attempt is charged twice", job.id);
  if (superseded(ended)) violated("an attempt counts although its lease was superseded", job.id);
  ended.charged = true;
  switch (attempt.outcome) {
    case Outcome::kCrashed:
      if (attempt.error_type == "jobwire.WorkerCrashed") {
        coverage_.met(Met::kCrashCharged);
        if (!ended.died_running)
          violated("a crash is charged to a job that was not running", job.id);
      } else {
        coverage_.met(Met::kHostLossCharged);
        // Judged at the end of the attempt, which a slow store may show much later.
        if (ended.trouble_until && !wall_was_stepped &&
            agenda_.steady() - (agenda_.wall() - attempt.ended) > *ended.trouble_until)
          violated("the loss of a host is charged though the host was not lost", job.id);
      }
      break;
    case Outcome::kTimedOut: {
      const bool by_broker = attempt.error_message.starts_with("ran longer");
      coverage_.met(by_broker ? Met::kTimedOutByBroker : Met::kTimedOutByAgent);
      // Of a worker without an agent nobody knows when it begins.
      const bool presumed_run = attempt.error_message == "ran longer than its timeout";
      if (!ended.started && !presumed_run)
        violated("a timeout is charged to a job that had not begun", job.id);
      const core::Steady since = presumed_run ? ended.granted_at : ended.started_at;
      if (agenda_.steady() - since < Millis(ended.timeout_ms))
        violated("a timeout before its time", job.id);
      break;
    }
    case Outcome::kRaised:
    case Outcome::kRejected:
    case Outcome::kRetryAsked:
    case Outcome::kCancelled:
      if (ended.reported != attempt.outcome)
        violated("an outcome that its worker did not report", job.id);
      break;
    case Outcome::kNone:
    case Outcome::kSucceeded:
    case Outcome::kHandedBack:
    case Outcome::kLost:
      violated("an outcome that is not charged", job.id);
  }
}

void Ledger::ended(const core::JobRecord& job) {
  Truth& known = truth(job.id);
  if (known.end != State::kNone) violated("a final state changed", job.id);
  known.end = job.state;
  known.ended = job.finished;
  known.ended_at = agenda_.steady();
  known.end_attempts = job.attempts;
  const auto policies = policies_of(job);
  switch (job.state) {
    case State::kSucceeded: {
      coverage_.met(Met::kSucceeded);
      if (job.result.size() < 32) violated("a success without its result", job.id);
      known.winner = LeaseToken::from_bytes(job.result.data());
      Run& winner = run(known.winner);
      if (winner.job != job.id) violated("a result of another job", job.id);
      if (superseded(winner) || winner.charged)
        violated("a result counts although its lease was over", job.id);
      if (winner.reported != Outcome::kSucceeded)
        violated("a success that its worker did not report", job.id);
      if (winner.endpoint != owner_) coverage_.met(Met::kAdopted);
      break;
    }
    case State::kDead:
      switch (job.reason) {
        case core::DeadReason::kRaised:
          coverage_.met(Met::kDeadRaised);
          break;
        case core::DeadReason::kTimedOut:
          coverage_.met(Met::kDeadTimedOut);
          if (job.timed_out != policies[0].timeouts && job.timed_out != policies[1].timeouts)
            violated("dead of timeouts with some left", job.id);
          break;
        case core::DeadReason::kCrashed:
          coverage_.met(Met::kDeadCrashed);
          if (job.crashed != policies[0].crashes && job.crashed != policies[1].crashes)
            violated("dead of crashes with some left", job.id);
          break;
        case core::DeadReason::kRejected:
          coverage_.met(Met::kDeadRejected);
          break;
        case core::DeadReason::kNone:
          violated("dead for no reason", job.id);
      }
      break;
    case State::kExpired:
      coverage_.met(Met::kExpired);
      if (known.spec.expires_at_ms == 0) violated("expired without a time for it", job.id);
      if (job.generation > 0) violated("expired after a replay", job.id);
      break;
    case State::kCancelled: {
      coverage_.met(Met::kCancelled);
      if (job.cancel_reason) coverage_.met(Met::kCancelReason);
      if (job.cancel_reason && job.cancel_reason.view() != "no longer")
        violated("cancelled for a reason that nobody gave", job.id);
      if (known.cancel_asked) break;
      coverage_.met(Met::kPurged);
      const bool purged = std::any_of(purges_.begin(), purges_.end(), [&](const auto& entry) {
        const Purge& purge = entry.second;
        return purge.queue == job.queue && known.first_sent <= purge.known_at;
      });
      if (!purged) violated("cancelled, and nobody asked for that", job.id);
      break;
    }
    case State::kNone:
    case State::kScheduled:
    case State::kQueued:
    case State::kRunning:
      break;
  }
}

void Ledger::running_written(const core::JobRecord& job) {
  // After a restart only the store can tell which of two leases was the later; a job that waits
  // again has none.
  const std::vector<LeaseToken>& runs = truth(job.id).runs;
  if (job.state == State::kRunning && std::find(runs.begin(), runs.end(), job.token) == runs.end())
    return;
  for (const LeaseToken& token : runs) {
    if (token == job.token) break;
    runs_[token].outdated = job.state == State::kRunning;
  }
}

void Ledger::removed(const JobId& id, core::Steady now) {
  Truth& known = truth(id);
  if (known.end == State::kNone) violated("removed before its end", id);
  coverage_.met(Met::kRemoved);
  known.removed = true;
  const auto own = Millis(static_cast<Millis::rep>(known.spec.result_ttl_ms));
  const Millis least = known.end == State::kDead ? config_.keep_dead : config_.keep_finished;
  const Millis kept = own.count() != 0 ? std::min(own, least) : least;
  // Its age counts from its end, which is some time before the commit.
  if (known.end == State::kDead && drop_asked_) {
    coverage_.met(Met::kDropped);
    return;
  }
  if (!wall_was_stepped && !truth_may_be_gone && now - known.ended_at + Millis(60'000) < kept)
    violated("removed too early", id);
}

void Ledger::replayed(const core::JobRecord& job) {
  Truth& known = truth(job.id);
  if (!replay_asked_) violated("replayed, and nobody asked for that", job.id);
  if (known.end != State::kDead) violated("replayed, and it was not dead", job.id);
  if (known.removed) violated("replayed after it was removed", job.id);
  known.end = State::kNone;
  ++known.replays;
  known.saved = {};
  coverage_.met(Met::kReplayed);
  if (known.queue != job.queue) coverage_.met(Met::kReplayMoved);
  known.queue = job.queue;
}

void Ledger::queue_set(const std::string& queue, const core::QueueSettings& settings) {
  if (refused_.contains(settings.why))
    throw Violation("a refused command has changed queue " + queue);
  settings_[queue] = settings;
}

void Ledger::command_refused(std::uint64_t request) {
  const std::string why = "request " + std::to_string(request);
  refused_.insert(why);
  for (const auto& [queue, settings] : settings_) {
    if (settings.why == why) throw Violation("a refused command has changed queue " + queue);
  }
}

void Ledger::queue_told(const std::string& queue, bool paused, core::Wall since) {
  if (paused) {
    coverage_.met(Met::kPausedTold);
    told_paused_[queue] = since;
  } else {
    told_paused_.erase(queue);
  }
}

void Ledger::know_settings() {
  told_paused_.clear();
  for (const auto& [queue, settings] : settings_) {
    if (settings.paused) told_paused_[queue] = settings.since;
  }
}

void Ledger::sweep_sent(std::uint64_t request, core::SweepAction action, const std::string& queue,
                        bool dry) {
  if (dry) return;
  if (action == core::SweepAction::kPurge) purges_[request] = {queue};
  if (action == core::SweepAction::kReplay) replay_asked_ = true;
  if (action == core::SweepAction::kDrop) drop_asked_ = true;
}

void Ledger::sweep_known(std::uint64_t request) {
  const auto purge = purges_.find(request);
  if (purge != purges_.end())
    purge->second.known_at = std::min(purge->second.known_at, agenda_.steady());
}

void Ledger::sweep_over(std::uint64_t request) {
  const auto purge = purges_.find(request);
  // What is still on its way may begin it, and will not go far.
  if (purge != purges_.end())
    purge->second.known_at = std::min(purge->second.known_at, agenda_.steady() + Millis(5'000));
}

void Ledger::dead_shown(const JobId& id, std::uint32_t generation) {
  const Truth& known = truth(id);
  if (known.lives == 1 && generation > known.replays)
    violated("shown dead with more replays than there were", id);
}

}  // namespace jobwire::sim
