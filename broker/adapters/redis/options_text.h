// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "core/record.h"

namespace jobwire::redis {

/// The field `options` of a job's hash: what few jobs set, one line each, for people and programs:
///
///     dedup_key nightly
///     dedup_window_ms 60000
///     contract 1311768467463790320
///     result_ttl_ms 3600000
///     retry attempts=4 timeouts=4 crashes=3 backoff=listed base_ms=1000 cap_ms=600000 factor=2
///     jitter=1 listed_ms=1,5 fatal ValueError header trace=4bf92f35
///
/// In values and header names `\n` is a line break and a backslash keeps the next character as it
/// is; in header names that goes for `=` too. Lines that are not set are not there.
std::string options_text(const core::JobOptions& options);

/// Reads it. False when a line is not one of these; lines with an unknown name are skipped, so that
/// an older broker reads a newer one's jobs.
bool read_options(std::string_view text, core::JobOptions& options);

}  // namespace jobwire::redis
