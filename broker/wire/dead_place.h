// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "core/control.h"

namespace jobwire::wire {

/// A place in the walk over dead jobs: where a DeadPage ends and the next begins.
struct DeadPlace {
  std::string queue;
  core::IndexPlace place;
};

/// "images:1700000000000:0190a6f2-…"; opaque to peers.
std::string text_of(const DeadPlace& place);
/// Reads what text_of() wrote; an empty text is the beginning. False when it is neither.
bool read_dead_place(std::string_view text, DeadPlace& place);

}  // namespace jobwire::wire
