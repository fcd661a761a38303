// SPDX-License-Identifier: Apache-2.0
#include "core/ids.h"

#include <gtest/gtest.h>

#include <set>
#include <unordered_set>

namespace jobwire::core {
namespace {

JobId counting() {
  JobId id;
  for (std::size_t i = 0; i < 16; ++i) id.bytes[i] = static_cast<std::uint8_t>(i * 17);
  return id;
}

TEST(IdsTest, TextIsAUuid) {
  EXPECT_EQ(to_string(counting()), "00112233-4455-6677-8899-aabbccddeeff");
}

TEST(IdsTest, TextIsReadBack) {
  JobId id;
  ASSERT_TRUE(parse_job_id(to_string(counting()), id));
  EXPECT_EQ(id, counting());
  JobId upper;
  ASSERT_TRUE(parse_job_id("00112233-4455-6677-8899-AABBCCDDEEFF", upper));
  EXPECT_EQ(upper, counting());
}

TEST(IdsTest, BadTextIsRefusedAndChangesNothing) {
  for (const char* text :
       {"", "00112233445566778899aabbccddeeff", "00112233-4455-6677-8899-aabbccddeef",
        "00112233-4455-6677-8899-aabbccddeeff0", "0011223-34455-6677-8899-aabbccddeeff",
        "00112233-4455-6677-8899-aabbccddeefg", "00112233-4455-6677-8899-aabbccdd-eff",
        "{0112233-4455-6677-8899-aabbccddeef}"}) {
    JobId id = counting();
    EXPECT_FALSE(parse_job_id(text, id)) << text;
    EXPECT_EQ(id, counting()) << text;
  }
}

TEST(IdsTest, HexIsReadBackAndBadHexChangesNothing) {
  std::array<std::uint8_t, 16> bytes{};
  ASSERT_TRUE(parse_hex(to_hex(counting().bytes), bytes));
  EXPECT_EQ(bytes, counting().bytes);
  EXPECT_FALSE(parse_hex("00", bytes));
  EXPECT_FALSE(parse_hex("zz112233445566778899aabbccddeeff", bytes));
  EXPECT_EQ(bytes, counting().bytes);
}

TEST(IdsTest, ZeroIsNoId) {
  EXPECT_TRUE(JobId{}.is_zero());
  EXPECT_FALSE(counting().is_zero());
}

TEST(IdsTest, OrderIsThatOfTheBytes) {
  JobId low = counting();
  JobId high = counting();
  high.bytes[0] = 0xff;
  EXPECT_LT(low, high);
  low.bytes[15] = 0xfe;
  EXPECT_LT(low, counting());
}

TEST(IdsTest, BytesAreTakenAsTheyLie) {
  const JobId source = counting();
  std::uint8_t shifted[17];
  std::copy(source.bytes.begin(), source.bytes.end(), shifted + 1);
  EXPECT_EQ(JobId::from_bytes(shifted + 1), source);
}

TEST(IdsTest, HashSpreadsIdsThatDifferInOneByte) {
  std::unordered_set<std::size_t> low_bits;
  for (std::size_t at : {5U, 15U}) {
    for (int value = 0; value < 256; ++value) {
      JobId id = counting();
      id.bytes[at] = static_cast<std::uint8_t>(value);
      low_bits.insert(Id16Hash<JobIdTag>{}(id)&0xffff);
    }
  }
  EXPECT_GT(low_bits.size(), 490U);
}

}  // namespace
}  // namespace jobwire::core
