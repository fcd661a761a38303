// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <flatbuffers/reflection_generated.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace jobwire::contracts {

/// All that the bytes of a method's request and response depend on, as the text of PROTOCOL.md
/// ("Contracts"). Requires: a verified schema, and a call of one of its services.
std::string describe(const reflection::Schema& schema, const reflection::RPCCall& call);

/// FNV-1a, 64 bits, over what describe() says; never 0, which stands for no contract.
std::uint64_t hash_of(std::string_view description);

}  // namespace jobwire::contracts
