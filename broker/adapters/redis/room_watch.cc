// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/room_watch.h"

#include <algorithm>
#include <random>

#include "adapters/redis/server_check.h"
#include "adapters/redis/transaction_reply.h"

namespace jobwire::redis {
namespace {

constexpr core::Millis kLook{200};
constexpr core::Millis kLookWithoutLimit{1'000};
/// Shares of the reserve: so much written brings the next look forward, and so much more than the
/// reserve must be left for the room to be ample again.
constexpr std::uint64_t kShare = 8;

std::string mebibytes(std::uint64_t bytes) {
  return std::to_string(bytes >> 20) + "." + std::to_string((bytes & 0xfffff) * 10 >> 20) + " MiB";
}

}  // namespace

RoomWatch::RoomWatch(const RedisOptions& options)
    : options_(options),
      connection_(options.endpoint),
      backoff_(options.backoff_first, options.backoff_most, std::random_device{}()) {}

std::uint64_t RoomWatch::reserve_of(std::uint64_t limit, std::uint64_t asked) {
  constexpr std::uint64_t kLeast = 64ULL << 20;
  return std::min(limit / 2, asked != 0 ? asked : std::max(kLeast, limit / 20));
}

void RoomWatch::poll(core::Steady now, std::vector<ports::StoreEvent>& events) {
  now_ = now;
  if (ended_) return;
  if (connection_.closed()) {
    if (now < until_) return;
    until_ = now + options_.connect_timeout;
    if (!connection_.start()) return lost();
  }
  if (!connection_.pump([&](const Reply& reply) { return on_reply(reply, events); })) return lost();
  if (replies_left_ == 0 && connection_.open() && (!logged_in_ || overdue(now))) {
    look();
  } else if (now >= until_ && (replies_left_ > 0 || !connection_.open())) {
    lost();
  }
}

bool RoomWatch::overdue(core::Steady now) const {
  return now >= until_ || (reserve_ > 0 && written_ >= reserve_ / kShare);
}

void RoomWatch::look() {
  CommandBuffer out;
  replies_left_ = 1;
  if (!logged_in_) replies_left_ += write_login(options_.endpoint, out);
  logged_in_ = true;
  out.next("INFO", 2);
  out.arg("memory");
  sending_ = out.take();
  written_ = 0;
  until_ = now_ + options_.reply_timeout;
  connection_.send(sending_);
}

bool RoomWatch::on_reply(const Reply& reply, std::vector<ports::StoreEvent>& events) {
  if (replies_left_ == 0 || reply.is_error()) {
    connection_.close();
    return false;
  }
  if (--replies_left_ > 0) return true;
  const auto used = number_in(info_line(reply.text(), "used_memory"));
  const auto limit = number_in(info_line(reply.text(), "maxmemory"));
  if (used && limit) judge(*used, *limit, events);
  backoff_.reset();
  until_ = now_ + (reserve_ > 0 ? kLook : kLookWithoutLimit);
  return true;
}

void RoomWatch::judge(std::uint64_t used, std::uint64_t limit,
                      std::vector<ports::StoreEvent>& events) {
  reserve_ = reserve_of(limit, options_.reserve_bytes);
  const std::uint64_t left = used < limit ? limit - used : 0;
  const std::uint64_t wanted = scarce_ ? reserve_ + reserve_ / kShare : reserve_;
  const bool scarce = limit > 0 && left < wanted;
  if (scarce == scarce_) return;
  scarce_ = scarce;
  std::string message = mebibytes(used) + " used";
  message += limit == 0 ? ", no limit"
                        : " of " + mebibytes(limit) + ", " + mebibytes(reserve_) + " are reserved";
  events.push_back(ports::StoreRoom{scarce, std::move(message)});
}

void RoomWatch::lost() {
  connection_.close();
  logged_in_ = false;
  replies_left_ = 0;
  until_ = now_ + backoff_.next();
}

void RoomWatch::end() {
  lost();
  ended_ = true;
}

void RoomWatch::descriptors(std::vector<pollfd>& out) const {
  if (!connection_.closed()) out.push_back(connection_.descriptor());
}

std::optional<core::Steady> RoomWatch::deadline() const {
  if (ended_) return std::nullopt;
  if (connection_.more()) return now_;
  return until_;
}

}  // namespace jobwire::redis
