// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/redis_store.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace jobwire::redis {

RedisStore::RedisStore(RedisOptions options)
    : options_(std::move(options)),
      keys_(options_.shard),
      writer_(keys_, {options_.events_kept, options_.host_ttl}),
      commits_(options_, keys_),
      reads_(options_, keys_),
      recovery_reads_(options_, keys_),
      recovery_(options_, keys_, recovery_reads_),
      room_(options_) {
  assert(Keys::valid_shard(options_.shard));
}

ports::Result<ports::StoreOpened> RedisStore::open() {
  auto taken = commits_.take_over();
  if (!taken) return taken.failure();
  opened_ = true;
  recovery_.restart();
  ports::StoreOpened opened;
  opened.epoch = taken->epoch;
  opened.last_sequence = taken->sequence;
  opened.durability = taken->server.durability;
  opened.description = std::move(taken->server.description);
  return opened;
}

void RedisStore::commit(const core::Batch& batch) {
  assert(ready());
  Transaction transaction = writer_.write(batch, commits_.spare());
  room_.note_written(transaction.bytes.size());
  commits_.commit(std::move(transaction));
}

bool RedisStore::read(ports::ReadRequest request) {
  return opened_ && !commits_.away() && reads_.ask(std::move(request));
}

bool RedisStore::scan(ports::ScanRequest request) {
  return opened_ && !commits_.away() && reads_.ask(std::move(request));
}

void RedisStore::poll(core::Steady now, std::vector<ports::StoreEvent>& events) {
  if (!opened_) return;
  commits_.poll(now, events);
  if (commits_.ended()) {
    reads_.end();
    room_.end();
    return;
  }
  reads_.poll(now, events);
  room_.poll(now, events);
}

void RedisStore::descriptors(std::vector<pollfd>& out) const {
  commits_.descriptors(out);
  reads_.descriptors(out);
  room_.descriptors(out);
}

std::optional<core::Steady> RedisStore::deadline() const {
  if (!opened_) return std::nullopt;
  std::optional<core::Steady> first;
  for (const auto& next : {commits_.deadline(), reads_.deadline(), room_.deadline()}) {
    if (next && (!first || *next < *first)) first = next;
  }
  return first;
}

}  // namespace jobwire::redis
