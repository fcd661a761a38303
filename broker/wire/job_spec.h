// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/effect.h"
#include "core/event.h"
#include "jobwire/wire/message_generated.h"
#include "wire/limits.h"
#include "wire/slices.h"

namespace jobwire::wire {

/// Reads a verified RetryPolicy. False, with code, field and message of `refusal`, when its form is
/// wrong. Zeros stay zeros.
bool read_retry(const RetryPolicy& policy, core::RetryPolicy& retry, core::ReceiptOut& refusal);

/// Reads one verified JobSpec into `job`. False when its form is wrong: then `refusal` has code,
/// field and message (its session and id are the caller's), and `job` is to be thrown away. Ranges
/// of times, priorities and budgets, and the letters of names, are judged in the core.
bool read_job_spec(const JobSpec& spec, const ProtocolLimits& limits, BlobSlices& slices,
                   core::Submission& job, core::ReceiptOut& refusal);

}  // namespace jobwire::wire
