// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <unordered_set>
#include <vector>

#include "adapters/redis/index_scan.h"
#include "adapters/redis/redis_options.h"
#include "ports/store.h"

namespace jobwire::redis {

/// What a broker reads when it starts, over a connection of its own. Which jobs there are is read
/// whole, by the first call of jobs(): half a second for a million, and 50 bytes each until the
/// last page. A page after that is one round trip and about 5 us of Redis for each job. After a
/// failure that may be tried again the same call goes on with the same page: no job is read twice
/// or left out.
class Recovery {
 public:
  Recovery(const RedisOptions& options, const Keys& keys, ReadLink& link);

  /// Begins anew, with the next call.
  void restart();
  ports::Result<ports::RecoveredPage> jobs();
  ports::Result<ports::RecoveredPage> some(std::span<const core::JobId> ids);
  ports::Result<ports::RecoveredFinals> finals();
  ports::Result<std::vector<ports::RecoveredQueue>> queues();
  ports::Result<std::vector<ports::RecoveredDedup>> dedups();
  ports::Result<core::Wall> gone_before();
  ports::Result<std::vector<ports::RecoveredType>> types();
  ports::Result<std::vector<core::HostId>> hosts();
  ports::Result<std::vector<ports::ContractFile>> contracts();
  ports::Status keep_contracts(const std::vector<ports::ContractFile>& files);

 private:
  ports::Status list_jobs();
  /// Fills in the times of those that go at a time of their own.
  ports::Status read_ttls(std::vector<ports::RecoveredFinal>& jobs);
  void skip(const core::JobId& id, std::string_view why);
  void tell_skipped();

  const RedisOptions& options_;
  const Keys& keys_;
  ReadLink& link_;
  IndexScan scan_;
  bool scanning_ = false;
  std::vector<IndexScan::Entry> entries_;
  struct Listed {
    core::JobId id;
    core::State state;
  };
  std::vector<Listed> listed_;
  bool listed_all_ = false;
  std::size_t next_ = 0;     // in listed_
  std::size_t running_ = 0;  // of listed_, at its front
  std::unordered_set<core::JobId, core::Id16Hash<core::JobIdTag>> ahead_;  // read by some()
  std::size_t skipped_ = 0;
};

}  // namespace jobwire::redis
