// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace jobwire::zmq_adapter {

/// Whether nobody outside this machine can reach the endpoint: tcp on 127.0.0.0/8, [::1], localhost
/// or lo, and ipc. An interface's name or "*" is not: what it is bound to is not ours to know.
bool is_local(std::string_view endpoint);

/// The port of a tcp endpoint, 0 when it has none or leaves it to the kernel.
std::uint16_t port_of(std::string_view endpoint);

/// "pid 4211 (jobwired)" of whoever listens on the tcp port, or empty when that cannot be found
/// out: it belongs to another user, or has ended. Reads /proc; for error messages only.
std::string listener_of(std::uint16_t port);

}  // namespace jobwire::zmq_adapter
