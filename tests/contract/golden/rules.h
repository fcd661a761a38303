// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace jobwire::golden {

/// The core's rules as data, for whoever follows them elsewhere (jobwire.testing does): the table
/// of moves, the default policy, policies with the defaults filled in, and the judgement of failed
/// attempts over many cases. JSON, one case a line; the same text for the same core.
std::string rules();

}  // namespace jobwire::golden
