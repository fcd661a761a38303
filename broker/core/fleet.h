// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/ids.h"
#include "core/job_table.h"
#include "core/time.h"

namespace jobwire::core {

enum class WorkerIx : std::uint32_t {};
enum class GroupIx : std::uint32_t {};
inline constexpr WorkerIx kNoWorker{0xffffffff};
inline constexpr GroupIx kNoGroup{0xffffffff};

/// One attempt's right to run.
struct Lease {
  LeaseToken token;
  JobIx job = kNoJob;
  WorkerIx worker = kNoWorker;
  LeaseIx next = kNoLease;  // younger, at the same worker; or in the free list
  LeaseIx previous = kNoLease;
  Steady granted{};
  Steady started{};  // when a beat first said that it runs; zero before
  std::uint32_t estimate_us = 0;
  std::uint32_t timeout_ms = 0;  // of this run, as its worker was told
  bool recalled = false;         // asked back unless it has started; once
};

/// Which of its group's lists a worker is in.
enum class Room : std::uint8_t {
  kNone,  // takes nothing now
  kIdle,  // has a free slot
  kAhead  // slots are taken, but what is waiting there is soon done
};

struct Worker {
  SessionId session{};
  HostId host;  // zero: it stands alone and beats for itself
  WorkerNumber number{};
  std::uint32_t pid = 0;
  std::string label;  // "host/number", for people and records
  GroupIx group = kNoGroup;
  std::uint16_t slots = 0;
  std::uint16_t credit = 0;
  bool alive = false;
  bool connected = false;  // its session is open; leases outlive a short break
  bool ready = false;      // has said what it holds, in this session
  Steady disconnected_at{};
  Steady declined_at{};  // handed jobs back without being asked: it gets none until Ready, or for a
                         // while; zero: it did not
  bool held_up = false;  // what runs there runs for longer than was thought: nothing is sent ahead
  Room room = Room::kNone;
  WorkerIx room_next = kNoWorker;
  WorkerIx room_previous = kNoWorker;
  LeaseIx oldest = kNoLease;
  LeaseIx youngest = kNoLease;
  std::uint32_t leases = 0;
  std::uint64_t load_us = 0;  // sum of the estimates of its leases

  /// Results messages that are not settled: how many of their jobs wait for a commit. The front has
  /// sequence settled + 1.
  std::deque<std::uint32_t> unsettled;
  std::uint64_t settled = 0;
  bool ack_pending = false;
  std::uint8_t missed_beats = 0;  // in a row, of its agent's that did not list it
  std::uint64_t last_sequence() const { return settled + unsettled.size(); }
};

struct Host {
  SessionId session{};
  std::string name;
  Steady last_beat{};
  Steady last_written{};
  bool alive = false;
  bool reported = false;  // has sent a beat to this broker
  std::vector<WorkerNumber> workers;
  std::unordered_set<std::uint64_t> busy;  // workers that ran something at the last beat
};

/// Hosts, their workers, and the leases that these hold. Bookkeeping only: what a loss means is the
/// engine's.
class Fleet {
 public:
  explicit Fleet(std::uint64_t hash_seed = 0)
      : by_number_(0, KeyHash{Id16Hash<HostIdTag>(hash_seed)}) {}

  Worker& operator[](WorkerIx ix) { return workers_[raw(ix)]; }
  Lease& operator[](LeaseIx ix) { return leases_[raw(ix)]; }

  /// The living worker of that host and number, or kNoWorker.
  WorkerIx find(const HostId& host, WorkerNumber number) const;
  WorkerIx add_worker(const HostId& host, WorkerNumber number);
  /// Requires: it has no leases and is in no list.
  void remove_worker(WorkerIx ix);
  std::uint32_t worker_slots() const { return static_cast<std::uint32_t>(workers_.size()); }
  std::size_t workers() const { return by_number_.size(); }

  LeaseIx add_lease(JobIx job, WorkerIx worker, const LeaseToken& token, std::uint32_t estimate_us,
                    Steady now);
  void remove_lease(LeaseIx ix);
  /// Moves a lease to another worker (the same process after a reconnect).
  void move_lease(LeaseIx ix, WorkerIx to);
  std::size_t leases() const { return lease_count_; }

  std::map<HostId, Host>& hosts() { return hosts_; }

 private:
  void link(LeaseIx ix, WorkerIx worker);
  void unlink(LeaseIx ix);

  struct Key {
    HostId host;
    WorkerNumber number;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    Id16Hash<HostIdTag> hash;
    std::size_t operator()(const Key& key) const noexcept {
      return hash(key.host) ^ (static_cast<std::uint64_t>(key.number) * 0x9e3779b97f4a7c15ULL);
    }
  };

  std::deque<Worker> workers_;
  std::vector<WorkerIx> free_workers_;
  std::unordered_map<Key, WorkerIx, KeyHash> by_number_;
  std::deque<Lease> leases_;
  LeaseIx free_leases_ = kNoLease;
  std::size_t lease_count_ = 0;
  std::map<HostId, Host> hosts_;
};

}  // namespace jobwire::core
