// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "core/code.h"
#include "core/config.h"
#include "core/event.h"

namespace jobwire::core {

/// Why a job cannot be taken, whatever the state of the broker. Texts are literals.
struct Objection {
  Code code = Code::kNone;
  const char* field = "";
  const char* message = "";
};

/// Queue and type names: [A-Za-z0-9][A-Za-z0-9_./-]*, at most 128 bytes.
bool is_name(std::string_view text);

/// Judges what one submitted job says: names, ranges, times. Nothing when it is fine. Pure.
std::optional<Objection> examine(const Submission& job, Wall now);

/// Judges the ranges of a retry policy. Nothing when it is fine. Pure.
std::optional<Objection> examine(const RetryPolicy& retry);

/// ... and of what a worker says holds for the jobs of a type.
std::optional<Objection> examine(const TypeOffer& offer);

/// The policy that a job asks for, with the broker's defaults where it says nothing.
RetryPolicy with_defaults(const RetryPolicy& asked, const RetryPolicy& defaults);

}  // namespace jobwire::core
