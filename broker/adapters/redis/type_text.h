// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "ports/store.h"

namespace jobwire::redis {

/// One type's entry in the hash of types, one line each, for people and programs:
///
///     timeout_ms 30000
///     retry attempts=4 …      as in the options of a job
///     fatal ValueError
///
/// Lines that are not set are not there; empty when nothing is.
std::string type_text(const core::TypeWrite& type);

/// Reads it. False when a line is not one of these.
bool read_type(std::string_view text, ports::RecoveredType& type);

}  // namespace jobwire::redis
