// SPDX-License-Identifier: Apache-2.0
#include "core/lifecycle.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "core/config.h"

namespace jobwire::core {
namespace {

using Row = std::vector<std::string>;

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(' ');
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

/// The cells of the first table under this heading of PROTOCOL.md, without its head.
std::vector<Row> table_under(const std::string& heading) {
  std::ifstream file(JOBWIRE_PROTOCOL_MD);
  std::vector<Row> rows;
  bool here = false;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("## ", 0) == 0) {
      if (here) break;
      here = line == "## " + heading;
      continue;
    }
    if (!here) continue;
    if (line.rfind('|', 0) != 0) {
      if (!rows.empty()) break;
      continue;
    }
    Row row;
    for (std::size_t at = 1; at < line.size();) {
      const std::size_t end = line.find('|', at);
      row.push_back(trimmed(line.substr(at, end - at)));
      at = end + 1;
    }
    rows.push_back(row);
  }
  if (rows.size() > 2) rows.erase(rows.begin(), rows.begin() + 2);
  return rows;
}

std::string capitalised(std::string_view text) {
  std::string name(text);
  name[0] = static_cast<char>(std::toupper(name[0]));
  return name;
}

using Line = std::tuple<std::string, std::string, std::string>;

TEST(LifecycleTest, ProtocolPrintsExactlyTheTransitions) {
  std::set<Line> printed;
  for (const Row& row : table_under("A job's life")) {
    ASSERT_EQ(row.size(), 3U);
    EXPECT_TRUE(printed.emplace(row[0], row[1], row[2]).second)
        << "twice: " << row[0] << " " << row[1];
  }
  std::set<Line> coded;
  for (const Transition& t : kTransitions) {
    coded.emplace(t.from == State::kNone ? "(new)" : capitalised(name_of(t.from)), name_of(t.move),
                  capitalised(name_of(t.to)));
  }
  EXPECT_EQ(printed, coded);
}

TEST(LifecycleTest, EveryPairGivesWhatTheTableSaysAndNothingElse) {
  std::size_t found = 0;
  for (std::size_t s = 0; s < kStates; ++s) {
    for (std::size_t m = 0; m < kMoves; ++m) {
      const auto from = static_cast<State>(s);
      const auto move = static_cast<Move>(m);
      const auto row =
          std::find_if(kTransitions.begin(), kTransitions.end(),
                       [&](const Transition& t) { return t.from == from && t.move == move; });
      const std::optional<State> to = next_state(from, move);
      if (row == kTransitions.end()) {
        EXPECT_EQ(to, std::nullopt) << name_of(from) << " " << name_of(move);
      } else {
        EXPECT_EQ(to, row->to) << name_of(from) << " " << name_of(move);
        ++found;
      }
    }
  }
  EXPECT_EQ(found, kTransitions.size());
}

TEST(LifecycleTest, OnlyReplayLeavesAFinalState) {
  for (std::size_t s = 0; s < kStates; ++s) {
    const auto state = static_cast<State>(s);
    if (!is_final(state)) continue;
    for (std::size_t m = 0; m < kMoves; ++m) {
      const auto to = next_state(state, static_cast<Move>(m));
      EXPECT_EQ(to.has_value(), state == State::kDead && static_cast<Move>(m) == Move::kReplay);
    }
  }
}

TEST(LifecycleTest, FourStatesAreFinal) {
  for (const State state : {State::kSucceeded, State::kDead, State::kExpired, State::kCancelled}) {
    EXPECT_TRUE(is_final(state)) << name_of(state);
  }
  for (const State state : {State::kNone, State::kScheduled, State::kQueued, State::kRunning}) {
    EXPECT_FALSE(is_final(state)) << name_of(state);
  }
}

TEST(LifecycleTest, NamesDiffer) {
  std::set<std::string_view> names;
  for (std::size_t s = 0; s < kStates; ++s) names.insert(name_of(static_cast<State>(s)));
  for (std::size_t m = 0; m < kMoves; ++m) names.insert(name_of(static_cast<Move>(m)));
  EXPECT_EQ(names.size(), kStates + kMoves);
  EXPECT_FALSE(names.contains("?"));
  EXPECT_EQ(name_of(static_cast<State>(200)), "?");
  EXPECT_EQ(name_of(static_cast<Move>(200)), "?");
}

TEST(EngineConfigTest, DefaultsAreTheOnesThatTheProtocolNames) {
  std::map<std::string, std::uint64_t> limits;
  for (const Row& row : table_under("Limits")) {
    ASSERT_GE(row.size(), 2U);
    limits[row[0]] = std::stoull(row[1]);
  }
  const EngineConfig config;
  const auto millis = [](Millis span) { return static_cast<std::uint64_t>(span.count()); };
  EXPECT_EQ(limits.at("window_jobs"), config.window_jobs);
  EXPECT_EQ(limits.at("window_bytes"), config.window_bytes);
  EXPECT_EQ(limits.at("session_timeout_ms"), millis(config.session_timeout));
  EXPECT_EQ(limits.at("heartbeat_ms"), millis(config.heartbeat));
}

TEST(EngineConfigTest, RetryDefaultsAreTheDesigns) {
  const RetryPolicy retry = EngineConfig{}.retry;
  EXPECT_EQ(retry.attempts, 4U);
  EXPECT_EQ(retry.timeouts, 4U);
  EXPECT_EQ(retry.crashes, 3U);
  EXPECT_EQ(retry.backoff, BackoffKind::kExponential);
  EXPECT_EQ(retry.base, Millis(1'000));
  EXPECT_EQ(retry.cap, Millis(600'000));
  EXPECT_EQ(retry.factor, 2.0F);
  EXPECT_TRUE(retry.jitter);
}

}  // namespace
}  // namespace jobwire::core
