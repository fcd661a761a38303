// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>

#include "link.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// A link over a DEALER socket, not connected yet. Its source is the only place that knows ZeroMQ.
/// Null when the process has no descriptors left.
std::unique_ptr<Link> open_zmq_link(std::size_t max_message_bytes);

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
