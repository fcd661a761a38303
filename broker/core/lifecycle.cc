// SPDX-License-Identifier: Apache-2.0
#include "core/lifecycle.h"

namespace jobwire::core {
namespace {

using Row = std::array<State, kMoves>;

constexpr std::array<Row, kStates> build_index() {
  std::array<Row, kStates> index{};
  for (const Transition& t : kTransitions) {
    index[static_cast<std::size_t>(t.from)][static_cast<std::size_t>(t.move)] = t.to;
  }
  return index;
}
constexpr auto kIndex = build_index();

constexpr bool no_pair_twice() {
  for (std::size_t i = 0; i < kTransitions.size(); ++i) {
    for (std::size_t j = i + 1; j < kTransitions.size(); ++j) {
      if (kTransitions[i].from == kTransitions[j].from &&
          kTransitions[i].move == kTransitions[j].move)
        return false;
    }
  }
  return true;
}
static_assert(no_pair_twice(), "a state and a move lead to one state");

constexpr bool every_state_is_reached_and_every_move_is_used() {
  for (std::size_t s = 1; s < kStates; ++s) {
    bool reached = false;
    for (const Transition& t : kTransitions) reached = reached || t.to == static_cast<State>(s);
    if (!reached) return false;
  }
  for (std::size_t m = 0; m < kMoves; ++m) {
    bool used = false;
    for (const Transition& t : kTransitions) used = used || t.move == static_cast<Move>(m);
    if (!used) return false;
  }
  return true;
}
static_assert(every_state_is_reached_and_every_move_is_used());

constexpr bool only_replay_leaves_a_final_state() {
  for (const Transition& t : kTransitions) {
    if (is_final(t.from) && !(t.from == State::kDead && t.move == Move::kReplay)) return false;
  }
  return true;
}
static_assert(only_replay_leaves_a_final_state());

}  // namespace

std::optional<State> next_state(State from, Move move) {
  const State to = kIndex[static_cast<std::size_t>(from)][static_cast<std::size_t>(move)];
  if (to == State::kNone) return std::nullopt;
  return to;
}

std::string_view name_of(State state) {
  switch (state) {
    case State::kNone:
      return "none";
    case State::kScheduled:
      return "scheduled";
    case State::kQueued:
      return "queued";
    case State::kRunning:
      return "running";
    case State::kSucceeded:
      return "succeeded";
    case State::kDead:
      return "dead";
    case State::kExpired:
      return "expired";
    case State::kCancelled:
      return "cancelled";
  }
  return "?";
}

std::string_view name_of(Move move) {
  switch (move) {
    case Move::kSubmit:
      return "submit";
    case Move::kSubmitDelayed:
      return "submit-delayed";
    case Move::kDue:
      return "due";
    case Move::kLease:
      return "lease";
    case Move::kAdopt:
      return "adopt";
    case Move::kSucceed:
      return "succeed";
    case Move::kRetry:
      return "retry";
    case Move::kHandBack:
      return "hand-back";
    case Move::kBury:
      return "bury";
    case Move::kCancel:
      return "cancel";
    case Move::kCancelConfirmed:
      return "cancel-confirmed";
    case Move::kExpire:
      return "expire";
    case Move::kReplay:
      return "replay";
    case Move::kImport:
      return "import";
  }
  return "?";
}

}  // namespace jobwire::core
