// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "adapters/redis/batch_writer.h"
#include "adapters/redis/commit_link.h"
#include "adapters/redis/read_link.h"
#include "adapters/redis/recovery.h"
#include "adapters/redis/redis_options.h"
#include "adapters/redis/room_watch.h"
#include "ports/store.h"

namespace jobwire::redis {

/// Jobs in a Redis: standalone, 6.2 or later, without eviction. Owns four connections, for
/// commits, reads, the recovery and a look at the memory, and the last seconds of what it
/// committed. One thread, the broker's. The layout of the keys is a public contract:
/// schemas/REDIS.md.
///
/// What is odd but no failure (a job without its hash, a changed password after a restart) goes to
/// RedisOptions::log.
class RedisStore final : public ports::Store {
 public:
  /// Requires: Keys::valid_shard(options.shard).
  explicit RedisStore(RedisOptions options);

  /// May be called again after a failure that may be tried again.
  ports::Result<ports::StoreOpened> open() override;
  ports::Result<ports::RecoveredPage> recover_jobs() override { return recovery_.jobs(); }
  ports::Result<ports::RecoveredPage> recover_some(std::span<const core::JobId> ids) override {
    return recovery_.some(ids);
  }
  ports::Result<ports::RecoveredFinals> recover_finals() override { return recovery_.finals(); }
  ports::Result<std::vector<ports::RecoveredQueue>> recover_queues() override {
    return recovery_.queues();
  }
  ports::Result<std::vector<ports::RecoveredDedup>> recover_dedups() override {
    return recovery_.dedups();
  }
  ports::Result<core::Wall> recover_gone_before() override { return recovery_.gone_before(); }
  ports::Result<std::vector<ports::RecoveredType>> recover_types() override {
    return recovery_.types();
  }
  ports::Result<std::vector<core::HostId>> recover_hosts() override { return recovery_.hosts(); }
  ports::Result<std::vector<ports::ContractFile>> recover_contracts() override {
    return recovery_.contracts();
  }
  ports::Status keep_contracts(const std::vector<ports::ContractFile>& files) override {
    return recovery_.keep_contracts(files);
  }

  void commit(const core::Batch& batch) override;
  bool ready() const override { return opened_ && commits_.ready(); }
  bool read(ports::ReadRequest request) override;
  bool scan(ports::ScanRequest request) override;
  void poll(core::Steady now, std::vector<ports::StoreEvent>& events) override;
  void descriptors(std::vector<pollfd>& out) const override;
  std::optional<core::Steady> deadline() const override;

 private:
  RedisOptions options_;
  Keys keys_;
  BatchWriter writer_;
  CommitLink commits_;
  ReadLink reads_;
  ReadLink recovery_reads_;
  Recovery recovery_;
  RoomWatch room_;
  bool opened_ = false;
};

}  // namespace jobwire::redis
