// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/batch_writer.h"

#include <algorithm>
#include <utility>

#include "adapters/redis/queue_fields.h"
#include "adapters/redis/type_text.h"

namespace jobwire::redis {
void begin_transaction(CommandBuffer& out) { out.next("MULTI", 1); }

Transaction end_transaction(const Keys& keys, CommandBuffer& out) {
  Transaction transaction;
  transaction.commands = out.commands() - 1;
  out.next("EXEC", 1);
  out.next("WATCH", 2);
  out.arg(keys.epoch);
  out.next("GET", 2);
  out.arg(keys.epoch);
  transaction.bytes = out.take();
  return transaction;
}

Transaction BatchWriter::write(const core::Batch& batch, std::string&& storage) {
  out_.reuse(std::move(storage));
  constexpr std::size_t kAround = 600;  // a job's fields and its places in the indexes
  std::size_t bytes = 0;
  for (const core::JobWrite& write : batch.jobs)
    bytes += kAround + write.job.payload.size() + write.job.result.size();
  for (const core::CheckpointWrite& write : batch.checkpoints)
    bytes += kAround / 2 + write.checkpoint.bytes.size();
  out_.reserve(bytes);
  begin_transaction(out_);
  for (const core::JobWrite& job : batch.jobs) write_job(job);
  for (const core::JobId& id : batch.stale_notes) {
    out_.next("HINCRBY", 4);
    out_.id(keys_.job, id);
    out_.literal(bulk_of(Field::kStaleResults));
    out_.arg("1");
  }
  for (const core::ProgressWrite& word : batch.progress) jobs_.write(word, out_);
  for (const core::CheckpointWrite& write : batch.checkpoints) jobs_.write(write, out_);
  write_removals(batch);
  moves_.write(keys_, out_);
  moves_.write_queues(keys_, out_);
  for (const core::QueueDelta& delta : batch.queues) write_counters(delta);
  for (const core::QueueWrite& queue : batch.settings) write_settings(queue);
  for (const core::HostWrite& host : batch.hosts) write_host(host);
  for (const core::TypeWrite& type : batch.types) write_type(type);
  for (const core::ContractWrite& contract : batch.contracts) write_contract(contract);
  if (!batch.jobs.empty()) moves_.write_event(keys_, batch.sequence, limits_.events_kept, out_);
  out_.next("SET", 3);
  out_.arg(keys_.sequence);
  out_.number(batch.sequence);
  moves_.clear();
  Transaction transaction = end_transaction(keys_, out_);
  transaction.sequence = batch.sequence;
  transaction.adds_jobs =
      std::any_of(batch.jobs.begin(), batch.jobs.end(),
                  [](const core::JobWrite& write) { return write.stored == core::State::kNone; });
  return transaction;
}

void BatchWriter::write_type(const core::TypeWrite& type) {
  const std::string text = type_text(type);
  out_.next(text.empty() ? Bulk("HDEL") : Bulk("HSET"), text.empty() ? 3 : 4);
  out_.arg(keys_.types);
  out_.arg(type.type);
  if (!text.empty()) out_.arg(text);
}

void BatchWriter::write_contract(const core::ContractWrite& contract) {
  out_.next(contract.schema ? Bulk("HSET") : Bulk("HDEL"), contract.schema ? 4 : 3);
  out_.arg(keys_.contracts);
  out_.arg(contract.name);
  if (contract.schema) out_.arg(contract.schema.view());
}

void BatchWriter::write_job(const core::JobWrite& write) {
  const core::JobRecord& job = write.job;
  jobs_.write(write, out_);
  if (job.options && job.options->result_ttl.count() > 0) write_ttl(write);
  if (write.stored != core::State::kNone && write.stored != job.state)
    moves_.leave(write.stored_queue.empty() ? job.queue : write.stored_queue, write.stored, job.id);
  moves_.enter(job.queue, job.state, core::index_time(job), job.id);
  // A new job that is dead is an import: its key was used up long ago.
  if (write.stored != core::State::kNone || job.state == core::State::kDead || !job.options ||
      job.options->dedup_key.empty() || job.options->dedup_window.count() <= 0)
    return;
  out_.next("SET", 5);
  out_.joined(keys_.dedup, job.options->dedup_key);
  out_.id(job.id);
  out_.arg("PX");
  out_.number(job.options->dedup_window.count());
  out_.next("ZADD", 4);
  out_.arg(keys_.dedups);
  out_.number((job.created + job.options->dedup_window).time_since_epoch().count());
  out_.arg(job.options->dedup_key);
}

void BatchWriter::write_ttl(const core::JobWrite& write) {
  const core::JobRecord& job = write.job;
  if (core::is_final(job.state)) {
    out_.next("ZADD", 4);
    out_.arg(keys_.ttls);
    out_.number((job.finished + job.options->result_ttl).time_since_epoch().count());
    out_.id(job.id);
  } else if (core::is_final(write.stored)) {
    out_.next("ZREM", 3);
    out_.arg(keys_.ttls);
    out_.id(job.id);
  }
}

void BatchWriter::write_removals(const core::Batch& batch) {
  if (batch.removals.empty()) return;
  out_.next("UNLINK", batch.removals.size() + 1);
  for (const core::JobRemoval& removal : batch.removals) {
    out_.id(keys_.job, removal.id);
    moves_.leave(removal.queue, removal.state, removal.id);
  }
  const auto own_ttls = std::count_if(batch.removals.begin(), batch.removals.end(),
                                      [](const auto& removal) { return removal.own_ttl; });
  if (own_ttls > 0) {
    out_.next("ZREM", static_cast<std::size_t>(own_ttls) + 2);
    out_.arg(keys_.ttls);
    for (const core::JobRemoval& removal : batch.removals) {
      if (removal.own_ttl) out_.id(removal.id);
    }
  }
  if (batch.gone_before != core::Wall{}) {
    out_.next("SET", 3);
    out_.arg(keys_.gone_before);
    out_.number(batch.gone_before.time_since_epoch().count());
  }
  // Retention is also when keys that have expired leave the index of dedup keys.
  out_.next("ZREMRANGEBYSCORE", 4);
  out_.arg(keys_.dedups);
  out_.arg("-inf");
  out_.number(batch.now.time_since_epoch().count());
}

void BatchWriter::write_counters(const core::QueueDelta& delta) {
  const auto add = [&](const Bulk& field, std::uint32_t count) {
    if (count == 0) return;
    out_.next("HINCRBY", 4);
    out_.joined(keys_.queue, delta.queue);
    out_.literal(field);
    out_.number(count);
  };
  add("submitted", delta.submitted);
  add("succeeded", delta.succeeded);
  add("dead", delta.dead);
  add("expired", delta.expired);
  add("cancelled", delta.cancelled);
  add("failed_attempts", delta.failed_attempts);
  add("stale_results", delta.stale_results);
}

void BatchWriter::write_settings(const core::QueueWrite& write) {
  const core::QueueSettings& settings = write.settings;
  out_.next("SADD", 3);
  out_.arg(keys_.queues);
  out_.arg(write.queue);
  out_.next("HDEL", kSettingNames.size() + 2);
  out_.joined(keys_.queue, write.queue);
  for (const std::string_view name : kSettingNames) out_.arg(name);
  out_.next("HSET");
  out_.joined(keys_.queue, write.queue);
  out_.arg("weight");
  out_.number(settings.weight);
  const auto put = [this](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    out_.arg(name);
    out_.arg(value);
  };
  const auto put_time = [&](std::string_view name, core::Wall time) {
    if (time == core::Wall{}) return;
    out_.arg(name);
    out_.number(time.time_since_epoch().count());
  };
  if (settings.paused) put("paused", "1");
  if (settings.draining) put("draining", "1");
  put("by", settings.by);
  put("why", settings.why);
  put_time("since_ms", settings.since);
  put_time("until_ms", settings.until);
}

void BatchWriter::write_host(const core::HostWrite& host) {
  if (host.left) {
    out_.next("UNLINK", 2);
    out_.hex(keys_.host, host.id.bytes);
    out_.next("ZREM", 3);
    out_.arg(keys_.hosts);
    out_.hex(host.id.bytes);
    return;
  }
  out_.next("HSET", 10);
  out_.hex(keys_.host, host.id.bytes);
  out_.arg("name");
  out_.arg(host.name);
  out_.arg("workers");
  out_.number(host.workers);
  out_.arg("slots");
  out_.number(host.slots);
  out_.arg("seen_ms");
  out_.number(host.seen.time_since_epoch().count());
  out_.next("PEXPIRE", 3);
  out_.hex(keys_.host, host.id.bytes);
  out_.number(limits_.host_ttl.count());
  out_.next("ZADD", 4);
  out_.arg(keys_.hosts);
  out_.number(host.seen.time_since_epoch().count());
  out_.hex(host.id.bytes);
  out_.next("ZREMRANGEBYSCORE", 4);
  out_.arg(keys_.hosts);
  out_.arg("-inf");
  out_.joined("(", std::to_string((host.seen - limits_.host_ttl).time_since_epoch().count()));
}

}  // namespace jobwire::redis
