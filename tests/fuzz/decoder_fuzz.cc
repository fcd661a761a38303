// SPDX-License-Identifier: Apache-2.0
// libFuzzer target, run by ops/dev/fuzz. The first byte chooses the session's role, the next two
// where the rest is split into envelope and blob.
#include <cstring>
#include <iterator>
#include <memory>

#include "../unit/broker/wire/walk_decoded.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace jobwire;
  static wire::Decoder decoder{wire::ProtocolLimits{}};
  if (size < 3) return 0;
  constexpr core::Role kRoles[] = {core::Role::kNone, core::Role::kProducer, core::Role::kWorker,
                                   core::Role::kAgent, core::Role::kOperator};
  const core::Role role = kRoles[data[0] % std::size(kRoles)];
  const std::size_t asked = data[1] + 256U * data[2];
  data += 3, size -= 3;
  const std::size_t split = asked < size ? asked : size;
  // Memory of their own, so that one byte too far is seen.
  const auto envelope = std::make_unique<std::uint8_t[]>(split);
  if (split != 0) std::memcpy(envelope.get(), data, split);
  const auto blob = std::make_unique<std::uint8_t[]>(size - split);
  if (size != split) std::memcpy(blob.get(), data + split, size - split);
  const bool works = role == core::Role::kWorker || role == core::Role::kAgent;
  wire::DecodedWalk walk;
  walk.sum(decoder.decode(
      {{}, {envelope.get(), split}, {blob.get(), size - split}, size != split, false},
      {works ? ports::Side::kWorkers : ports::Side::kProducers, core::SessionId{1}, role}));
  return 0;
}
