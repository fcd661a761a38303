// SPDX-License-Identifier: Apache-2.0
#include "wire/job_error.h"

#include "jobwire/wire/error_generated.h"
#include "wire/envelope.h"
#include "wire/limits.h"

namespace jobwire::wire {

bool read_job_error(std::span<const std::uint8_t> bytes, std::vector<std::uint64_t>& memory,
                    JobErrorWords& words) {
  if (bytes.size() < kLeastBufferBytes) return false;
  const std::uint8_t* buffer = copy_aligned(bytes, memory);
  flatbuffers::Verifier::Options options;
  options.max_depth = kVerifierDepth;
  options.max_tables = static_cast<flatbuffers::uoffset_t>(max_tables(bytes.size()));
  flatbuffers::Verifier verifier(buffer, bytes.size(), options);
  if (!VerifyJobErrorBuffer(verifier)) return false;
  const JobError* error = GetJobError(buffer);
  const auto original = [&](const flatbuffers::String* text) -> std::string_view {
    if (!text) return {};
    const auto at = static_cast<std::size_t>(text->Data() - buffer);
    return {reinterpret_cast<const char*>(bytes.data()) + at, text->size()};
  };
  words.type = original(error->type());
  words.message = original(error->message());
  words.retryable = error->retryable();
  return true;
}

}  // namespace jobwire::wire
