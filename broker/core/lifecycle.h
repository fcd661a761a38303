// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace jobwire::core {

/// A job's place in its life. The numbers are the protocol's and are stored.
enum class State : std::uint8_t {
  kNone = 0,       // not yet a job
  kScheduled = 1,  // waits for its time: a delay, or the backoff after a failed attempt
  kQueued = 2,     // waits for a worker
  kRunning = 3,    // leased to a worker
  kSucceeded = 4,  // final
  kDead = 5,       // final until replayed
  kExpired = 6,    // final: its latest start passed
  kCancelled = 7,  // final
};
inline constexpr std::size_t kStates = 8;

/// What moves a job.
enum class Move : std::uint8_t {
  kSubmit,
  kSubmitDelayed,
  kDue,
  kLease,
  kAdopt,
  kSucceed,
  kRetry,
  kHandBack,
  kBury,
  kCancel,
  kCancelConfirmed,
  kExpire,
  kReplay,
  kImport,
};
inline constexpr std::size_t kMoves = 14;

//                   +------- due ---------+
//    submit(delay)  |                     v            lease            result ok
//   ---------> scheduled               queued ----------------> running ---------> SUCCEEDED
//    submit    ^   ^                    ^ ^ |                    | | | |
//   -----------|---|--------------------+ | |  expires_at passed | | | +-- reject, attempts used
//   up,
//              |   |    handed back,        | +--> EXPIRED       | | |     crashes used up --> DEAD
//              --replay--> queued |   |    no attempt charged  +--------------------+ | | |   +----
//              retry after backoff (error, timeout, crash)-+ +-- cancel confirmed --> CANCELLED
//
// Adoption: a worker that outlived its broker goes on with a job that the store still shows as
// waiting, because the running mark is written late.

struct Transition {
  State from;
  Move move;
  State to;
};

/// The only moves there are. Everything else is refused: next_state() says so, and the caller must
/// ask.
inline constexpr std::array kTransitions = {
    Transition{State::kNone, Move::kSubmit, State::kQueued},
    Transition{State::kNone, Move::kSubmitDelayed, State::kScheduled},
    Transition{State::kScheduled, Move::kDue, State::kQueued},
    Transition{State::kScheduled, Move::kCancel, State::kCancelled},
    Transition{State::kScheduled, Move::kExpire, State::kExpired},
    Transition{State::kScheduled, Move::kAdopt, State::kRunning},
    Transition{State::kQueued, Move::kLease, State::kRunning},
    Transition{State::kQueued, Move::kAdopt, State::kRunning},
    Transition{State::kQueued, Move::kExpire, State::kExpired},
    Transition{State::kQueued, Move::kCancel, State::kCancelled},
    Transition{State::kRunning, Move::kSucceed, State::kSucceeded},
    Transition{State::kRunning, Move::kRetry, State::kScheduled},
    Transition{State::kRunning, Move::kHandBack, State::kQueued},
    Transition{State::kRunning, Move::kBury, State::kDead},
    Transition{State::kRunning, Move::kCancelConfirmed, State::kCancelled},
    Transition{State::kDead, Move::kReplay, State::kQueued},
    Transition{State::kNone, Move::kImport, State::kDead},
};

constexpr bool is_final(State state) {
  return state == State::kSucceeded || state == State::kDead || state == State::kExpired ||
         state == State::kCancelled;
}

/// Where `move` takes a job that is in `from`; nothing when the table does not have it. O(1).
std::optional<State> next_state(State from, Move move);

std::string_view name_of(State state);
std::string_view name_of(Move move);

}  // namespace jobwire::core
