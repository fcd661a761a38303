// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "jobwire/result.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// "tcp://a:7700, tcp://b:7700" as its parts. Error: InvalidArgument when there is none, or one
/// that is neither tcp://host:port nor ipc://path. Only the form is looked at; no name is resolved.
Result<std::vector<std::string>> parse_endpoints(std::string_view list);

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
