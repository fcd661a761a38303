// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "adapters/memory/shelf.h"
#include "ports/store.h"

namespace jobwire::memory {

/// A store without a server, for tests and the simulator: the same contract as Redis, nothing
/// durable, no clock of its own, and faults on demand. Two stores on one shelf are two brokers on
/// one Redis. Same calls, same answers.
class MemoryStore final : public ports::Store {
 public:
  explicit MemoryStore(std::shared_ptr<Shelf> shelf = std::make_shared<Shelf>())
      : shelf_(std::move(shelf)) {}
  Shelf& shelf() { return *shelf_; }

  // ---- faults

  enum class Away : std::uint8_t {
    kNow,           // and a batch under way has had no effect
    kBeforeEffect,  // with the next batch, which has no effect yet
    kAfterEffect,   // with the next batch, which has taken effect: its reply is lost
  };
  void go_away(Away when);
  void come_back() { comes_back_ = true; }
  /// Goes away, and the last `batches` committed batches are lost with it. Those within the repair
  /// reach are written again on the way back; else the store has diverged.
  void lose(std::size_t batches);
  void set_repair_reach(std::size_t batches) { repair_reach_ = batches; }
  /// From commit() or read() to its answer; zero: with the next poll().
  void set_latency(core::Micros latency) { latency_ = latency; }

  // ---- ports::Store

  ports::Result<ports::StoreOpened> open() override;
  ports::Result<ports::RecoveredPage> recover_jobs() override;
  ports::Result<ports::RecoveredPage> recover_some(std::span<const core::JobId> ids) override;
  ports::Result<ports::RecoveredFinals> recover_finals() override;
  ports::Result<std::vector<ports::RecoveredQueue>> recover_queues() override;
  ports::Result<std::vector<ports::RecoveredDedup>> recover_dedups() override;
  ports::Result<core::Wall> recover_gone_before() override { return shelf_->gone_before(); }
  ports::Result<std::vector<ports::RecoveredType>> recover_types() override;
  ports::Result<std::vector<core::HostId>> recover_hosts() override;
  ports::Result<std::vector<ports::ContractFile>> recover_contracts() override;
  ports::Status keep_contracts(const std::vector<ports::ContractFile>& files) override;
  void commit(const core::Batch& batch) override;
  bool ready() const override { return phase_ == Phase::kUp && !batch_; }
  bool read(ports::ReadRequest request) override;
  bool scan(ports::ScanRequest request) override;
  void poll(core::Steady now, std::vector<ports::StoreEvent>& events) override;
  void descriptors(std::vector<pollfd>&) const override {}
  std::optional<core::Steady> deadline() const override;

 private:
  enum class Phase : std::uint8_t { kClosed, kUp, kAway, kEnded };
  /// A batch with its own copies of the names it mentions.
  struct OwnBatch {
    explicit OwnBatch(const core::Batch& source);
    core::Batch batch;
    std::deque<std::string> names;
  };
  struct Question {
    std::variant<ports::ReadRequest, ports::ScanRequest> request;
    core::Steady due;
  };

  void settle(std::vector<ports::StoreEvent>& events);
  void judge(std::vector<ports::StoreEvent>& events);
  void end(ports::StoreEvent event, std::vector<ports::StoreEvent>& events);
  ports::StoredJob answer(const core::JobId& id, ports::ReadRequest::What what) const;
  ports::ReadDone answer(const ports::ReadRequest& request) const;
  ports::ScanDone answer(const ports::ScanRequest& request) const;
  static void put(const Shelf::Kept& kept, ports::RecoveredPage& page);

  std::shared_ptr<Shelf> shelf_;
  Phase phase_ = Phase::kClosed;
  std::uint64_t epoch_ = 0;
  std::uint64_t committed_ = 0;
  std::optional<std::deque<core::JobId>> to_recover_;  // in pages, once it has begun
  std::unique_ptr<OwnBatch> batch_;
  core::Steady batch_due_{};
  std::deque<Question> questions_;
  core::Steady now_{};
  core::Micros latency_{0};
  std::size_t repair_reach_ = Shelf::kRemembered;

  bool away_now_ = false;
  bool comes_back_ = false;
  std::optional<Away> away_next_;
  bool told_scarce_ = false;
};

}  // namespace jobwire::memory
