// SPDX-License-Identifier: Apache-2.0
#include "id_table.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>

namespace jobwire::client_detail {
namespace {

// Ids that collide: eight homes for all of them.
JobId crowded_id(std::uint32_t number) {
  JobId::Bytes bytes{};
  bytes[0] = 1;
  std::memcpy(bytes.data() + 1, &number, sizeof number);
  bytes[15] = static_cast<std::uint8_t>(number % 8);
  return JobId(bytes);
}

TEST(IdTableTest, WhatIsInsertedIsFoundAndWhatIsErasedIsNot) {
  IdTable<std::unique_ptr<int>> table;
  const JobId id = JobId::make();
  EXPECT_EQ(table.find(id), nullptr);
  auto [value, inserted] = table.insert(id);
  EXPECT_TRUE(inserted);
  *value = std::make_unique<int>(7);
  EXPECT_FALSE(table.insert(id).second);
  EXPECT_EQ(**table.find(id), 7);
  EXPECT_TRUE(table.erase(id));
  EXPECT_FALSE(table.erase(id));
  EXPECT_EQ(table.find(id), nullptr);
  EXPECT_EQ(table.size(), 0U);
}

TEST(IdTableTest, BehavesAsAMapUnderRandomChangesWithCollidingIds) {
  constexpr unsigned kSeed = 20250101;
  std::mt19937 random(kSeed);
  IdTable<int> table;
  std::map<JobId, int> model;
  for (int step = 0; step < 200'000; ++step) {
    // Grows for a while, then shrinks, and again.
    const bool grow = (step / 20'000) % 2 == 0;
    const JobId id = crowded_id(static_cast<std::uint32_t>(random() % 600));
    if (random() % 10 < (grow ? 7U : 3U)) {
      *table.insert(id).first = step;
      model[id] = step;
    } else {
      EXPECT_EQ(table.erase(id), model.erase(id) == 1) << "step " << step;
    }
    ASSERT_EQ(table.size(), model.size()) << "step " << step;
  }
  std::map<JobId, int> content;
  table.for_each([&content](const JobId& id, int value) { content[id] = value; });
  EXPECT_EQ(content, model);
  for (const auto& [id, value] : model) EXPECT_EQ(*table.find(id), value);
}

}  // namespace
}  // namespace jobwire::client_detail
