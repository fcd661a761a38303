// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/recovery.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

#include "adapters/redis/queue_fields.h"
#include "adapters/redis/stored_job_reader.h"
#include "adapters/redis/type_text.h"

namespace jobwire::redis {
namespace {

constexpr std::size_t kJobsPerPage = 1000;
constexpr std::size_t kIdsPerPage = 5000;
constexpr std::size_t kKeysPerPage = 1000;
constexpr std::size_t kSkipsTold = 10;

/// Redis writes long scores as 1.8e+12.
core::Wall time_of(std::string_view score) {
  double time = 0;
  std::from_chars(score.data(), score.data() + score.size(), time);
  return core::Wall(core::Millis(static_cast<std::int64_t>(time)));
}

}  // namespace

Recovery::Recovery(const RedisOptions& options, const Keys& keys, ReadLink& link)
    : options_(options), keys_(keys), link_(link), scan_(keys, link, options.log) {}

void Recovery::restart() {
  scanning_ = false;
  entries_.clear();
  listed_ = {};
  listed_all_ = false;
  next_ = running_ = 0;
  ahead_.clear();
  skipped_ = 0;
}

void Recovery::skip(const core::JobId& id, std::string_view why) {
  if (++skipped_ <= kSkipsTold && options_.log)
    options_.log("recovery leaves out job " + core::to_string(id) + ": " + std::string(why));
}

void Recovery::tell_skipped() {
  if (skipped_ > kSkipsTold && options_.log)
    options_.log("recovery left out " + std::to_string(skipped_) + " jobs in all");
  skipped_ = 0;
}

ports::Status Recovery::list_jobs() {
  constexpr std::array kStates = {core::State::kRunning, core::State::kQueued,
                                  core::State::kScheduled};
  if (!scanning_) {
    if (auto status = scan_.begin(kStates); !status) return status;
    scanning_ = true;
    listed_.clear();
    next_ = running_ = 0;
  }
  while (!scan_.done()) {
    entries_.clear();
    if (auto status = scan_.next(kIdsPerPage, entries_); !status) return status;
    for (const IndexScan::Entry& entry : entries_) {
      listed_.push_back({entry.id, entry.state});
      if (entry.state == core::State::kRunning) ++running_;
    }
  }
  entries_.clear();
  scanning_ = false;
  listed_all_ = true;
  return {};
}

ports::Result<ports::RecoveredPage> Recovery::jobs() {
  if (!listed_all_) {
    if (auto status = list_jobs(); !status) return status.failure();
  }
  ports::RecoveredPage page;
  CommandBuffer out;
  const std::size_t end = std::min(listed_.size(), next_ + kJobsPerPage);
  std::vector<Listed> asked;
  for (std::size_t i = next_; i < end; ++i) {
    if (ahead_.contains(listed_[i].id)) continue;
    asked.push_back(listed_[i]);
    ask_recovered(keys_, listed_[i].id, out);
  }
  std::size_t at = 0;
  const auto take = [&](const Reply& reply) {
    const Listed& listed = asked[at++];
    ports::StoredJob& job = page.jobs.emplace_back();
    job.id = listed.id;
    const ReadOutcome outcome = read_recovered(reply, job);
    if (outcome == ReadOutcome::kFound && job.job.state == listed.state) return;
    skip(listed.id, outcome == ReadOutcome::kMissing      ? "it is in an index, but has no hash"
                    : outcome == ReadOutcome::kUnreadable ? "its fields cannot be read"
                                                          : "its state is not that of its index");
    page.jobs.pop_back();
  };
  if (auto status = link_.call(out.take(), asked.size(), take); !status) {
    skipped_ = 0;
    return status.failure();
  }
  next_ = end;
  page.all_running = next_ >= running_;
  page.last = next_ == listed_.size();
  if (page.last) {
    tell_skipped();
    restart();
  }
  return page;
}

ports::Result<ports::RecoveredPage> Recovery::some(std::span<const core::JobId> ids) {
  ports::RecoveredPage page;
  CommandBuffer out;
  for (const core::JobId& id : ids) ask_recovered(keys_, id, out);
  std::size_t at = 0;
  const auto take = [&](const Reply& reply) {
    ports::StoredJob& job = page.jobs.emplace_back();
    job.id = ids[at++];
    if (read_recovered(reply, job) == ReadOutcome::kFound && !core::is_final(job.job.state)) return;
    page.jobs.pop_back();
  };
  if (auto status = link_.call(out.take(), ids.size(), take); !status) return status.failure();
  ahead_.insert(ids.begin(), ids.end());
  return page;
}

ports::Result<ports::RecoveredFinals> Recovery::finals() {
  constexpr std::array kStates = {core::State::kSucceeded, core::State::kDead,
                                  core::State::kExpired, core::State::kCancelled};
  if (!scanning_) {
    if (auto status = scan_.begin(kStates); !status) return status.failure();
    scanning_ = true;
  }
  ports::RecoveredFinals page;
  if (auto status = scan_.next(kIdsPerPage, entries_); !status) return status.failure();
  page.jobs.reserve(entries_.size());
  for (const IndexScan::Entry& entry : entries_)
    page.jobs.push_back({entry.id, std::string(entry.queue), entry.state, entry.time, {}});
  if (auto status = read_ttls(page.jobs); !status) return status.failure();
  entries_.clear();
  page.last = scan_.done();
  if (page.last) scanning_ = false;
  return page;
}

ports::Result<std::vector<ports::RecoveredQueue>> Recovery::queues() {
  if (auto status = scan_.begin({}); !status) return status.failure();
  std::vector<ports::RecoveredQueue> found;
  for (const std::string& name : scan_.queues()) found.push_back({name, {}});
  for (std::size_t first = 0; first < found.size(); first += kKeysPerPage) {
    CommandBuffer out;
    const std::size_t end = std::min(found.size(), first + kKeysPerPage);
    for (std::size_t i = first; i < end; ++i) {
      out.next("HMGET", kSettingNames.size() + 2);
      out.joined(keys_.queue, found[i].queue);
      for (const std::string_view name : kSettingNames) out.arg(name);
    }
    std::size_t at = first;
    const auto take = [&](const Reply& reply) {
      core::QueueSettings& settings = found[at++].settings;
      for (std::size_t i = 0; i + 1 < reply.size() && i < kSettingNames.size(); ++i) {
        if (!reply.is_nil(i + 1)) read_setting(i, reply.text(i + 1), settings);
      }
    };
    if (auto status = link_.call(out.take(), end - first, take); !status) return status.failure();
  }
  return found;
}

ports::Status Recovery::read_ttls(std::vector<ports::RecoveredFinal>& jobs) {
  if (jobs.empty()) return {};
  CommandBuffer out;
  out.next("ZMSCORE", jobs.size() + 2);
  out.arg(keys_.ttls);
  for (const ports::RecoveredFinal& job : jobs) out.id(job.id);
  return link_.call(out.take(), 1, [&](const Reply& reply) {
    for (std::size_t i = 0; i < jobs.size() && i + 1 < reply.size(); ++i) {
      if (!reply.is_nil(i + 1)) jobs[i].goes = time_of(reply.text(i + 1));
    }
  });
}

ports::Result<core::Wall> Recovery::gone_before() {
  core::Wall moment{};
  CommandBuffer out;
  out.next("GET", 2);
  out.arg(keys_.gone_before);
  const auto status = link_.call(out.take(), 1, [&](const Reply& reply) {
    if (reply.kind() == Reply::Kind::kString) moment = time_of(reply.text());
  });
  if (!status) return status.failure();
  return moment;
}

ports::Result<std::vector<ports::RecoveredType>> Recovery::types() {
  std::vector<ports::RecoveredType> found;
  CommandBuffer out;
  out.next("HGETALL", 2);
  out.arg(keys_.types);
  const auto status = link_.call(out.take(), 1, [&](const Reply& reply) {
    for (std::size_t i = 1; i + 1 < reply.size(); i += 2) {
      ports::RecoveredType& type = found.emplace_back();
      type.type = reply.text(i);
      if (read_type(reply.text(i + 1), type)) continue;
      if (options_.log) options_.log("the defaults of type " + type.type + " cannot be read");
      found.pop_back();
    }
  });
  if (!status) return status.failure();
  return found;
}

ports::Result<std::vector<ports::RecoveredDedup>> Recovery::dedups() {
  std::vector<ports::RecoveredDedup> found;
  std::vector<std::string> keys;
  for (std::size_t offset = 0;; offset += kKeysPerPage) {
    CommandBuffer out;
    out.next("ZRANGE", 4);
    out.arg(keys_.dedups);
    out.number(offset);
    out.number(offset + kKeysPerPage - 1);
    keys.clear();
    if (auto status = link_.call(out.take(), 1,
                                 [&](const Reply& reply) {
                                   for (std::size_t i = 1; i < reply.size(); ++i)
                                     keys.emplace_back(reply.text(i));
                                 });
        !status)
      return status.failure();
    if (keys.empty()) return found;
    for (const std::string& key : keys) {
      out.next("GET", 2);
      out.joined(keys_.dedup, key);
      out.next("PTTL", 2);
      out.joined(keys_.dedup, key);
    }
    std::size_t at = 0;
    ports::RecoveredDedup dedup;
    bool good = false;
    const auto take = [&](const Reply& reply) {
      const std::string& key = keys[at / 2];
      if (at++ % 2 == 0) {
        good = core::parse_job_id(reply.text(), dedup.job);
      } else if (good && reply.number() > 0) {
        found.push_back({key, dedup.job, core::Millis(reply.number())});
      }
    };
    if (auto status = link_.call(out.take(), 2 * keys.size(), take); !status)
      return status.failure();
  }
}

ports::Result<std::vector<core::HostId>> Recovery::hosts() {
  std::vector<core::HostId> named;
  CommandBuffer out;
  out.next("ZRANGE", 4);
  out.arg(keys_.hosts);
  out.arg("0");
  out.arg("-1");
  if (auto status = link_.call(out.take(), 1,
                               [&](const Reply& reply) {
                                 for (std::size_t i = 1; i < reply.size(); ++i) {
                                   core::HostId id;
                                   if (core::parse_hex(reply.text(i), id.bytes))
                                     named.push_back(id);
                                 }
                               });
      !status)
    return status.failure();
  for (const core::HostId& id : named) {
    out.next("EXISTS", 2);
    out.hex(keys_.host, id.bytes);
  }
  std::vector<core::HostId> living;
  std::size_t at = 0;
  const auto take = [&](const Reply& reply) {
    if (reply.number() == 1) living.push_back(named[at]);
    ++at;
  };
  if (auto status = link_.call(out.take(), named.size(), take); !status) return status.failure();
  return living;
}

ports::Result<std::vector<ports::ContractFile>> Recovery::contracts() {
  std::vector<ports::ContractFile> files;
  CommandBuffer out;
  out.next("HGETALL", 2);
  out.arg(keys_.contracts);
  const auto take = [&](const Reply& reply) {
    for (std::size_t i = 1; i + 1 < reply.size(); i += 2)
      files.push_back({std::string(reply.text(i)), std::string(reply.text(i + 1))});
  };
  if (auto status = link_.call(out.take(), 1, take); !status) return status.failure();
  std::sort(files.begin(), files.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return files;
}

ports::Status Recovery::keep_contracts(const std::vector<ports::ContractFile>& files) {
  CommandBuffer out;
  out.next("MULTI", 1);
  out.next("DEL", 2);
  out.arg(keys_.contracts);
  for (const ports::ContractFile& file : files) {
    out.next("HSET", 4);
    out.arg(keys_.contracts);
    out.arg(file.name);
    out.arg(file.schema);
  }
  out.next("EXEC", 1);
  const std::size_t replies = out.commands();
  std::string refused;
  const auto take = [&](const Reply& reply) {
    if (reply.is_error()) refused = reply.text();
  };
  if (auto status = link_.call(out.take(), replies, take); !status) return status.failure();
  if (!refused.empty()) return ports::Failure{"the contracts cannot be kept: " + refused, true};
  return {};
}

}  // namespace jobwire::redis
