// SPDX-License-Identifier: Apache-2.0
#include "wire/kinds.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "wire/limits.h"
#include "wire/names.h"

namespace jobwire::wire {
namespace {

// The rows of the first table under `heading` in PROTOCOL.md, cells trimmed, without its head.
std::vector<std::vector<std::string>> rows_under(const std::string& heading) {
  std::ifstream file(JOBWIRE_SOURCE_DIR "/schemas/PROTOCOL.md");
  std::vector<std::vector<std::string>> rows;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("## ", 0) == 0) inside = line == "## " + heading;
    if (!rows.empty() && line.rfind('|', 0) != 0) break;
    if (!inside || line.rfind("| ", 0) != 0) continue;
    std::vector<std::string> cells;
    std::istringstream cells_of(line.substr(1));
    for (std::string cell; std::getline(cells_of, cell, '|');) {
      const auto first = cell.find_first_not_of(' ');
      if (first == std::string::npos) continue;
      cells.push_back(cell.substr(first, cell.find_last_not_of(' ') - first + 1));
    }
    rows.push_back(cells);
  }
  if (!rows.empty()) rows.erase(rows.begin());
  return rows;
}

TEST(KindRules, AreTheTableOfTheProtocol) {
  const std::map<std::string, int> roles = {
      {"any", kFromAny},           {"broker", kFromBroker},
      {"producer", kFromProducer}, {"producer, operator", kFromClient},
      {"operator", kFromOperator}, {"worker", kFromWorker},
      {"agent", kFromAgent}};
  const auto rows = rows_under("Messages");
  ASSERT_EQ(rows.size(), kKindRules.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const KindRule& rule = kKindRules[i];
    EXPECT_EQ(rows[i][0], name_of(rule.kind));
    int from = 0;
    std::istringstream senders(rows[i][1]);
    for (std::string sender; std::getline(senders >> std::ws, sender, ',');)
      from |= roles.at(sender);
    if (rows[i][1] == "any" && rows[i][2] == "any") from |= kFromBroker;  // Goodbye
    EXPECT_EQ(from, rule.from) << rows[i][0];
  }
}

TEST(KindRules, JudgeEveryKindForEveryRole) {
  for (std::size_t number = 0; number < 256; ++number) {
    const auto kind = static_cast<Body>(number);
    for (const core::Role role : {core::Role::kNone, core::Role::kProducer, core::Role::kWorker,
                                  core::Role::kAgent, core::Role::kOperator}) {
      core::Code expected = core::Code::kNone;
      if (number == 0 || number > kKindRules.size() ||
          (kKindRules[number - 1].from & kFromAny) == 0) {
        expected = core::Code::kUnknownKind;
      } else if (kind != Body::Hello && role == core::Role::kNone) {
        expected = core::Code::kHelloFirst;
      } else if (kind != Body::Hello && (kKindRules[number - 1].from & bit_of(role)) == 0) {
        expected = core::Code::kWrongRole;
      }
      EXPECT_EQ(judge(kind, role), expected) << number << " by " << name_of(role);
    }
  }
}

TEST(Limits, AreTheTableOfTheProtocol) {
  const ProtocolLimits limits;
  const std::map<std::string, std::uint64_t> ours = {
      {"max_payload_bytes", limits.max_payload_bytes},
      {"max_message_bytes", limits.max_message_bytes},
      {"max_jobs_per_message", limits.max_jobs_per_message},
      {"window_jobs", limits.window_jobs},
      {"window_bytes", limits.window_bytes},
      {"max_name_bytes", limits.max_name_bytes},
      {"max_error_bytes", limits.max_error_bytes},
      {"session_timeout_ms", limits.session_timeout_ms},
      {"heartbeat_ms", limits.heartbeat_ms},
      {"max_checkpoint_bytes", limits.max_checkpoint_bytes}};
  std::map<std::string, std::uint64_t> theirs;
  for (const auto& row : rows_under("Limits")) theirs[row[0]] = std::stoull(row[1]);
  EXPECT_EQ(ours, theirs);
}

}  // namespace
}  // namespace jobwire::wire
