// SPDX-License-Identifier: Apache-2.0
#include "core/fleet.h"

#include "engine_driver.h"

namespace jobwire::core {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class FleetTest : public ::testing::Test {
 protected:
  Fleet fleet;

  LeaseIx lease(WorkerIx worker, std::uint32_t job, std::uint32_t estimate = 10) {
    return fleet.add_lease(JobIx{job}, worker, token_of(static_cast<std::uint8_t>(job)), estimate,
                           Steady{});
  }
  /// Its jobs, oldest first; checked backwards too.
  std::vector<std::uint32_t> held(WorkerIx worker) {
    std::vector<std::uint32_t> forwards;
    for (LeaseIx ix = fleet[worker].oldest; ix != kNoLease; ix = fleet[ix].next) {
      EXPECT_EQ(fleet[ix].worker, worker);
      forwards.push_back(raw(fleet[ix].job));
    }
    std::vector<std::uint32_t> backwards;
    for (LeaseIx ix = fleet[worker].youngest; ix != kNoLease; ix = fleet[ix].previous) {
      backwards.insert(backwards.begin(), raw(fleet[ix].job));
    }
    EXPECT_EQ(forwards, backwards);
    EXPECT_EQ(fleet[worker].leases, forwards.size());
    return forwards;
  }
};

TEST_F(FleetTest, WorkerIsFoundByHostAndNumber) {
  const WorkerIx a = fleet.add_worker(host_id(1), WorkerNumber{1});
  const WorkerIx b = fleet.add_worker(host_id(1), WorkerNumber{2});
  const WorkerIx c = fleet.add_worker(host_id(2), WorkerNumber{1});
  EXPECT_EQ(fleet.find(host_id(1), WorkerNumber{1}), a);
  EXPECT_EQ(fleet.find(host_id(1), WorkerNumber{2}), b);
  EXPECT_EQ(fleet.find(host_id(2), WorkerNumber{1}), c);
  EXPECT_EQ(fleet.find(host_id(2), WorkerNumber{2}), kNoWorker);
  EXPECT_EQ(fleet.workers(), 3U);
}

TEST_F(FleetTest, RemovedWorkersSlotIsFreshForTheNext) {
  const WorkerIx a = fleet.add_worker(host_id(1), WorkerNumber{1});
  fleet[a].slots = 4;
  fleet[a].label = "box/1";
  fleet.remove_worker(a);
  EXPECT_FALSE(fleet[a].alive);
  EXPECT_EQ(fleet.find(host_id(1), WorkerNumber{1}), kNoWorker);
  const WorkerIx b = fleet.add_worker(host_id(2), WorkerNumber{9});
  EXPECT_EQ(a, b);
  EXPECT_TRUE(fleet[b].alive);
  EXPECT_EQ(fleet[b].slots, 0U);
  EXPECT_EQ(fleet[b].label, "");
  EXPECT_EQ(fleet.worker_slots(), 1U);
}

TEST_F(FleetTest, LeasesAreKeptInTheOrderOfTheirGrant) {
  const WorkerIx w = fleet.add_worker(host_id(1), WorkerNumber{1});
  EXPECT_THAT(held(w), IsEmpty());
  lease(w, 1, 10);
  const LeaseIx second = lease(w, 2, 20);
  const LeaseIx third = lease(w, 3, 30);
  EXPECT_THAT(held(w), ElementsAre(1, 2, 3));
  EXPECT_EQ(fleet[w].load_us, 60U);
  EXPECT_EQ(fleet.leases(), 3U);
  fleet.remove_lease(second);
  EXPECT_THAT(held(w), ElementsAre(1, 3));
  EXPECT_EQ(fleet[w].load_us, 40U);
  fleet.remove_lease(third);
  EXPECT_THAT(held(w), ElementsAre(1));
  fleet.remove_lease(fleet[w].oldest);
  EXPECT_THAT(held(w), IsEmpty());
  EXPECT_EQ(fleet[w].load_us, 0U);
  EXPECT_EQ(fleet.leases(), 0U);
}

TEST_F(FleetTest, RemovedLeasesSlotIsUsedAgain) {
  const WorkerIx w = fleet.add_worker(host_id(1), WorkerNumber{1});
  const LeaseIx first = lease(w, 1);
  fleet[first].started = Steady(Micros(5));
  fleet.remove_lease(first);
  const LeaseIx second = lease(w, 2);
  EXPECT_EQ(first, second);
  EXPECT_EQ(fleet[second].started, Steady{});
  EXPECT_EQ(fleet[second].token, token_of(2));
}

TEST_F(FleetTest, MovedLeaseIsTheYoungestAtItsNewWorker) {
  const WorkerIx a = fleet.add_worker(host_id(1), WorkerNumber{1});
  const WorkerIx b = fleet.add_worker(host_id(1), WorkerNumber{2});
  lease(a, 1, 10);
  const LeaseIx moving = lease(a, 2, 20);
  lease(b, 3, 30);
  fleet.move_lease(moving, b);
  EXPECT_THAT(held(a), ElementsAre(1));
  EXPECT_THAT(held(b), ElementsAre(3, 2));
  EXPECT_EQ(fleet[a].load_us, 10U);
  EXPECT_EQ(fleet[b].load_us, 50U);
  EXPECT_EQ(fleet.leases(), 3U);
}

TEST_F(FleetTest, SequenceCountsWhatIsSettledAndWhatIsNot) {
  Worker worker;
  EXPECT_EQ(worker.last_sequence(), 0U);
  worker.settled = 4;
  worker.unsettled = {1, 2};
  EXPECT_EQ(worker.last_sequence(), 6U);
}

}  // namespace
}  // namespace jobwire::core
