// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "ports/result.h"

namespace jobwire::app {

/// Blocks of 256 KiB and more always go back to the system when they are freed. The library would
/// move that bound up to 32 MiB by itself, and then keep what large messages once needed: at an
/// outage of Redis nearly half of all growth.
void give_back_large_blocks();

/// Raises the number of descriptors to what the system allows, up to 65,536: each peer costs one.
/// Returns how many there are.
std::uint64_t raise_descriptor_limit();

/// Bounds this process's memory, above what it has now; 0 changes nothing. Beyond it an allocation
/// fails and the process ends: neither queue lengths nor the size of frames bound a peer's message
/// of endless parts. Counted as address space, which is what the kernel can bound. Children do not
/// inherit it when they are started before.
ports::Status limit_memory(std::uint64_t bytes);

}  // namespace jobwire::app
