// SPDX-License-Identifier: Apache-2.0
#include "jobwire/operator.h"

#include <algorithm>
#include <istream>
#include <ostream>
#include <utility>

#include "dead_json.h"
#include "operator_request.h"
#include "pending_state.h"
#include "read_job.h"
#include "session.h"

JOBWIRE_NAMESPACE_BEGIN

using namespace client_detail;

namespace {

constexpr std::uint32_t kDeadPerPage = 500;
// What one DeadImport message carries at most.
constexpr std::size_t kImportJobs = 256;
constexpr std::size_t kImportBlobBytes = 4U << 20;
constexpr std::size_t kImportEnvelopeBytes = kMaxEnvelopeBytes / 2;

std::string text_of(const flatbuffers::String* text) { return text ? text->str() : std::string(); }

std::vector<DeadAttempt> read_attempts(const wire::DeadJob& dead, std::span<const std::byte> blob) {
  std::vector<DeadAttempt> attempts;
  if (!dead.attempt_list()) return attempts;
  for (const wire::DeadAttempt* wire : *dead.attempt_list()) {
    DeadAttempt& attempt = attempts.emplace_back();
    attempt.number = wire->number();
    attempt.generation = wire->generation();
    attempt.worker = text_of(wire->worker());
    attempt.host = text_of(wire->host());
    attempt.started = to_time(wire->started_ms());
    attempt.ended = to_time(wire->ended_ms());
    attempt.outcome = from_wire(wire->outcome());
    attempt.run_time = to_run_time(wire->run_us());
    const std::size_t offset = wire->error_offset();
    const std::size_t size = wire->error_size();
    if (size == 0 || offset > blob.size() || size > blob.size() - offset) continue;
    attempt.error = std::make_shared<const JobError>(read_job_error(blob.subspan(offset, size)));
  }
  return attempts;
}

std::optional<DeadJob> read_dead(const wire::DeadJob& wire, std::span<const std::byte> blob) {
  if (!wire.job() || !wire.job()->id()) return std::nullopt;
  auto job = read_job(*wire.job(), blob);
  if (!job) return std::nullopt;
  DeadJob dead;
  dead.id = from_wire(*wire.job()->id());
  dead.queue = job->queue();
  dead.origin_queue = text_of(wire.origin_queue());
  dead.type = job->type();
  dead.reason = from_wire(wire.reason());
  dead.error_type = text_of(wire.error_type());
  dead.error_message = text_of(wire.error_message());
  dead.created = to_time(wire.created_ms());
  dead.died = to_time(wire.died_ms());
  dead.attempts = wire.attempts();
  dead.raised = wire.raised();
  dead.timed_out = wire.timed_out();
  dead.crashed = wire.crashed();
  dead.generation = wire.generation();
  dead.payload_bytes = wire.payload_bytes();
  dead.job = std::move(*job);
  dead.attempt_list = read_attempts(wire, blob);
  return dead;
}

Result<ContractRequest::Page> ask_about_contracts(Session& session,
                                                  ContractRequest::Command command,
                                                  const std::stop_token& stop) {
  const auto state = std::make_shared<PendingState<ContractRequest::Page>>();
  const TimePoint deadline = session.submit_deadline();
  const Status asked =
      session.ask(std::make_shared<ContractRequest>(deadline, std::move(command), state));
  return asked ? session.await(*state, deadline, stop) : asked.error();
}

Result<DeadRequest::Page> ask_for_page(Session& session, DeadRequest::Query query,
                                       const std::stop_token& stop) {
  const auto state = std::make_shared<PendingState<DeadRequest::Page>>();
  const TimePoint deadline = session.submit_deadline();
  const Status asked =
      session.ask(std::make_shared<DeadRequest>(deadline, std::move(query), state));
  return asked ? session.await(*state, deadline, stop) : asked.error();
}

}  // namespace

Result<Operator> Operator::connect(std::string_view endpoints, ClientOptions options,
                                   std::stop_token stop) {
  auto session = Session::open(endpoints, Session::Role::Operator, std::move(options), stop);
  if (!session) return session.error();
  return Operator(Client(std::move(*session)));
}

// ---------------------------------------------------------------- queues

Result<QueuePage> Operator::command(int action, std::string_view queue, const By* by,
                                    std::uint32_t weight, std::string_view after,
                                    std::uint32_t limit, const std::stop_token& stop) {
  Session& session = *client_.session_;
  QueueRequest::Command command;
  command.action = static_cast<wire::QueueAction>(action);
  command.queue = queue;
  if (by) command.by = *by;
  command.weight = weight;
  command.after = after;
  command.limit = limit;
  const auto state = std::make_shared<PendingState<QueuePage>>();
  const TimePoint deadline = session.submit_deadline();
  const Status asked =
      session.ask(std::make_shared<QueueRequest>(deadline, std::move(command), state));
  return asked ? session.await(*state, deadline, stop) : asked.error();
}

Result<QueueView> Operator::change(int action, std::string_view queue, const By& by,
                                   std::uint32_t weight, const std::stop_token& stop) {
  if (queue.empty()) return Error(ErrorCode::InvalidArgument, "queue: no name");
  auto page = command(action, queue, &by, weight, {}, 0, stop);
  if (!page) return page.error();
  if (page->queues.empty()) {
    return Error(ErrorCode::Internal, "the broker's answer has no queue in it");
  }
  return std::move(page->queues.front());
}

Result<QueueView> Operator::queue(std::string_view name, std::stop_token stop) {
  if (name.empty()) return Error(ErrorCode::InvalidArgument, "queue: no name");
  auto page = command(static_cast<int>(wire::QueueAction::Look), name, nullptr, 0, {}, 0, stop);
  if (!page) return page.error();
  if (page->queues.empty()) {
    return Error(ErrorCode::UnknownQueue, "no queue of that name was ever used");
  }
  return std::move(page->queues.front());
}

Result<QueuePage> Operator::queues(std::string_view after, std::uint32_t limit,
                                   std::stop_token stop) {
  return command(static_cast<int>(wire::QueueAction::Look), {}, nullptr, 0, after, limit, stop);
}

Result<QueueView> Operator::pause(std::string_view queue, const By& by, std::stop_token stop) {
  return change(static_cast<int>(wire::QueueAction::Pause), queue, by, 0, stop);
}

Result<QueueView> Operator::drain(std::string_view queue, const By& by, std::stop_token stop) {
  return change(static_cast<int>(wire::QueueAction::Drain), queue, by, 0, stop);
}

Result<QueueView> Operator::resume(std::string_view queue, const By& by, std::stop_token stop) {
  return change(static_cast<int>(wire::QueueAction::Resume), queue, by, 0, stop);
}

Result<QueueView> Operator::set_weight(std::string_view queue, std::uint32_t weight, const By& by,
                                       std::stop_token stop) {
  return change(static_cast<int>(wire::QueueAction::SetWeight), queue, by, weight, stop);
}

// ---------------------------------------------------------------- contracts

Result<std::vector<HeldContract>> Operator::contracts(std::stop_token stop) {
  std::vector<HeldContract> found;
  ContractRequest::Command command;
  do {
    auto page = ask_about_contracts(*client_.session_, command, stop);
    if (!page) return page.error();
    std::move(page->contracts.begin(), page->contracts.end(), std::back_inserter(found));
    command.after = page->next;
  } while (!command.after.empty());
  return found;
}

Result<HeldContract> Operator::put_contract(std::string_view name,
                                            std::span<const std::byte> schema, const By& by,
                                            std::stop_token stop) {
  ContractRequest::Command command{
      wire::ContractAction::Put, std::string(name), {schema.begin(), schema.end()}, by, {}};
  auto page = ask_about_contracts(*client_.session_, std::move(command), stop);
  if (!page) return page.error();
  if (page->contracts.empty()) {
    return Error(ErrorCode::Internal, "the broker's answer has no contract in it");
  }
  return std::move(page->contracts.front());
}

Status Operator::remove_contract(std::string_view name, const By& by, std::stop_token stop) {
  ContractRequest::Command command{wire::ContractAction::Remove, std::string(name), {}, by, {}};
  auto page = ask_about_contracts(*client_.session_, std::move(command), stop);
  return page ? Status() : Status(page.error());
}

// ---------------------------------------------------------------- sweeps

Result<SweepReport> Operator::sweep(int action, const JobFilter& filter, const By& by,
                                    const SweepOptions& options, const std::stop_token& stop) {
  Session& session = *client_.session_;
  SweepRequest::Command command{static_cast<wire::SweepAction>(action), filter, by, options};
  const auto request = std::make_shared<SweepRequest>(std::move(command), session.patience());
  if (const Status asked = session.ask(request); !asked) return asked.error();
  while (true) {
    // The I/O thread gives the sweep up when it has been silent for too long.
    auto report = request->next(deadline_in(session.patience() + kGrace), stop);
    if (!report) {
      if (stop.stop_requested()) return stopped_error();
      return Error(ErrorCode::Timeout, "nothing was heard of the sweep in time");
    }
    if (!*report || (*report)->finished) return std::move(*report);
    if (options.on_progress()) options.on_progress()(**report);
  }
}

Result<SweepReport> Operator::purge(const JobFilter& filter, const By& by,
                                    const SweepOptions& options, std::stop_token stop) {
  return sweep(static_cast<int>(wire::SweepAction::Purge), filter, by, options, stop);
}

Result<SweepReport> Operator::replay(const JobFilter& filter, const By& by,
                                     const SweepOptions& options, std::stop_token stop) {
  return sweep(static_cast<int>(wire::SweepAction::Replay), filter, by, options, stop);
}

Result<SweepReport> Operator::drop(const JobFilter& filter, const By& by,
                                   const SweepOptions& options, std::stop_token stop) {
  return sweep(static_cast<int>(wire::SweepAction::Drop), filter, by, options, stop);
}

// ---------------------------------------------------------------- dead letters

Result<DeadPage> Operator::dead_page(const JobFilter& filter, std::string_view after,
                                     std::uint32_t limit, DeadDetail detail, std::stop_token stop) {
  auto read = ask_for_page(*client_.session_,
                           {filter, std::string(after), limit, detail == DeadDetail::Full}, stop);
  if (!read) return read.error();
  const wire::DeadPage& table = read->table();
  DeadPage page;
  page.next = text_of(table.next());
  if (!table.jobs()) return page;
  for (const wire::DeadJob* wire : *table.jobs()) {
    auto dead = read_dead(*wire, read->blob);
    if (!dead) return Error(ErrorCode::Internal, "a dead job points outside its message");
    page.jobs.push_back(std::move(*dead));
  }
  return page;
}

DeadJobs Operator::dead(JobFilter filter, DeadDetail detail, std::stop_token stop) {
  return DeadJobs(*this, std::move(filter), detail, std::move(stop));
}

void DeadJobs::advance() {
  while (next_ >= page_.jobs.size()) {
    current_.reset();
    if (last_) return;
    auto page = operator_->dead_page(filter_, page_.next, kDeadPerPage, detail_, stop_);
    last_ = !page || page->next.empty();
    if (!page) {
      page_ = {};
      next_ = 0;
      current_.emplace(page.error());
      return;
    }
    page_ = std::move(*page);
    next_ = 0;
  }
  current_.emplace(std::move(page_.jobs[next_++]));
}

Result<std::uint64_t> Operator::export_to(std::ostream& out, const JobFilter& filter,
                                          std::stop_token stop) {
  std::uint64_t count = 0;
  std::string after;
  do {
    auto read = ask_for_page(*client_.session_, {filter, after, kDeadPerPage, true}, stop);
    if (!read) return read.error();
    const wire::DeadPage& page = read->table();
    for (std::size_t i = 0; page.jobs() && i < page.jobs()->size(); ++i) {
      auto line =
          to_json_line(*page.jobs()->Get(static_cast<flatbuffers::uoffset_t>(i)), read->blob);
      if (!line) return line.error();
      out << *line << '\n';
      ++count;
    }
    if (!out.flush()) return Error(ErrorCode::InvalidArgument, "the stream takes no more");
    after = text_of(page.next());
  } while (!after.empty());
  return count;
}

Result<ImportReport> Operator::import_from(std::istream& in, const By& by, std::stop_token stop) {
  Session& session = *client_.session_;
  ImportReport report;
  auto lines = std::make_shared<DeadLines>();
  std::vector<std::uint64_t> numbers;  // of the lines that were taken

  const auto send = [&]() -> Status {
    if (lines->size() == 0) return {};
    const auto state = std::make_shared<PendingState<ImportRequest::Answers>>();
    const TimePoint deadline = session.submit_deadline();
    const auto write = [lines, who = by.who()](std::uint64_t number,
                                               flatbuffers::FlatBufferBuilder& builder) {
      lines->write(number, who, builder);
    };
    const Status asked = session.ask(std::make_shared<ImportRequest>(
        deadline, lines->ids(), write, std::move(lines->blob()), state));
    if (!asked) return asked;
    auto answers = session.await(*state, deadline, stop);
    if (!answers) return answers.error();
    for (std::size_t i = 0; i < answers->size(); ++i) {
      auto& answer = (*answers)[i];
      if (!answer) {
        report.refused.emplace_back(numbers[i], answer.error());
      } else {
        ++(answer->known ? report.known : report.imported);
      }
    }
    lines = std::make_shared<DeadLines>();
    numbers.clear();
    return {};
  };

  std::string line;
  for (std::uint64_t number = 1; std::getline(in, line); ++number) {
    if (line.empty()) continue;
    if (const Status taken = lines->add(line); !taken) {
      if (const Status sent = send(); !sent) return sent.error();
      return Error(ErrorCode::InvalidArgument,
                   "line " + std::to_string(number) + ": " + taken.error().message());
    }
    numbers.push_back(number);
    if (lines->size() < kImportJobs && lines->blob().size() < kImportBlobBytes &&
        lines->envelope_bytes() < kImportEnvelopeBytes) {
      continue;
    }
    if (const Status sent = send(); !sent) return sent.error();
  }
  if (const Status sent = send(); !sent) return sent.error();
  return report;
}

JOBWIRE_NAMESPACE_END
