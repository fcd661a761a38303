// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "../golden/rules.h"

namespace jobwire::golden {
namespace {

TEST(RulesGoldenTest, TheWrittenRulesAreTheCores) {
  const std::string path = std::string(JOBWIRE_SOURCE_DIR) + "/schemas/golden/rules.json";
  std::ifstream file(path);
  ASSERT_TRUE(file) << path;
  std::stringstream written;
  written << file.rdbuf();
  EXPECT_TRUE(written.str() == rules())
      << "the rules have changed: write them anew with make_rules " << path
      << ", and follow in workers_py/src/jobwire/_rules.py";
}

}  // namespace
}  // namespace jobwire::golden
