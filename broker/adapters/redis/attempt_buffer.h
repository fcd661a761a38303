// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <flatbuffers/flatbuffers.h>

#include <string_view>

#include "core/record.h"

namespace jobwire::redis {

/// Builds the buffers of schemas/attempt.fbs that lie in the fields `attempt:<n>`. Keeps its memory
/// from one to the next.
class AttemptBuffer {
 public:
  /// Valid until the next call.
  std::string_view build(const core::Attempt& attempt);

 private:
  flatbuffers::FlatBufferBuilder builder_{512};
};

/// Reads such a buffer; the generation and the number are in the field's name. False, with
/// `attempt` unchanged, when the bytes do not verify.
bool read_attempt(std::string_view buffer, core::Attempt& attempt);

/// The JobError buffer inside such a buffer, copied; absent when there is none, or when the bytes
/// do not verify.
core::Bytes error_of_attempt(std::string_view buffer);

}  // namespace jobwire::redis
