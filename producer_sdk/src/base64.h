// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jobwire/export.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// RFC 4648, section 4, with padding.
std::string to_base64(std::span<const std::byte> bytes);
/// Appends the bytes to `out`. False, and `out` as it was, when the text is no such base64.
bool from_base64(std::string_view text, std::vector<std::byte>& out);

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
