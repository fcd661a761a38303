// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "jobwire/job.h"
#include "wire.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// The job that was written as this JobSpec, its payload copied out of `blob`. Nothing when the
/// payload is not in the blob. The inverse of Outbound::submit; times and spans as the spec has
/// them.
std::optional<Job> read_job(const wire::JobSpec& spec, std::span<const std::byte> blob);

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
