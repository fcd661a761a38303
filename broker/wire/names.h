// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "core/code.h"
#include "core/event.h"
#include "jobwire/wire/message_generated.h"

/// Names for logs and for texts that people read, as PROTOCOL.md writes them. A number outside the
/// table is "?".
namespace jobwire::wire {

std::string_view name_of(core::Code code);
std::string_view name_of(core::Role role);
std::string_view name_of(core::Outcome outcome);
std::string_view name_of(core::Durability durability);
/// "Submit", "Dispatch"; "NONE" for a message whose kind could not be read.
std::string_view name_of(Body kind);

}  // namespace jobwire::wire
