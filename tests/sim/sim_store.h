// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "ports/store.h"
#include "sim/agenda.h"
#include "sim/coverage.h"
#include "sim/dice.h"
#include "sim/disk.h"
#include "sim/plan.h"
#include "sim/trace.h"

namespace jobwire::sim {

/// Where a broker may be killed.
enum class Moment : std::uint8_t {
  kNever,
  kBeforeCommit,
  kAfterCommit,
  kBeforeReply,
  kBetweenSends,
  kIdle,
  kInRecovery
};

/// A broker's process has ended without a word. Thrown out of a port, caught by the world.
struct BrokerKilled {};

/// Kills the broker at a chosen moment.
class Assassin {
 public:
  void arm(Moment moment, std::uint32_t countdown) {
    moment_ = moment;
    countdown_ = countdown;
  }
  void disarm() { moment_ = Moment::kNever; }
  Moment armed() const { return moment_; }
  void pass(Moment moment) {
    if (moment != moment_) return;
    if (countdown_-- > 0) return;
    moment_ = Moment::kNever;
    killed_at = moment;
    throw BrokerKilled{};
  }
  Moment killed_at = Moment::kNever;

 private:
  Moment moment_ = Moment::kNever;
  std::uint32_t countdown_ = 0;
};

/// How the store's server and the way to it are just now; outlives brokers.
struct StoreWeather {
  bool down = false;
  core::Steady slow_until{};
  core::Steady full_until{};
  bool full_is_told = false;
  double refuse = 0;  // share of batches refused while it is full
};

/// A broker's connection to the disk: the store that it is given.
class SimStore : public ports::Store {
 public:
  SimStore(Agenda& agenda, Disk& disk, StoreWeather& weather, Assassin& assassin, Dice dice,
           const Plan& plan, Trace& trace, Coverage& coverage);
  ~SimStore() override;

  ports::Result<ports::StoreOpened> open() override;
  ports::Result<ports::RecoveredPage> recover_jobs() override;
  ports::Result<ports::RecoveredPage> recover_some(std::span<const core::JobId> ids) override;
  ports::Result<ports::RecoveredFinals> recover_finals() override;
  ports::Result<std::vector<ports::RecoveredQueue>> recover_queues() override;
  ports::Result<std::vector<ports::RecoveredDedup>> recover_dedups() override;
  ports::Result<core::Wall> recover_gone_before() override;
  ports::Result<std::vector<ports::RecoveredType>> recover_types() override;
  ports::Result<std::vector<core::HostId>> recover_hosts() override;
  ports::Result<std::vector<ports::ContractFile>> recover_contracts() override {
    return std::vector<ports::ContractFile>();
  }
  ports::Status keep_contracts(const std::vector<ports::ContractFile>&) override { return {}; }
  void commit(const core::Batch& batch) override;
  bool ready() const override { return !line_->away && !line_->under_way; }
  bool read(ports::ReadRequest request) override;
  bool scan(ports::ScanRequest request) override;
  void poll(core::Steady now, std::vector<ports::StoreEvent>& events) override;
  void descriptors(std::vector<pollfd>&) const override {}
  std::optional<core::Steady> deadline() const override;

  /// The broker's process has ended; what is on its way may still take effect.
  void broker_gone() { line_->dead = true; }

  // ---- faults

  /// The connection breaks, for so long. A transaction on its way takes effect or not.
  void go_away(core::Micros time);
  /// The server dies and comes back without its last batches, as many as this broker can repair at
  /// most.
  void lose_batches(core::Micros time);
  /// The server has lost what this broker has not written again yet: its end now would be a double
  /// failure.
  bool repairing() const { return line_->lost; }
  bool busy() const { return line_->under_way != nullptr; }

  std::function<void()> wake;  // something is to be polled

 private:
  struct Reply {
    core::Steady at;
    ports::StoreEvent event;
  };
  /// What messages on their way refer to; outlives this object.
  struct Line {
    bool dead = false;  // the broker is gone
    bool away = false;
    bool lost = false;
    bool told_scarce = false;
    std::uint64_t connection = 1;
    std::uint64_t epoch = 0;
    std::uint64_t committed = 0;  // sequence of the last batch known to have taken effect
    std::shared_ptr<const Transaction> under_way;
    std::deque<std::shared_ptr<const Transaction>> ring;
    std::vector<Reply> replies;
    std::uint32_t reads = 0;
  };

  void send_batch();
  void execute(const std::shared_ptr<const Transaction>& batch, std::uint64_t connection,
               bool refuse);
  void come_back();
  void answer(core::Micros delay, ports::StoreEvent event);
  void settle_committed();
  core::Micros latency(core::Micros most);
  ports::StoredJob look(const core::JobId& id, bool payload) const;

  Agenda& agenda_;
  Disk& disk_;
  StoreWeather& weather_;
  Assassin& assassin_;
  Dice dice_;
  const Plan& plan_;
  Trace& trace_;
  Coverage& coverage_;
  std::shared_ptr<Line> line_;
  std::vector<core::JobId> to_recover_;  // those that ran are at the end
  std::size_t ran_ = 0;                  // of those
  bool serving_ = false;
  std::vector<ports::RecoveredFinal> finals_;
};

}  // namespace jobwire::sim
