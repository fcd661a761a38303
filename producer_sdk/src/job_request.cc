// SPDX-License-Identifier: Apache-2.0
#include "job_request.h"

#include <utility>

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

namespace {

std::string obstacle_of(const wire::ResultPush& push, flatbuffers::uoffset_t index) {
  if (push.obstacles() == nullptr) return {};
  for (const wire::Obstacle* obstacle : *push.obstacles()) {
    if (obstacle->index() == index && obstacle->message() != nullptr)
      return obstacle->message()->str();
  }
  return {};
}

}  // namespace

void StateRequest::write(std::uint64_t number, flatbuffers::FlatBufferBuilder& builder,
                         Blob& /*blob*/) {
  const wire::Id id = to_wire(id_);
  const auto ids = builder.CreateVectorOfStructs(&id, 1);
  finish_message(builder, wire::CreateResultRequest(builder, number, ids, false));
}

Request::Read StateRequest::read(const Reply& reply) {
  const auto* push = reply.message.body_as_ResultPush();
  if (push == nullptr || push->results() == nullptr) return Read::Malformed;
  for (flatbuffers::uoffset_t i = 0; i < push->results()->size(); ++i) {
    const wire::ResultView* view = push->results()->Get(i);
    if (from_wire(view->id()) != id_) continue;
    auto answer = read_result(*view, reply.blob);
    if (!answer) return Read::Malformed;
    if (*answer && (*answer)->state() == JobState::Running) {
      running_ = std::move(**answer);
      return Read::Fence;
    }
    if (*answer) JobResultAccess::status(**answer).obstacle = obstacle_of(*push, i);
    answer_->settle(0, std::move(*answer));
    return Read::Done;
  }
  return Read::More;
}

void StateRequest::progress(const JobId& id, const JobProgress& progress) {
  if (id == id_) JobResultAccess::status(running_).progress = progress;
}

void CancelRequest::write(std::uint64_t number, flatbuffers::FlatBufferBuilder& builder,
                          Blob& /*blob*/) {
  const wire::Id id = to_wire(id_);
  const auto ids = builder.CreateVectorOfStructs(&id, 1);
  const auto reason = builder.CreateString(reason_);
  finish_message(builder, wire::CreateCancel(builder, number, ids, reason));
}

Request::Read CancelRequest::read(const Reply& reply) {
  const auto* cancelled = reply.message.body_as_CancelReply();
  if (cancelled == nullptr || cancelled->heads() == nullptr) return Read::Malformed;
  for (const wire::CancelHead* head : *cancelled->heads()) {
    if (from_wire(head->id()) != id_) continue;
    if (head->code() != wire::Code::Unspecified) {
      std::string text;
      if (head->code() == wire::Code::AlreadyFinal) {
        text.append("the job has ended: ").append(to_string(from_wire(head->state())));
      }
      answer_->settle(0, refusal(head->code(), std::move(text), 0));
      return Read::Done;
    }
    JobResult result;
    JobResultAccess::status(result).id = id_;
    JobResultAccess::status(result).state = from_wire(head->state());
    answer_->settle(0, std::move(result));
    return Read::Done;
  }
  return Read::More;
}

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
