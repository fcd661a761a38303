// SPDX-License-Identifier: Apache-2.0
#include "adapters/memory/memory_store.h"

#include "store_contract.h"

namespace jobwire::testing {
namespace {

using memory::MemoryStore;

/// The faults of a shelf are those of the store that was made last.
struct MemoryRig {
  std::shared_ptr<memory::Shelf> shelf = std::make_shared<memory::Shelf>();
  MemoryStore* store = nullptr;
  std::uint64_t marked = 0;

  std::unique_ptr<ports::Store> broker() {
    auto made = std::make_unique<MemoryStore>(shelf);
    store = made.get();
    return made;
  }
  std::unique_ptr<ports::Store> forgetful() {
    auto made = broker();
    store->set_repair_reach(0);
    return made;
  }
  void lose_next_reply() { store->go_away(MemoryStore::Away::kAfterEffect); }
  void lose_next_request() { store->go_away(MemoryStore::Away::kBeforeEffect); }
  void come_back() { store->come_back(); }
  void crowd() { shelf->set_room(memory::Shelf::Room::kScarce); }
  void fill() { shelf->set_room(memory::Shelf::Room::kFull); }
  void make_room() { shelf->set_room(memory::Shelf::Room::kAmple); }
  void mark() { marked = shelf->sequence(); }
  void go_back() { store->lose(static_cast<std::size_t>(shelf->sequence() - marked)); }
  void empty() { shelf->wipe(); }
};

INSTANTIATE_TYPED_TEST_SUITE_P(Memory, StoreContract, MemoryRig);

TEST(MemoryStore, TheSameCallsGiveTheSameShelf) {
  const auto run = [] {
    Driver driver(std::make_unique<MemoryStore>());
    driver.open();
    core::Batch first = batch(1);
    for (const unsigned number : {3U, 1U, 2U}) first.jobs.push_back(queued(number));
    driver.commit(first);
    return driver.everything();
  };
  EXPECT_EQ(run(), run());
}

TEST(MemoryStore, AnAnswerTakesAsLongAsItWasTold) {
  MemoryStore store;
  store.set_latency(core::Micros(500));
  ASSERT_TRUE(static_cast<bool>(store.open()));
  std::vector<ports::StoreEvent> events;
  store.poll(core::Steady(core::Micros(1'000)), events);
  store.commit(batch(1));
  EXPECT_EQ(store.deadline(), core::Steady(core::Micros(1'500)));
  store.poll(core::Steady(core::Micros(1'499)), events);
  EXPECT_TRUE(events.empty());
  store.poll(core::Steady(core::Micros(1'500)), events);
  EXPECT_EQ(events.size(), 1U);
  EXPECT_EQ(store.deadline(), std::nullopt);
}

}  // namespace
}  // namespace jobwire::testing
