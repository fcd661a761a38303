// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/commit_link.h"

#include <cassert>
#include <random>
#include <utility>

#include "adapters/redis/server_error.h"

namespace jobwire::redis {
namespace {

/// A broker's mark in the key `owner`: after Redis has gone backwards two brokers may count up to
/// the same epoch, and this tells them apart.
std::string unique_owner(const std::string& name) {
  std::random_device random;
  std::array<std::uint8_t, 16> nonce;
  for (std::uint8_t& byte : nonce) byte = static_cast<std::uint8_t>(random());
  return name + " " + core::to_hex(nonce);
}

}  // namespace

CommitLink::CommitLink(const RedisOptions& options, const Keys& keys)
    : options_(options),
      keys_(keys),
      connection_(options.endpoint),
      backoff_(options.backoff_first, options.backoff_most, std::random_device{}()),
      ring_(options.ring_bytes, options.ring_age),
      owner_(unique_owner(options.owner)) {}

ports::Result<CommitLink::Taken> CommitLink::take_over() {
  connection_.close();
  if (!connection_.connect(options_.connect_timeout))
    return ports::Failure{connection_.error(), !connection_.hopeless()};
  auto server = check_server(connection_, options_);
  if (!server) return server.failure();

  CommandBuffer out;
  out.next("WATCH", 2);
  out.arg(keys_.epoch);
  out.next("GET", 2);
  out.arg(keys_.epoch);
  out.next("GET", 2);
  out.arg(keys_.owner);
  out.next("GET", 2);
  out.arg(keys_.sequence);
  std::uint64_t epoch = 0;
  ShardMark seen;
  std::string error;
  std::size_t step = 0;
  std::string bytes = out.take();
  const auto take = [&](const Reply& reply) {
    if (reply.is_error()) {
      error = reply.text();
    } else if (step == 1 && !reply.is_nil()) {
      const auto number = number_in(reply);
      if (!number) error = "the key " + keys_.epoch + " holds no number";
      epoch = number.value_or(0);
      seen.epoch = reply.text();
    } else if (step == 2) {
      seen.owner = reply.text();
    } else if (step == 3) {
      seen.sequence = reply.text();
    }
    ++step;
  };
  if (!connection_.call(bytes, 4, options_.reply_timeout, take))
    return ports::Failure{connection_.error(), true};
  if (!error.empty()) return failure_of(options_.endpoint, error);
  owner_before_ = seen.owner;

  begin_transaction(out);
  out.next("SET", 3);
  out.arg(keys_.epoch);
  out.number(epoch + 1);
  out.next("SET", 3);
  out.arg(keys_.owner);
  out.arg(owner_);
  out.next("GET", 2);
  out.arg(keys_.sequence);
  const Transaction transaction = end_transaction(keys_, out);
  reply_.expect(transaction.commands);
  if (!connection_.call(transaction.bytes, transaction.commands + 4, options_.reply_timeout,
                        [&](const Reply& reply) { reply_.take(reply); }))
    return ports::Failure{connection_.error(), true};
  if (reply_.outcome() == TransactionReply::Outcome::kRefused &&
      classify(reply_.error()) == ServerError::kFull) {
    script_ = as_script(keys_, transaction, seen);
    reply_.expect_script();
    if (!connection_.call(script_, kScriptReplies, options_.reply_timeout,
                          [&](const Reply& reply) { reply_.take(reply); }))
      return ports::Failure{connection_.error(), true};
  }
  if (reply_.outcome() == TransactionReply::Outcome::kNotApplied || reply_.epoch() != epoch + 1)
    return ports::Failure{"another broker is taking shard " + options_.shard + " at this moment",
                          true};
  if (reply_.outcome() != TransactionReply::Outcome::kApplied)
    return failure_of(options_.endpoint, reply_.error());

  epoch_ = epoch + 1;
  committed_ = number_in(reply_.last().value_or("0")).value_or(0);
  run_id_ = server->run_id;
  phase_ = Phase::kUp;
  return Taken{epoch_, committed_, std::move(*server)};
}

void CommitLink::commit(Transaction transaction) {
  assert(ready() && transaction.sequence > committed_);
  transaction_ = std::move(transaction);
  under_way_ = true;
  send(transaction_.bytes, transaction_.commands);
  until_ = now_ + options_.reply_timeout;
  until_is_fresh_ = true;  // the last poll may be long ago
}

void CommitLink::send(const std::string& bytes, std::size_t commands) {
  insisted_ = false;
  reply_.expect(commands);
  connection_.send(bytes);
  expect_answer();
}

bool CommitLink::insist(const Transaction& transaction, const ShardMark& expected) {
  if (insisted_ || reply_.outcome() != TransactionReply::Outcome::kRefused ||
      classify(reply_.error()) != ServerError::kFull)
    return false;
  script_ = as_script(keys_, transaction, expected);
  if (script_.empty()) return false;
  insisted_ = true;
  reply_.expect_script();
  connection_.send(script_);
  expect_answer();
  return true;
}

ShardMark CommitLink::our_mark(std::uint64_t sequence) const {
  return {std::to_string(epoch_), owner_, sequence == 0 ? "" : std::to_string(sequence)};
}

void CommitLink::expect_answer() { until_ = now_ + options_.reply_timeout; }

void CommitLink::poll(core::Steady now, std::vector<ports::StoreEvent>& events) {
  if (phase_ == Phase::kEnded) return;
  now_ = now;
  events_ = &events;
  // While Redis is away its last seconds may still be wanted.
  if (phase_ == Phase::kUp) ring_.trim(now);
  if (until_is_fresh_) expect_answer();
  until_is_fresh_ = false;
  if (phase_ == Phase::kDown && now >= until_) start();
  if (phase_ != Phase::kDown) {
    const bool alive = connection_.pump([this](const Reply& reply) { return on_reply(reply); });
    if (!alive && phase_ != Phase::kDown && phase_ != Phase::kEnded) lost(connection_.error());
    if (phase_ == Phase::kConnecting && connection_.open()) greet();
    const bool waiting = under_way_ || (phase_ != Phase::kUp && phase_ != Phase::kDown);
    if (waiting && phase_ != Phase::kDown && phase_ != Phase::kEnded && now >= until_)
      lost("redis at " + options_.endpoint.to_string() + " has not answered in time");
  }
  if (phase_ == Phase::kEnded) connection_.close();
  events_ = nullptr;
}

void CommitLink::start() {
  phase_ = Phase::kConnecting;
  until_ = now_ + options_.connect_timeout;
  if (!connection_.start()) {
    lost(connection_.error());
  } else if (connection_.open()) {
    greet();
  }
}

void CommitLink::greet() {
  CommandBuffer out;
  login_ = write_login(options_.endpoint, out);
  out.next("WATCH", 2);
  out.arg(keys_.epoch);
  out.next("GET", 2);
  out.arg(keys_.epoch);
  out.next("GET", 2);
  out.arg(keys_.owner);
  out.next("GET", 2);
  out.arg(keys_.sequence);
  out.next("INFO", 2);
  out.arg("server");
  handshake_.bytes = out.take();
  phase_ = Phase::kGreeting;
  greeting_step_ = 0;
  greeting_error_.clear();
  seen_epoch_.reset();
  seen_ = {};
  connection_.send(handshake_.bytes);
  expect_answer();
}

bool CommitLink::on_reply(const Reply& reply) {
  switch (phase_) {
    case Phase::kGreeting:
      return on_greeting(reply);
    case Phase::kFencing:
      if (reply_.take(reply)) judge_sequence();
      break;
    case Phase::kRepairing:
      if (reply_.take(reply)) repair_next();
      break;
    case Phase::kUp:
      if (!under_way_) {
        lost("redis said something unasked: " + std::string(reply.text()));
      } else if (reply_.take(reply)) {
        settle();
      }
      break;
    case Phase::kDown:
    case Phase::kConnecting:
    case Phase::kEnded:
      break;
  }
  return !connection_.closed() && phase_ != Phase::kEnded;
}

bool CommitLink::on_greeting(const Reply& reply) {
  if (reply.is_error() && greeting_error_.empty()) greeting_error_ = reply.text();
  const std::size_t step = greeting_step_++;
  if (step == login_ + 1 && !reply.is_nil()) seen_epoch_ = seen_.epoch = reply.text();
  if (step == login_ + 2) seen_.owner = reply.text();
  if (step == login_ + 3) seen_.sequence = reply.text();
  if (step == login_ + 4) {
    seen_run_id_ = info_line(reply.text(), "run_id");
    judge_owner();
  }
  return !connection_.closed() && phase_ != Phase::kEnded;
}

void CommitLink::judge_owner() {
  if (!greeting_error_.empty()) return lost(failure_of(options_.endpoint, greeting_error_).message);
  // A Redis that was empty before us and crashed within its first seconds is empty again. One that
  // has not crashed was emptied by somebody.
  if (!seen_epoch_ && epoch_ == 1 && seen_run_id_ != run_id_) return fence(true);
  if (!seen_epoch_)
    return end(ports::StoreDiverged{"redis has no key " + keys_.epoch +
                                    " any more: it is empty, or another database"});
  const std::uint64_t seen = number_in(*seen_epoch_).value_or(0);
  if (seen == epoch_ && seen_.owner == owner_) return fence(false);
  if (seen + 1 == epoch_ && seen_.owner == owner_before_) return fence(true);
  if (seen >= epoch_)
    return end(ports::Fenced{"shard " + options_.shard + " now belongs to " + seen_.owner +
                             ", epoch " + *seen_epoch_});
  end(ports::StoreDiverged{"redis is at epoch " + *seen_epoch_ + " of " + seen_.owner +
                           ", from before ours, " + std::to_string(epoch_)});
}

void CommitLink::fence(bool restore_owner) {
  CommandBuffer out;
  begin_transaction(out);
  if (restore_owner) {
    out.next("SET", 3);
    out.arg(keys_.epoch);
    out.number(epoch_);
    out.next("SET", 3);
    out.arg(keys_.owner);
    out.arg(owner_);
  } else {
    // Together these change nothing, yet count as a change for everyone who watches the epoch.
    out.next("EXPIRE", 3);
    out.arg(keys_.epoch);
    out.arg("86400");
    out.next("PERSIST", 2);
    out.arg(keys_.epoch);
  }
  out.next("GET", 2);
  out.arg(keys_.sequence);
  handshake_ = end_transaction(keys_, out);
  phase_ = Phase::kFencing;
  send(handshake_.bytes, handshake_.commands);
}

void CommitLink::judge_sequence() {
  if (insist(handshake_, seen_)) return;
  if (reply_.outcome() != TransactionReply::Outcome::kApplied)
    return lost(reply_.outcome() == TransactionReply::Outcome::kNotApplied
                    ? "somebody else touched the epoch"
                    : reply_.error());
  const std::uint64_t sequence = number_in(reply_.last().value_or("0")).value_or(0);
  repaired_ = 0;
  if (under_way_ && sequence == transaction_.sequence) {
    under_way_ = false;
    keep();
    resume();
    events_->push_back(ports::Committed{committed_});
    return;
  }
  if (sequence == committed_) return resume();
  repair_at_ = ring_.after(sequence);
  if (sequence > committed_ || repair_at_ == ring_.size())
    return end(ports::StoreDiverged{
        "redis is at batch " + std::to_string(sequence) + ", but " + std::to_string(committed_) +
        " was committed" +
        (sequence > committed_ ? "" : ", and memory does not reach back so far: jobs are lost")});
  phase_ = Phase::kRepairing;
  send(ring_.at(repair_at_).bytes, ring_.at(repair_at_).commands);
}

void CommitLink::repair_next() {
  if (insist(ring_.at(repair_at_), our_mark(ring_.before(repair_at_)))) return;
  if (reply_.outcome() == TransactionReply::Outcome::kHalfApplied)
    return end(ports::StoreDiverged{"a repaired batch failed half-way: " + reply_.error()});
  if (reply_.outcome() != TransactionReply::Outcome::kApplied)
    return lost("while writing lost batches again: " +
                (reply_.error().empty() ? "somebody else touched the epoch" : reply_.error()));
  ++repaired_;
  if (++repair_at_ == ring_.size()) return resume();
  send(ring_.at(repair_at_).bytes, ring_.at(repair_at_).commands);
}

void CommitLink::resume() {
  phase_ = Phase::kUp;
  told_away_ = false;
  backoff_.reset();
  events_->push_back(ports::StoreBack{repaired_});
  if (under_way_) send(transaction_.bytes, transaction_.commands);
}

void CommitLink::settle() {
  switch (reply_.outcome()) {
    case TransactionReply::Outcome::kApplied:
      under_way_ = false;
      keep();
      events_->push_back(ports::Committed{committed_});
      break;
    case TransactionReply::Outcome::kNotApplied:
      break;
    case TransactionReply::Outcome::kRefused: {
      if (!transaction_.adds_jobs && insist(transaction_, our_mark(committed_))) return;
      const ServerError error = classify(reply_.error());
      // Without permission for EVAL a full Redis is full for everything.
      const bool full = error == ServerError::kFull || (insisted_ && error != ServerError::kAway);
      if (!full && (error == ServerError::kAway || error == ServerError::kDenied))
        return lost(reply_.error());
      under_way_ = false;
      events_->push_back(ports::BatchRefused{
          transaction_.sequence, full ? core::Code::kStoreFull : core::Code::kStoreUnavailable,
          reply_.error()});
      break;
    }
    case TransactionReply::Outcome::kHalfApplied:
      return end(ports::StoreDiverged{
          "batch " + std::to_string(transaction_.sequence) +
          " failed half-way, a key is not what it should be: " + reply_.error()});
  }
  const auto epoch = reply_.epoch();
  if (epoch == epoch_ && reply_.outcome() != TransactionReply::Outcome::kNotApplied) return;
  if (!epoch)
    return end(ports::StoreDiverged{"the key " + keys_.epoch + " is gone: redis was flushed"});
  if (*epoch > epoch_)
    return end(ports::Fenced{"shard " + options_.shard +
                             " was taken over by another broker, epoch " + std::to_string(*epoch)});
  // Touched, yet ours or older: the next greeting finds out.
  lost("somebody else touched the epoch");
}

void CommitLink::keep() {
  const std::uint64_t before = std::exchange(committed_, transaction_.sequence);
  ring_.push(before, std::move(transaction_), now_);
  transaction_ = {};
}

void CommitLink::lost(const std::string& why) {
  connection_.close();
  phase_ = Phase::kDown;
  until_ = now_ + backoff_.next();
  if (!told_away_) events_->push_back(ports::StoreAway{why});
  told_away_ = true;
}

void CommitLink::end(ports::StoreEvent event) {
  // The socket is closed by poll(): this may run inside the connection's own loop.
  phase_ = Phase::kEnded;
  under_way_ = false;
  events_->push_back(std::move(event));
}

void CommitLink::descriptors(std::vector<pollfd>& out) const {
  if (!connection_.closed()) out.push_back(connection_.descriptor());
}

std::optional<core::Steady> CommitLink::deadline() const {
  switch (phase_) {
    case Phase::kEnded:
      return std::nullopt;
    case Phase::kUp:
      if (connection_.more()) return now_;
      if (under_way_) return until_;
      return ring_.empty() ? std::nullopt : std::optional(ring_.oldest_ends());
    case Phase::kDown:
    case Phase::kConnecting:
    case Phase::kGreeting:
    case Phase::kFencing:
    case Phase::kRepairing:
      return connection_.more() ? now_ : until_;
  }
  return std::nullopt;
}

}  // namespace jobwire::redis
