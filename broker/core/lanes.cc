// SPDX-License-Identifier: Apache-2.0
#include "core/lanes.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <utility>

namespace jobwire::core {

QueueIx Lanes::queue(std::string_view name) {
  if (const auto known = queue_names_.find(name)) return QueueIx{*known};
  const std::uint32_t ix = queue_names_.add(name);
  queues_.emplace_back();
  queues_.back().delta.queue = queue_names_[ix];
  return QueueIx{ix};
}

TypeIx Lanes::type(std::string_view name) {
  if (const auto known = type_names_.find(name)) return TypeIx{*known};
  types_.emplace_back();
  return TypeIx{type_names_.add(name)};
}

LaneIx Lanes::lane(QueueIx queue, TypeIx type, std::uint64_t contract) {
  const LaneKey key{queue, type, contract};
  if (const auto known = lane_of_.find(key); known != lane_of_.end()) return known->second;
  const LaneIx ix{static_cast<std::uint32_t>(lanes_.size())};
  lanes_.emplace_back();
  lanes_.back().queue = queue;
  lanes_.back().type = type;
  lanes_.back().contract = contract;
  std::vector<std::uint64_t>& contracts = types_[raw(type)].contracts;
  if (contract != 0 && std::find(contracts.begin(), contracts.end(), contract) == contracts.end())
    contracts.push_back(contract);
  lane_of_.emplace(key, ix);
  queues_[raw(queue)].lanes.push_back(ix);
  for (std::uint32_t g = 0; g < groups_.size(); ++g) attach(ix, GroupIx{g});
  return ix;
}

GroupIx Lanes::group(const std::vector<QueueIx>& queues, const std::vector<Offer>& offers) {
  const bool reuse = !free_groups_.empty();
  const GroupIx place =
      reuse ? free_groups_.back() : GroupIx{static_cast<std::uint32_t>(groups_.size())};
  const auto [entry, fresh] = group_of_.try_emplace({queues, offers}, place);
  if (!fresh) return entry->second;
  if (reuse) {
    free_groups_.pop_back();
  } else {
    groups_.emplace_back();
  }
  Group& group = groups_[raw(place)];
  for (const QueueIx queue : queues) group.queues.push_back({queue, {}, false});
  group.offered = offers;
  for (std::size_t i = 0; i < offers.size(); ++i) {
    group.offers.emplace(raw(offers[i].type), static_cast<std::uint16_t>(i));
  }
  for (std::uint32_t l = 0; l < lanes_.size(); ++l) attach(LaneIx{l}, entry->second);
  return entry->second;
}

void Lanes::join(WorkerIx worker, GroupIx ix) {
  if (groups_[raw(ix)].members++ == 0) std::erase(empty_groups_, ix);
  leave(worker);  // after it: a group that is joined again does not end in between
  fleet_[worker].group = ix;
}

void Lanes::leave(WorkerIx worker) {
  assert(fleet_[worker].room == Room::kNone);
  const GroupIx ix = std::exchange(fleet_[worker].group, kNoGroup);
  if (ix == kNoGroup) return;
  Group& group = groups_[raw(ix)];
  if (--group.members > 0) return;
  empty_groups_.push_back(ix);
  if (empty_groups_.size() <= kEmptyGroups) return;
  const GroupIx oldest = empty_groups_.front();
  empty_groups_.pop_front();
  end(oldest);
}

void Lanes::end(GroupIx ix) {
  Group& group = groups_[raw(ix)];
  std::pair<std::vector<QueueIx>, std::vector<Offer>> key;
  for (const Group::Served& served : group.queues) {
    key.first.push_back(served.queue);
    for (const LaneIx lane : served.lanes) {
      std::erase_if(lanes_[raw(lane)].servers,
                    [&](const Lane::Server& server) { return server.group == ix; });
    }
  }
  key.second = std::move(group.offered);
  group_of_.erase(key);
  const bool hot = group.hot;
  group = Group{};
  group.hot = hot;  // it may be in that list still
  free_groups_.push_back(ix);
}

void Lanes::attach(LaneIx lane_ix, GroupIx group_ix) {
  Lane& lane = lanes_[raw(lane_ix)];
  Group& group = groups_[raw(group_ix)];
  const auto offer = group.offers.find(raw(lane.type));
  if (offer == group.offers.end() || !group.offered[offer->second].contract.takes(lane.contract))
    return;
  for (std::uint32_t i = 0; i < group.queues.size(); ++i) {
    if (group.queues[i].queue != lane.queue) continue;
    group.queues[i].lanes.push_back(lane_ix);
    lane.servers.push_back({group_ix, i});
    if (lane.ready > 0) wake(lane);
    return;
  }
}

void Lanes::heat(GroupIx ix) {
  Group& group = groups_[raw(ix)];
  if (group.hot) return;
  group.hot = true;
  hot_.push_back(ix);
}

void Lanes::wake(Lane& lane) {
  for (const Lane::Server& server : lane.servers) {
    Group& group = groups_[raw(server.group)];
    Group::Served& served = group.queues[server.queue];
    if (!served.in_ring) {
      served.in_ring = true;
      group.ring.push_back(server.queue);
    }
    if (group.with_room > 0) heat(server.group);
  }
}

void Lanes::note_linked(Job& job, Lane& lane) {
  job.linked = true;
  lane.mask = static_cast<std::uint16_t>(lane.mask | (1U << job.priority));
  if (lane.ready++ == 0) wake(lane);
}

void Lanes::push_back(JobIx ix) {
  Job& job = jobs_[ix];
  assert(!job.linked);
  Lane& lane = lanes_[raw(job.lane)];
  Lane::List& list = lane.lists[job.priority];
  job.previous = list.tail;
  job.next = kNoJob;
  (list.tail == kNoJob ? list.head : jobs_[list.tail].next) = ix;
  list.tail = ix;
  note_linked(job, lane);
}

void Lanes::push_front(JobIx ix) {
  Job& job = jobs_[ix];
  assert(!job.linked);
  Lane& lane = lanes_[raw(job.lane)];
  Lane::List& list = lane.lists[job.priority];
  job.next = list.head;
  job.previous = kNoJob;
  (list.head == kNoJob ? list.tail : jobs_[list.head].previous) = ix;
  list.head = ix;
  note_linked(job, lane);
}

void Lanes::unlink(JobIx ix) {
  Job& job = jobs_[ix];
  assert(job.linked);
  Lane& lane = lanes_[raw(job.lane)];
  Lane::List& list = lane.lists[job.priority];
  (job.previous == kNoJob ? list.head : jobs_[job.previous].next) = job.next;
  (job.next == kNoJob ? list.tail : jobs_[job.next].previous) = job.previous;
  job.next = job.previous = kNoJob;
  job.linked = false;
  if (list.head == kNoJob)
    lane.mask = static_cast<std::uint16_t>(lane.mask & ~(1U << job.priority));
  --lane.ready;
}

JobIx Lanes::front(LaneIx ix) const {
  const Lane& lane = lanes_[raw(ix)];
  assert(lane.mask != 0);
  return lane.lists[static_cast<std::size_t>(std::bit_width(lane.mask)) - 1].head;
}

void Lanes::unblock(LaneIx ix) {
  Lane& lane = lanes_[raw(ix)];
  lane.fetching = false;
  if (lane.ready > 0) wake(lane);
}

void Lanes::resume(QueueIx ix) {
  for (const LaneIx lane : queues_[raw(ix)].lanes) {
    if (lanes_[raw(lane)].ready > 0) wake(lanes_[raw(lane)]);
  }
}

void Lanes::set_room(WorkerIx ix, Room room) {
  Worker& worker = fleet_[ix];
  if (worker.room == room) return;
  Group& group = groups_[raw(worker.group)];
  if (worker.room != Room::kNone) {
    Group::List& list = worker.room == Room::kIdle ? group.idle : group.ahead;
    (worker.room_previous == kNoWorker ? list.head : fleet_[worker.room_previous].room_next) =
        worker.room_next;
    (worker.room_next == kNoWorker ? list.tail : fleet_[worker.room_next].room_previous) =
        worker.room_previous;
    worker.room_next = worker.room_previous = kNoWorker;
    --list.size;
    --group.with_room;
  }
  worker.room = room;
  if (room != Room::kNone) {
    Group::List& list = room == Room::kIdle ? group.idle : group.ahead;
    worker.room_previous = list.tail;
    (list.tail == kNoWorker ? list.head : fleet_[list.tail].room_next) = ix;
    list.tail = ix;
    ++list.size;
    ++group.with_room;
    if (!group.ring.empty()) heat(worker.group);
  }
}

}  // namespace jobwire::core
