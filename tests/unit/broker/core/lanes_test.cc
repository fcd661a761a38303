// SPDX-License-Identifier: Apache-2.0
#include "core/lanes.h"

#include "core/random.h"
#include "engine_driver.h"

namespace jobwire::core {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class LanesTest : public ::testing::Test {
 protected:
  JobTable jobs;
  Fleet fleet;
  Lanes lanes{jobs, fleet};

  JobIx add(std::uint64_t n, LaneIx lane, std::uint8_t priority = 4) {
    const JobIx ix = jobs.insert(job_id(n));
    jobs[ix].lane = lane;
    jobs[ix].priority = priority;
    return ix;
  }
  LaneIx lane(std::string_view queue = "q", std::string_view type = "t") {
    return lanes.lane(lanes.queue(queue), lanes.type(type), 0);
  }
  GroupIx group(std::vector<std::string_view> queues, std::vector<std::string_view> types) {
    std::vector<QueueIx> q;
    std::vector<Offer> offers;
    for (const auto name : queues) q.push_back(lanes.queue(name));
    for (const auto name : types) offers.push_back({lanes.type(name), {}});
    return lanes.group(q, offers);
  }
  WorkerIx worker(GroupIx in) {
    const WorkerIx ix = fleet.add_worker(host_id(1), WorkerNumber{++workers_});
    lanes.join(ix, in);
    return ix;
  }
  /// Takes everything out, front by front.
  std::vector<JobId> drained(LaneIx ix) {
    std::vector<JobId> order;
    while (lanes[ix].ready > 0) {
      const JobIx front = lanes.front(ix);
      order.push_back(jobs[front].id);
      lanes.unlink(front);
    }
    return order;
  }

 private:
  std::uint64_t workers_ = 0;
};

TEST_F(LanesTest, NamesMakeQueuesTypesAndLanesOnce) {
  const LaneIx a = lane("q", "t");
  EXPECT_EQ(lane("q", "t"), a);
  EXPECT_NE(lane("q", "u"), a);
  EXPECT_NE(lane("r", "t"), a);
  EXPECT_EQ(lanes.queues(), 2U);
  EXPECT_EQ(lanes.name(lanes[a].queue), "q");
  EXPECT_EQ(lanes.name(lanes[a].type), "t");
  EXPECT_THAT(lanes[lanes.queue("q")].lanes, SizeIs(2));
  EXPECT_EQ(lanes[lanes.queue("q")].delta.queue, "q");
}

TEST_F(LanesTest, FrontIsTheOldestOfTheHighestPriority) {
  const LaneIx ix = lane();
  for (const auto& [n, priority] : {std::pair{1, 4}, {2, 0}, {3, 9}, {4, 4}, {5, 9}}) {
    lanes.push_back(add(static_cast<std::uint64_t>(n), ix, static_cast<std::uint8_t>(priority)));
  }
  EXPECT_EQ(lanes[ix].ready, 5U);
  EXPECT_THAT(drained(ix), ElementsAre(job_id(3), job_id(5), job_id(1), job_id(4), job_id(2)));
  EXPECT_EQ(lanes[ix].mask, 0U);
}

TEST_F(LanesTest, PushFrontGoesBeforeItsPriorityOnly) {
  const LaneIx ix = lane();
  lanes.push_back(add(1, ix, 9));
  lanes.push_back(add(2, ix, 4));
  lanes.push_front(add(3, ix, 4));
  lanes.push_front(add(4, ix, 0));
  EXPECT_THAT(drained(ix), ElementsAre(job_id(1), job_id(3), job_id(2), job_id(4)));
}

TEST_F(LanesTest, AnyJobCanBeTakenOut) {
  Random random(3);
  const LaneIx ix = lane();
  std::vector<JobIx> all;
  for (std::uint64_t n = 0; n < 200; ++n) {
    all.push_back(add(n, ix, static_cast<std::uint8_t>(random.next() % 10)));
    if (random.next() % 2 == 0) {
      lanes.push_back(all.back());
    } else {
      lanes.push_front(all.back());
    }
  }
  while (!all.empty()) {
    const std::size_t at = random.next() % all.size();
    lanes.unlink(all[at]);
    EXPECT_FALSE(jobs[all[at]].linked);
    all.erase(all.begin() + static_cast<std::ptrdiff_t>(at));
    ASSERT_EQ(lanes[ix].ready, all.size());
  }
  EXPECT_EQ(lanes[ix].mask, 0U);
}

TEST_F(LanesTest, SameQueuesAndTypesAreOneGroup) {
  const GroupIx a = group({"q", "r"}, {"t"});
  EXPECT_EQ(group({"q", "r"}, {"t"}), a);
  EXPECT_NE(group({"q", "r"}, {"t", "u"}), a);
  EXPECT_NE(group({"q"}, {"t"}), a);
  EXPECT_EQ(lanes.groups(), 3U);
}

TEST_F(LanesTest, ReadyLanePutsItsQueueIntoTheRingOnce) {
  const GroupIx g = group({"q", "r"}, {"t", "u"});
  const LaneIx a = lane("r", "t");
  const LaneIx b = lane("r", "u");
  lanes.push_back(add(1, a));
  lanes.push_back(add(2, a));
  lanes.push_back(add(3, b));
  EXPECT_THAT(lanes[g].ring, ElementsAre(1U));
  EXPECT_THAT(lanes[g].queues[1].lanes, ElementsAre(a, b));
}

TEST_F(LanesTest, LaneThatNoTypeOfTheGroupFitsIsNotServed) {
  const GroupIx g = group({"q"}, {"t"});
  lanes.push_back(add(1, lane("q", "u")));
  lanes.push_back(add(2, lane("r", "t")));
  EXPECT_THAT(lanes[g].ring, IsEmpty());
  EXPECT_THAT(lanes.hot(), IsEmpty());
}

TEST_F(LanesTest, GroupThatComesLaterFindsWhatIsReady) {
  lanes.push_back(add(1, lane("q", "t")));
  const GroupIx g = group({"q"}, {"t"});
  EXPECT_THAT(lanes[g].ring, ElementsAre(0U));
}

TEST_F(LanesTest, GroupIsHotOnceWhenItHasWorkAndRoom) {
  const GroupIx g = group({"q"}, {"t"});
  const LaneIx ix = lane();
  lanes.push_back(add(1, ix));
  EXPECT_THAT(lanes.hot(), IsEmpty()) << "no room";
  const WorkerIx w = worker(g);
  lanes.set_room(w, Room::kIdle);
  EXPECT_THAT(lanes.hot(), ElementsAre(g));
  lanes.set_room(w, Room::kAhead);
  EXPECT_THAT(lanes.hot(), SizeIs(1));
}

TEST_F(LanesTest, RoomListsAreInOrderAndCounted) {
  const GroupIx g = group({"q"}, {"t"});
  const WorkerIx a = worker(g);
  const WorkerIx b = worker(g);
  const WorkerIx c = worker(g);
  for (const WorkerIx ix : {a, b, c}) lanes.set_room(ix, Room::kIdle);
  EXPECT_EQ(lanes[g].idle.head, a);
  EXPECT_EQ(lanes[g].idle.tail, c);
  EXPECT_EQ(lanes[g].idle.size, 3U);
  lanes.set_room(b, Room::kAhead);
  EXPECT_EQ(lanes[g].idle.size, 2U);
  EXPECT_EQ(lanes[g].ahead.head, b);
  EXPECT_EQ(lanes[g].with_room, 3U);
  EXPECT_EQ(fleet[a].room_next, c);
  EXPECT_EQ(fleet[c].room_previous, a);
  for (const WorkerIx ix : {a, b, c}) lanes.set_room(ix, Room::kNone);
  EXPECT_EQ(lanes[g].with_room, 0U);
  EXPECT_EQ(lanes[g].idle.head, kNoWorker);
  EXPECT_EQ(lanes[g].ahead.tail, kNoWorker);
}

TEST_F(LanesTest, UnblockedLaneWakesItsGroups) {
  const GroupIx g = group({"q"}, {"t"});
  const LaneIx ix = lane();
  lanes.push_back(add(1, ix));
  lanes[ix].fetching = true;
  lanes[g].ring.clear();
  lanes[g].queues[0].in_ring = false;
  lanes.unblock(ix);
  EXPECT_FALSE(lanes[ix].fetching);
  EXPECT_THAT(lanes[g].ring, ElementsAre(0U));
}

}  // namespace
}  // namespace jobwire::core
