// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "jobwire/export.h"

JOBWIRE_NAMESPACE_BEGIN

/// What the bytes of a payload or a result are. The broker does not look inside; the Python side
/// picks the decoder by it and by the handler's annotation.
enum class Encoding {
  Bytes,       ///< As they are.
  Utf8,        ///< Text.
  Json,        ///< One JSON value in UTF-8.
  FlatBuffer,  ///< A finished FlatBuffers buffer.
  Npy,         ///< A NumPy array in .npy format.
};

/// The enumerator's name. Static storage.
JOBWIRE_EXPORT std::string_view to_string(Encoding encoding) noexcept;

JOBWIRE_NAMESPACE_END
