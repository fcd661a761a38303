// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "adapters/redis/batch_writer.h"
#include "adapters/redis/keys.h"

namespace jobwire::redis {

/// What the keys of a shard hold; empty for a key that is not there.
struct ShardMark {
  std::string epoch;
  std::string owner;
  std::string sequence;
};

/// Redis at its memory limit refuses whatever comes after MULTI, even a command that frees memory,
/// so that neither a result could be stored nor a finished job be removed. A script it lets through
/// (6.2 and later) once the script has written something that needs no memory: it cannot be stopped
/// half-way.
inline constexpr std::size_t kScriptReplies = 4;

/// The commands of a transaction as one script, ready to send: UNWATCH, EVAL, WATCH epoch, GET
/// epoch. It takes effect only if the shard's keys hold what `expected` says, which is for it what
/// the WATCH is for MULTI; one that comes late or twice finds another sequence. Its answers are
/// those of EXEC: nil, an array that ends with the last command's reply, or one that holds an
/// error. Empty when a command has more arguments than a script can pass on.
/// Cost: about twice that of the transaction.
std::string as_script(const Keys& keys, const Transaction& transaction, const ShardMark& expected);

}  // namespace jobwire::redis
