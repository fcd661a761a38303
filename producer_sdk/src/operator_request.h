// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "jobwire/by.h"
#include "jobwire/dead_job.h"
#include "jobwire/held_contract.h"
#include "jobwire/job_filter.h"
#include "jobwire/operator.h"
#include "jobwire/queue_view.h"
#include "jobwire/sweep.h"
#include "request.h"
#include "sink.h"
#include "stoppable_wait.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// Looks at queues, or changes one.
class QueueRequest final : public Request {
 public:
  struct Command {
    wire::QueueAction action = wire::QueueAction::Look;
    std::string queue;
    std::optional<By> by;
    std::uint32_t weight = 0;
    std::string after;
    std::uint32_t limit = 0;
  };
  QueueRequest(TimePoint deadline, Command command, std::shared_ptr<Sink<QueuePage>> answer)
      : Request(deadline), command_(std::move(command)), answer_(std::move(answer)) {}

  void write(std::uint64_t number, flatbuffers::FlatBufferBuilder& builder, Blob& blob) override;
  Read read(const Reply& reply) override;
  void fail(const Error& error) override { answer_->settle(0, error); }

 private:
  const Command command_;
  const std::shared_ptr<Sink<QueuePage>> answer_;
};

/// Lists the contracts that the broker holds, or changes one.
class ContractRequest final : public Request {
 public:
  struct Command {
    wire::ContractAction action = wire::ContractAction::List;
    std::string name;
    std::vector<std::byte> schema;
    std::optional<By> by;
    std::string after;
  };
  struct Page {
    std::vector<HeldContract> contracts;
    std::string next;
  };
  ContractRequest(TimePoint deadline, Command command, std::shared_ptr<Sink<Page>> answer)
      : Request(deadline), command_(std::move(command)), answer_(std::move(answer)) {}

  void write(std::uint64_t number, flatbuffers::FlatBufferBuilder& builder, Blob& blob) override;
  Read read(const Reply& reply) override;
  void fail(const Error& error) override { answer_->settle(0, error); }

 private:
  const Command command_;
  const std::shared_ptr<Sink<Page>> answer_;
};

/// A sweep from its first report to its last, and, after a lost connection, the one that goes on
/// where it was. The waiting thread takes the reports as they come.
class SweepRequest final : public Request {
 public:
  struct Command {
    wire::SweepAction action = wire::SweepAction::Unspecified;
    JobFilter filter;
    By by{""};
    SweepOptions options;
  };
  SweepRequest(Command command, std::chrono::milliseconds patience)
      : Request(Clock::now() + patience), command_(std::move(command)), patience_(patience) {}

  void write(std::uint64_t number, flatbuffers::FlatBufferBuilder& builder, Blob& blob) override;
  Read read(const Reply& reply) override;
  void fail(const Error& error) override;

  /// The newest report that was not taken yet, or the error that ended the sweep; nothing when
  /// asked to stop.
  std::optional<Result<SweepReport>> next(TimePoint until, const std::stop_token& stop);

 private:
  void publish(Result<SweepReport> report);

  const Command command_;
  const std::chrono::milliseconds patience_;
  // The I/O thread's: what sweeps before the current one did, and since when they all count.
  SweepReport before_;
  SweepReport current_;
  std::int64_t before_ms_ = 0;
  std::uint64_t number_ = 0;

  std::mutex mutex_;
  std::condition_variable reported_;
  std::optional<Result<SweepReport>> report_;
};

/// A page of dead jobs, handed over as it came: the message's bytes and the blob's.
class DeadRequest final : public Request {
 public:
  struct Query {
    JobFilter filter;
    std::string after;
    std::uint32_t limit = 0;
    bool full = false;
  };
  /// Owns what its table points into.
  struct Page {
    std::vector<std::uint64_t> memory;
    std::vector<std::byte> blob;
    [[nodiscard]] const wire::DeadPage& table() const {
      return *wire::GetMessage(memory.data())->body_as_DeadPage();
    }
  };
  DeadRequest(TimePoint deadline, Query query, std::shared_ptr<Sink<Page>> answer)
      : Request(deadline), query_(std::move(query)), answer_(std::move(answer)) {}

  void write(std::uint64_t number, flatbuffers::FlatBufferBuilder& builder, Blob& blob) override;
  Read read(const Reply& reply) override;
  void fail(const Error& error) override { answer_->settle(0, error); }

 private:
  const Query query_;
  const std::shared_ptr<Sink<Page>> answer_;
};

/// Jobs of an export on their way back; each has its receipt.
class ImportRequest final : public Request {
 public:
  struct Receipt {
    bool known = false;
  };
  using Answers = std::vector<Result<Receipt>>;

  /// Writes a whole DeadImport message of `ids`, in order, that points into the blob.
  using WriteFn = std::function<void(std::uint64_t number, flatbuffers::FlatBufferBuilder&)>;

  ImportRequest(TimePoint deadline, std::vector<JobId> ids, WriteFn write,
                std::vector<std::byte> blob, std::shared_ptr<Sink<Answers>> answer);

  void write(std::uint64_t number, flatbuffers::FlatBufferBuilder& builder, Blob& blob) override;
  /// Its answers are receipts.
  Read read(const Reply& /*reply*/) override { return Read::Malformed; }
  bool receipt(const wire::ReceiptHead& head, const Error* refusal) override;
  [[nodiscard]] bool complete() const override { return open_ == 0; }
  void fail(const Error& error) override { answer_->settle(0, error); }

 private:
  const std::vector<JobId> ids_;
  const WriteFn write_;
  const std::vector<std::byte> blob_;
  const std::shared_ptr<Sink<Answers>> answer_;
  std::vector<std::optional<Result<Receipt>>> receipts_;
  std::size_t open_;
};

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
