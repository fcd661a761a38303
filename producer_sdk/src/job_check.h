// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>

#include "jobwire/error.h"
#include "jobwire/job.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// What is wrong with a job, before anything is sent: the ranges of PROTOCOL.md, "Submit and
/// Receipts". Nothing when it is fine. The broker checks again; this spares the round trip.
std::optional<Error> find_fault(const Job& job, std::size_t max_payload_bytes);

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
