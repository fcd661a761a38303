// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "adapters/redis/backoff.h"
#include "adapters/redis/batch_ring.h"
#include "adapters/redis/batch_writer.h"
#include "adapters/redis/connection.h"
#include "adapters/redis/keys.h"
#include "adapters/redis/redis_options.h"
#include "adapters/redis/server_check.h"
#include "adapters/redis/transaction_reply.h"
#include "adapters/redis/transaction_script.h"
#include "ports/store.h"

namespace jobwire::redis {

/// The connection that commits, and what keeps each batch to exactly one effect.
///
///     down --- connect ---> connecting ---> greeting ---> fencing ---> up
///      ^                        |              |             |    \     ^
///      +---- lost, no answer ---+--------------+-------------+     \    |
///      |                                                     v      v   |
///      +----------------------------------------------- repairing ------+
///
/// Greeting reads whose the shard is. Fencing touches the epoch, which voids whatever an earlier
/// connection of ours has sent and Redis has not run yet (a frozen Redis runs it when it thaws),
/// and only then reads the sequence: what it says cannot change behind our back. Then
///   * it is the batch under way: the reply was lost, the batch is committed;
///   * it is the last committed one: the batch under way is sent again;
///   * it is an older one: Redis has gone backwards, and what is missing is written again from the
///     ring; if that does not reach so far, the store has diverged.
/// Nothing leaves the state that Fenced or StoreDiverged leads to.
///
/// What a full Redis refuses, and must take (what ends jobs or removes them, the epoch, lost
/// batches), is sent again as a script (transaction_script.h).
class CommitLink {
 public:
  CommitLink(const RedisOptions& options, const Keys& keys);

  struct Taken {
    std::uint64_t epoch = 0;
    std::uint64_t sequence = 0;
    Server server;
  };
  /// Connects, checks the server, and takes the shard: the epoch goes up by one. Blocks for at most
  /// the timeouts of the options, four times over.
  ports::Result<Taken> take_over();

  bool ready() const { return phase_ == Phase::kUp && !under_way_; }
  bool ended() const { return phase_ == Phase::kEnded; }
  bool away() const { return phase_ != Phase::kUp; }
  /// Requires: ready(), a sequence above the last committed one.
  void commit(Transaction transaction);
  std::string spare() { return ring_.spare(); }

  void poll(core::Steady now, std::vector<ports::StoreEvent>& events);
  void descriptors(std::vector<pollfd>& out) const;
  std::optional<core::Steady> deadline() const;

 private:
  enum class Phase : std::uint8_t {
    kDown,
    kConnecting,
    kGreeting,
    kFencing,
    kRepairing,
    kUp,
    kEnded,
  };

  void start();
  void greet();
  bool on_reply(const Reply& reply);
  bool on_greeting(const Reply& reply);
  void judge_owner();
  void fence(bool restore_owner);
  void judge_sequence();
  void repair_next();
  void send(const std::string& bytes, std::size_t commands);
  /// Sends as a script what was refused because Redis is full. False, and nothing is sent, when it
  /// was refused for another reason, or as a script.
  bool insist(const Transaction& transaction, const ShardMark& expected);
  ShardMark our_mark(std::uint64_t sequence) const;
  void settle();
  void resume();
  void keep();
  void lost(const std::string& why);
  void end(ports::StoreEvent event);
  void expect_answer();

  const RedisOptions& options_;
  const Keys& keys_;
  Connection connection_;
  Backoff backoff_;
  BatchRing ring_;
  Phase phase_ = Phase::kDown;
  std::string owner_;
  std::string owner_before_;
  std::string run_id_;
  std::uint64_t epoch_ = 0;
  std::uint64_t committed_ = 0;
  bool under_way_ = false;
  Transaction transaction_;
  TransactionReply reply_;
  Transaction handshake_;  // what is being sent before a transaction may be
  std::string script_;     // … and what is sent as a script
  bool insisted_ = false;
  std::size_t login_ = 0;
  std::size_t greeting_step_ = 0;
  std::string greeting_error_;
  std::optional<std::string> seen_epoch_;
  ShardMark seen_;
  std::string seen_run_id_;
  std::size_t repair_at_ = 0;
  std::uint32_t repaired_ = 0;
  bool told_away_ = false;
  core::Steady now_{};
  core::Steady until_{};  // kDown: next try; else: the answer must be there
  bool until_is_fresh_ = false;
  std::vector<ports::StoreEvent>* events_ = nullptr;  // during poll()
};

}  // namespace jobwire::redis
