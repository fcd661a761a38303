// SPDX-License-Identifier: Apache-2.0
#include "core/obstacles.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "core/near_names.h"

namespace jobwire::core {
namespace {

/// A status answer is no place for a fleet's whole history.
constexpr std::size_t kMaxListed = 4;
constexpr std::size_t kMaxNear = 3;

std::string hex(std::uint64_t contract) {
  std::string text(16, '0');
  for (std::size_t i = text.size(); i-- > 0; contract >>= 4)
    text[i] = "0123456789abcdef"[contract & 0xf];
  return text;
}

std::string called(const Contract& contract) {
  std::string text = contract.hash == 0 ? "no contract" : "contract " + hex(contract.hash);
  if (!contract.version.empty()) text += " (version " + contract.version + ")";
  return text;
}

bool serves(const Group& group, QueueIx queue) {
  return std::any_of(group.queues.begin(), group.queues.end(),
                     [&](const Group::Served& served) { return served.queue == queue; });
}

std::string workers(std::uint32_t count) {
  return count == 1 ? "1 worker" : std::to_string(count) + " workers";
}

}  // namespace

void Obstacles::count_workers() {
  if (!workers_.empty() || lanes_.groups() == 0) return;
  workers_.resize(lanes_.groups());
  for (std::uint32_t i = 0; i < fleet_.worker_slots(); ++i) {
    const Worker& worker = fleet_[WorkerIx{i}];
    if (worker.alive && worker.connected && worker.group != kNoGroup) ++workers_[raw(worker.group)];
  }
}

std::shared_ptr<const std::string> Obstacles::before(const Job& job) {
  if (job.lane == last_) return answer_;
  last_ = job.lane;
  answer_.reset();
  count_workers();
  const Lane& lane = lanes_[job.lane];
  const bool served = std::any_of(lane.servers.begin(), lane.servers.end(),
                                  [&](const auto& s) { return workers_[raw(s.group)] > 0; });
  if (lanes_[lane.queue].settings.paused) {
    answer_ = std::make_shared<const std::string>(about_pause(lane));
    return answer_;
  }
  if (!served) answer_ = std::make_shared<const std::string>(sentence(lane));
  return answer_;
}

std::string Obstacles::about_pause(const Lane& lane) {
  const QueueSettings& settings = lanes_[lane.queue].settings;
  std::string text =
      "queue " + std::string(lanes_.name(lane.queue)) + " is paused by " + settings.by;
  return settings.why.empty() ? text : text + ": " + settings.why;
}

std::string Obstacles::sentence(const Lane& lane) {
  bool queue_served = false;
  for (std::uint32_t g = 0; g < lanes_.groups(); ++g) {
    const Group& group = lanes_[GroupIx{g}];
    if (workers_[g] == 0) continue;
    if (!serves(group, lane.queue)) continue;
    queue_served = true;
    if (group.offers.contains(raw(lane.type))) return about_contracts(lane);
  }
  const std::string queue = "queue " + std::string(lanes_.name(lane.queue));
  if (!queue_served) return "no worker that is here serves " + queue;
  return "no worker of " + queue + " has type " + about_type(lane);
}

std::string Obstacles::about_type(const Lane& lane) {
  const std::string_view wanted = lanes_.name(lane.type);
  const std::size_t most = near_edits(wanted.size());
  std::string text(wanted);
  // By how far they are; what is not near comes last, in the order of names.
  std::map<std::pair<std::size_t, std::string_view>, std::set<std::string_view>> found;
  std::string_view elsewhere;
  for (std::uint32_t g = 0; g < lanes_.groups(); ++g) {
    if (workers_[g] == 0) continue;
    const Group& group = lanes_[GroupIx{g}];
    if (!serves(group, lane.queue)) {
      if (group.offers.contains(raw(lane.type)) && elsewhere.empty())
        elsewhere = lanes_.name(group.queues.front().queue);
      continue;
    }
    for (const Offer& offer : group.offered) {
      if (looks_++ >= kMaxLooks) break;
      const std::string_view name = lanes_.name(offer.type);
      found[{edits_between(wanted, name, most), name}].insert(offer.contract.version);
    }
  }
  if (!elsewhere.empty()) text += ", workers of queue " + std::string(elsewhere) + " do";
  const bool any_near = !found.empty() && found.begin()->first.first <= most;
  std::size_t listed = 0;
  for (const auto& [place, versions] : found) {
    if (listed == kMaxNear || (any_near && place.first > most)) break;
    text += (listed++ == 0 ? "; there is " : ", ") + std::string(place.second);
    const std::size_t known = versions.size() - versions.count("");
    if (known == 0) continue;
    text += known == 1 ? " (version " : " (versions ";
    std::size_t told = 0;
    for (const std::string_view version : versions) {
      if (version.empty() || told == kMaxListed) continue;
      text += (told++ == 0 ? "" : ", ") + std::string(version);
    }
    text += known > told ? " and others)" : ")";
  }
  return text;
}

std::string Obstacles::about_contracts(const Lane& lane) {
  std::map<Contract, std::uint32_t> here;
  std::map<Contract, std::uint32_t> would_do;
  for (std::uint32_t g = 0; g < lanes_.groups(); ++g) {
    const Group& group = lanes_[GroupIx{g}];
    const auto offer = group.offers.find(raw(lane.type));
    if (offer == group.offers.end()) continue;
    const Contract& contract = group.offered[offer->second].contract;
    if (contract.takes(lane.contract)) {
      would_do[contract] += workers_[g];
    } else if (workers_[g] > 0 && serves(group, lane.queue)) {
      here[contract] += workers_[g];
    }
  }
  const std::string type(lanes_.name(lane.type));
  std::string text =
      "no worker that is here takes contract " + hex(lane.contract) + " of " + type + ": there ";
  std::size_t listed = 0;
  for (const auto& [contract, count] : here) {
    if (listed == kMaxListed) {
      text += ", and others";
      break;
    }
    if (listed == 0) text += count == 1 ? "is " : "are ";
    text += (listed++ == 0 ? "" : ", ") + workers(count) + " with " + called(contract);
  }
  text += "; workers built with that contract, or that accept it, would do";
  listed = 0;
  for (const auto& [contract, count] : would_do) {
    if (listed == kMaxListed) break;
    text += (listed++ == 0 ? ": before there was " : ", ") + called(contract);
    if (count > 0) text += ", now at other queues";
  }
  return text;
}

}  // namespace jobwire::core
