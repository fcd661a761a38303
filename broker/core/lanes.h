// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/contract.h"
#include "core/fleet.h"
#include "core/job_table.h"
#include "core/names.h"
#include "core/queue_settings.h"
#include "core/record.h"

namespace jobwire::core {

enum class TypeIx : std::uint32_t {};

/// The jobs of one type and contract in one queue that may run now: a list for each priority,
/// oldest first.
struct Lane {
  QueueIx queue{};
  TypeIx type{};
  std::uint64_t contract = 0;
  struct List {
    JobIx head = kNoJob;
    JobIx tail = kNoJob;
  };
  std::array<List, 10> lists;
  std::uint16_t mask = 0;  // bit p: list p is not empty
  std::uint32_t ready = 0;
  bool fetching = false;  // its first job's payload is being read
  struct Server {
    GroupIx group;
    std::uint32_t queue;  // position in the group's queues
  };
  std::vector<Server> servers;
};

struct Queue {
  std::vector<LaneIx> lanes;
  std::uint64_t jobs = 0;  // not ended
  std::array<std::uint64_t, kStates> in_state{};
  std::uint64_t bytes = 0;  // their payloads
  QueueSettings settings;
  /// Counts purges: what came after one began has its number. Eight bits: a job that outlives 256
  /// purges of its queue escapes one more.
  std::uint8_t purge_round = 0;
  bool purging = false;
  QueueDelta delta;
  bool changed = false;  // delta waits for the next batch
};

struct JobType {
  /// Measured run time of one job with the worker's own cost, exponentially weighted; 0 until the
  /// first result.
  double run_us = 0;
  /// Contracts that its jobs came with; the caller bounds their number.
  std::vector<std::uint64_t> contracts;
  /// What its workers say holds for jobs that say nothing themselves; 0 and absent: the broker's.
  std::uint32_t timeout_ms = 0;
  std::shared_ptr<const RetryPolicy> retry;
};

/// What a worker offers: a type, and which of its jobs.
struct Offer {
  TypeIx type{};
  Contract contract;
  friend auto operator<=>(const Offer&, const Offer&) = default;
};

/// Workers that serve the same queues, types and contracts: they share one ring of queues with
/// work.
struct Group {
  struct Served {
    QueueIx queue{};
    std::vector<LaneIx> lanes;
    bool in_ring = false;
  };
  std::vector<Served> queues;
  std::deque<std::uint32_t> ring;
  std::uint32_t quantum_left = 0;  // chunks that the front queue may still take
  std::vector<Offer> offered;      // as in Ready.types
  std::unordered_map<std::uint32_t, std::uint16_t> offers;  // type -> position in Ready.types
  std::uint32_t members = 0;
  std::uint32_t with_room = 0;  // members in one of the two lists
  struct List {
    WorkerIx head = kNoWorker;
    WorkerIx tail = kNoWorker;
    std::uint32_t size = 0;
  };
  List idle;
  List ahead;
  bool hot = false;  // is in the engine's list of groups to look at
};

/// Queues, types, lanes and groups: which job is next for which workers. It knows nothing of leases
/// or of the store. All steps per job are O(1), but for the lanes of one queue, which are as many
/// as its types.
class Lanes {
 public:
  static constexpr std::size_t kEmptyGroups = 100;

  Lanes(JobTable& jobs, Fleet& fleet) : jobs_(jobs), fleet_(fleet) {}

  NameTable& queue_names() { return queue_names_; }
  NameTable& type_names() { return type_names_; }
  QueueIx queue(std::string_view name);  // made when it is new
  TypeIx type(std::string_view name);    // made when it is new
  /// Made when it is new. A lane is served by those groups alone whose workers take its contract,
  /// so that no job ever reaches a worker that does not.
  LaneIx lane(QueueIx queue, TypeIx type, std::uint64_t contract);

  Queue& operator[](QueueIx ix) { return queues_[raw(ix)]; }
  JobType& operator[](TypeIx ix) { return types_[raw(ix)]; }
  Lane& operator[](LaneIx ix) { return lanes_[raw(ix)]; }
  Group& operator[](GroupIx ix) { return groups_[raw(ix)]; }
  std::uint32_t queues() const { return static_cast<std::uint32_t>(queues_.size()); }
  std::size_t living_groups() const { return group_of_.size(); }
  std::uint32_t groups() const { return static_cast<std::uint32_t>(groups_.size()); }
  std::string_view name(QueueIx ix) const { return queue_names_[raw(ix)]; }
  std::string_view name(TypeIx ix) const { return type_names_[raw(ix)]; }
  QueueIx queue_of(const Job& job) { return lanes_[raw(job.lane)].queue; }
  TypeIx type_of(const Job& job) { return lanes_[raw(job.lane)].type; }

  /// The group of workers with exactly these queues and offers, in this order.
  GroupIx group(const std::vector<QueueIx>& queues, const std::vector<Offer>& offers);
  /// The worker leaves its group for this one. Requires: it is in no list.
  void join(WorkerIx worker, GroupIx group);
  /// The worker is in no group any more. Requires: as above. Of groups without members the last
  /// kEmptyGroups are kept: what was here, for people, and a worker that comes back finds its own.
  void leave(WorkerIx worker);

  void push_back(JobIx job);
  void push_front(JobIx job);
  /// Takes a job out of its lane. Requires: it is linked.
  void unlink(JobIx job);
  /// The lane's next job. Requires: the lane is not empty.
  JobIx front(LaneIx lane) const;

  /// A lane may be served again: its payloads are here.
  void unblock(LaneIx lane);
  /// A queue may be served again: it is no longer paused.
  void resume(QueueIx queue);

  /// Puts a worker into the list of its group that fits its room.
  void set_room(WorkerIx worker, Room room);

  /// Groups that may have both work and workers; emptied by the caller.
  std::vector<GroupIx>& hot() { return hot_; }
  void heat(GroupIx group);

 private:
  void wake(Lane& lane);
  void note_linked(Job& job, Lane& lane);
  void attach(LaneIx lane, GroupIx group);
  void end(GroupIx group);

  JobTable& jobs_;
  Fleet& fleet_;
  NameTable queue_names_;
  NameTable type_names_;
  std::deque<Queue> queues_;
  std::deque<JobType> types_;
  std::deque<Lane> lanes_;
  struct LaneKey {
    QueueIx queue;
    TypeIx type;
    std::uint64_t contract;
    friend bool operator==(const LaneKey&, const LaneKey&) = default;
  };
  struct LaneKeyHash {
    std::size_t operator()(const LaneKey& key) const noexcept {
      const std::uint64_t names =
          (static_cast<std::uint64_t>(raw(key.queue)) << 32) | raw(key.type);
      return names ^ (key.contract * 0x9e3779b97f4a7c15ULL);
    }
  };
  std::unordered_map<LaneKey, LaneIx, LaneKeyHash> lane_of_;
  std::deque<Group> groups_;
  std::deque<GroupIx> empty_groups_;  // in the order in which they became so
  std::vector<GroupIx> free_groups_;
  std::map<std::pair<std::vector<QueueIx>, std::vector<Offer>>, GroupIx> group_of_;
  std::vector<GroupIx> hot_;
};

}  // namespace jobwire::core
