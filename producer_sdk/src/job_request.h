// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "jobwire/job_id.h"
#include "jobwire/job_result.h"
#include "request.h"
#include "sink.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// "Where does this job stand?"; the answer has its result when it has ended.
class StateRequest final : public Request {
 public:
  StateRequest(TimePoint deadline, const JobId& id, std::shared_ptr<Sink<JobResult>> answer)
      : Request(deadline), id_(id), answer_(std::move(answer)) {}

  void write(std::uint64_t number, flatbuffers::FlatBufferBuilder& builder, Blob& blob) override;
  Read read(const Reply& reply) override;
  void progress(const JobId& id, const JobProgress& progress) override;
  void done() override { answer_->settle(0, std::move(running_)); }
  void fail(const Error& error) override { answer_->settle(0, error); }

 private:
  const JobId id_;
  const std::shared_ptr<Sink<JobResult>> answer_;
  JobResult running_;  ///< Its progress comes behind it.
};

/// "End this job"; the answer has its state and nothing else.
class CancelRequest final : public Request {
 public:
  CancelRequest(TimePoint deadline, const JobId& id, std::string reason,
                std::shared_ptr<Sink<JobResult>> answer)
      : Request(deadline), id_(id), reason_(std::move(reason)), answer_(std::move(answer)) {}

  void write(std::uint64_t number, flatbuffers::FlatBufferBuilder& builder, Blob& blob) override;
  Read read(const Reply& reply) override;
  void fail(const Error& error) override { answer_->settle(0, error); }

 private:
  const JobId id_;
  const std::string reason_;
  const std::shared_ptr<Sink<JobResult>> answer_;
};

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
