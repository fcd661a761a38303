// SPDX-License-Identifier: Apache-2.0
#include "operator_request.h"

#include <algorithm>
#include <cstring>
#include <utility>

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {
namespace {

using Builder = flatbuffers::FlatBufferBuilder;
using Text = flatbuffers::Offset<flatbuffers::String>;

// An empty text is left out: absent and empty mean the same to the broker.
Text text(Builder& builder, const std::string& value) {
  return value.empty() ? Text() : builder.CreateString(value);
}

std::int64_t to_unix_ms(std::chrono::system_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

std::string text_of(const flatbuffers::String* text) { return text ? text->str() : std::string(); }

flatbuffers::Offset<wire::JobFilter> write_filter(Builder& builder, const JobFilter& filter,
                                                  std::int64_t before_ms) {
  const Text queue = text(builder, filter.queue());
  const Text type = text(builder, filter.type());
  const Text error = text(builder, filter.error());
  flatbuffers::Offset<flatbuffers::Vector<const wire::Id*>> ids;
  if (!filter.ids().empty()) {
    std::vector<wire::Id> list;
    for (const JobId& id : filter.ids()) list.push_back(to_wire(id));
    ids = builder.CreateVectorOfStructs(list);
  }
  // The public enumerators stand in the order of the schema's.
  return wire::CreateJobFilter(builder, queue, type, static_cast<wire::DeadReason>(filter.reason()),
                               error, before_ms, ids);
}

std::int64_t before_ms(const JobFilter& filter) {
  return filter.before() ? to_unix_ms(*filter.before()) : 0;
}

QueueView read_view(const wire::QueueView& wire) {
  QueueView view;
  view.name = text_of(wire.name());
  view.weight = wire.weight();
  view.paused = wire.paused();
  view.draining = wire.draining();
  view.by = text_of(wire.by());
  view.why = text_of(wire.why());
  view.since = to_time(wire.since_ms());
  view.until = to_time(wire.until_ms());
  view.scheduled = wire.scheduled();
  view.queued = wire.queued();
  view.running = wire.running();
  view.bytes = wire.bytes();
  view.workers = wire.workers();
  view.dead = wire.dead();
  view.finished = wire.finished();
  return view;
}

}  // namespace

// ---------------------------------------------------------------- queues

void QueueRequest::write(std::uint64_t number, Builder& builder, Blob& /*blob*/) {
  const Text queue = text(builder, command_.queue);
  Text by;
  Text why;
  std::int64_t until = 0;
  if (command_.by) {
    by = text(builder, command_.by->who());
    why = text(builder, command_.by->why());
    if (command_.by->until()) until = to_unix_ms(*command_.by->until());
  }
  const Text after = text(builder, command_.after);
  finish_message(builder, wire::CreateQueueCommand(builder, number, command_.action, queue, by, why,
                                                   until, command_.weight, after, command_.limit));
}

Request::Read QueueRequest::read(const Reply& reply) {
  const auto* queues = reply.message.body_as_QueueReply();
  if (queues == nullptr) return Read::Malformed;
  if (queues->code() != wire::Code::Unspecified) {
    fail(refusal(queues->code(), text_of(queues->message()), queues->retry_after_ms()));
    return Read::Done;
  }
  QueuePage page;
  if (queues->queues()) {
    for (const wire::QueueView* view : *queues->queues()) page.queues.push_back(read_view(*view));
  }
  page.next = text_of(queues->next());
  answer_->settle(0, std::move(page));
  return Read::Done;
}

// ---------------------------------------------------------------- contracts

void ContractRequest::write(std::uint64_t number, Builder& builder, Blob& blob) {
  const Text name = text(builder, command_.name);
  Text by;
  Text why;
  if (command_.by) {
    by = text(builder, command_.by->who());
    why = text(builder, command_.by->why());
  }
  const Text after = text(builder, command_.after);
  const auto size = static_cast<std::uint32_t>(command_.schema.size());
  finish_message(builder, wire::CreateContractCommand(builder, number, command_.action, name, 0,
                                                      size, by, why, after));
  if (size == 0) return;
  blob.pieces.emplace_back(command_.schema);
  blob.size = size;
}

Request::Read ContractRequest::read(const Reply& reply) {
  const auto* contracts = reply.message.body_as_ContractReply();
  if (contracts == nullptr) return Read::Malformed;
  if (contracts->code() != wire::Code::Unspecified) {
    fail(refusal(contracts->code(), text_of(contracts->message()), contracts->retry_after_ms()));
    return Read::Done;
  }
  Page page;
  if (contracts->contracts()) {
    for (const wire::ContractView* view : *contracts->contracts()) {
      HeldContract& held = page.contracts.emplace_back();
      held.name = text_of(view->name());
      held.bytes = view->bytes();
      if (!view->methods()) continue;
      for (const wire::ContractMethod* method : *view->methods())
        held.methods.push_back({text_of(method->type()), method->contract()});
    }
  }
  page.next = text_of(contracts->next());
  answer_->settle(0, std::move(page));
  return Read::Done;
}

// ---------------------------------------------------------------- sweeps

void SweepRequest::write(std::uint64_t number, Builder& builder, Blob& /*blob*/) {
  if (number_ != 0 && !command_.options.dry_run()) {
    // Sent before: what that sweep changed no longer fits, so this one's counts come on top.
    before_.matched += current_.done;
    before_.done += current_.done;
  }
  current_ = {};
  number_ = number;
  const SweepOptions& options = command_.options;
  const auto filter = write_filter(builder, command_.filter,
                                   before_ms_ != 0 ? before_ms_ : before_ms(command_.filter));
  const Text by = text(builder, command_.by.who());
  const Text why = text(builder, command_.by.why());
  const Text to_queue = text(builder, options.to_queue());
  // A limit that is used up is not written as 0, which is no limit: one more job may be swept when
  // the last report was lost.
  const std::uint64_t limit =
      options.limit() == 0
          ? 0
          : std::max<std::uint64_t>(1, options.limit() - std::min(options.limit(), before_.done));
  finish_message(builder,
                 wire::CreateSweep(builder, number, command_.action, filter, by, why,
                                   options.dry_run(), options.rate_per_s(), limit, to_queue));
}

Request::Read SweepRequest::read(const Reply& reply) {
  const auto* report = reply.message.body_as_SweepReport();
  if (report == nullptr) return Read::Malformed;
  if (report->code() != wire::Code::Unspecified) {
    fail(refusal(report->code(), text_of(report->message()), report->retry_after_ms()));
    return Read::Done;
  }
  if (report->before_ms() != 0) before_ms_ = report->before_ms();
  current_ = {report->matched(), report->done(), report->failed(), report->finished()};
  set_deadline(Clock::now() + patience_);
  publish(SweepReport{before_.matched + current_.matched, before_.done + current_.done,
                      current_.failed, current_.finished});
  return current_.finished ? Read::Done : Read::More;
}

void SweepRequest::fail(const Error& error) { publish(error); }

void SweepRequest::publish(Result<SweepReport> report) {
  const std::lock_guard lock(mutex_);
  report_.emplace(std::move(report));
  reported_.notify_all();
}

std::optional<Result<SweepReport>> SweepRequest::next(TimePoint until,
                                                      const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  wait_until(lock, reported_, until, stop, [this] { return report_.has_value(); });
  return std::exchange(report_, std::nullopt);
}

// ---------------------------------------------------------------- dead letters

void DeadRequest::write(std::uint64_t number, Builder& builder, Blob& /*blob*/) {
  const auto filter = write_filter(builder, query_.filter, before_ms(query_.filter));
  const Text after = text(builder, query_.after);
  finish_message(builder,
                 wire::CreateDeadQuery(builder, number, filter, after, query_.limit, query_.full));
}

Request::Read DeadRequest::read(const Reply& reply) {
  const auto* page = reply.message.body_as_DeadPage();
  if (page == nullptr) return Read::Malformed;
  if (page->code() != wire::Code::Unspecified) {
    fail(refusal(page->code(), text_of(page->message()), page->retry_after_ms()));
    return Read::Done;
  }
  Page kept;
  kept.memory.resize((reply.envelope.size() + 7) / 8);
  std::memcpy(kept.memory.data(), reply.envelope.data(), reply.envelope.size());
  kept.blob.assign(reply.blob.begin(), reply.blob.end());
  answer_->settle(0, std::move(kept));
  return Read::Done;
}

ImportRequest::ImportRequest(TimePoint deadline, std::vector<JobId> ids, WriteFn write,
                             std::vector<std::byte> blob, std::shared_ptr<Sink<Answers>> answer)
    : Request(deadline),
      ids_(std::move(ids)),
      write_(std::move(write)),
      blob_(std::move(blob)),
      answer_(std::move(answer)),
      receipts_(ids_.size()),
      open_(ids_.size()) {}

void ImportRequest::write(std::uint64_t number, Builder& builder, Blob& blob) {
  write_(number, builder);
  if (blob_.empty()) return;
  blob.pieces.emplace_back(blob_);
  blob.size = blob_.size();
}

bool ImportRequest::receipt(const wire::ReceiptHead& head, const Error* refusal) {
  const JobId id = from_wire(head.id());
  bool mine = false;
  for (std::size_t i = 0; i < ids_.size(); ++i) {
    if (ids_[i] != id) continue;
    mine = true;
    if (receipts_[i]) continue;
    --open_;
    if (refusal) {
      receipts_[i].emplace(*refusal);
    } else {
      receipts_[i].emplace(Receipt{head.duplicate()});
    }
  }
  if (mine && open_ == 0) {
    Answers answers;
    for (auto& receipt : receipts_) answers.push_back(std::move(*receipt));
    answer_->settle(0, std::move(answers));
  }
  return mine;
}

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
