// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>

#include "../../../contract/golden/golden_files.h"
#include "walk_decoded.h"

namespace jobwire::wire {
namespace {

using golden::Buffer;

// Memory of exactly this size, so that one byte too far is seen; at an odd address, as a transport
// may give it.
class Exact {
 public:
  explicit Exact(const Buffer& bytes)
      : memory_(new std::uint8_t[bytes.size() + 1]), size_(bytes.size()) {
    if (size_ != 0) std::memcpy(memory_.get() + 1, bytes.data(), size_);
  }
  std::span<const std::uint8_t> span() const { return {memory_.get() + 1, size_}; }

 private:
  std::unique_ptr<std::uint8_t[]> memory_;
  std::size_t size_;
};

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}

  std::size_t below(std::size_t limit) { return limit == 0 ? 0 : random_() % limit; }

  void mutate(Buffer& bytes) {
    const std::size_t edits = 1 + below(4);
    for (std::size_t i = 0; i < edits && !bytes.empty(); ++i) edit(bytes);
  }

 private:
  void edit(Buffer& bytes) {
    const std::size_t at = below(bytes.size());
    switch (below(6)) {
      case 0:
        bytes[at] ^= static_cast<std::uint8_t>(1U << below(8));
        break;
      case 1:
        bytes[at] = static_cast<std::uint8_t>(random_());
        break;
      case 2: {  // an aligned word of a kind that offsets and sizes dislike
        constexpr std::uint32_t kWords[] = {0,      1,          4,          0x7F,       0xFF,
                                            0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF};
        const std::size_t word = at / 4 * 4;
        if (word + 4 <= bytes.size())
          std::memcpy(&bytes[word], &kWords[below(std::size(kWords))], 4);
        break;
      }
      case 3: {  // a small change of an offset
        const std::size_t word = at / 4 * 4;
        if (word + 4 > bytes.size()) break;
        std::uint32_t value;
        std::memcpy(&value, &bytes[word], 4);
        value += static_cast<std::uint32_t>(below(64)) - 32;
        std::memcpy(&bytes[word], &value, 4);
        break;
      }
      case 4:
        bytes.resize(at);
        break;
      default:
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                     static_cast<std::uint8_t>(random_()));
        break;
    }
  }

  std::mt19937_64 random_;
};

TEST(Mutations, OfGoldenMessagesAreRefusedOrReadInsideTheirMemory) {
  const golden::Schema schema{golden::schemas_folder()};
  const auto set = golden::golden_messages(schema);
  constexpr std::uint64_t kSeed = 20240601;
  // JOBWIRE_LONG tries ten million.
  const int mutations = std::getenv("JOBWIRE_LONG") ? 10'000'000 : 200'000;
  SCOPED_TRACE(kSeed);
  Mutator mutator(kSeed);
  Decoder decoder{ProtocolLimits{}};
  DecodedWalk walk;
  int refused = 0;
  std::uint64_t sum = 0;
  for (int i = 0; i < mutations; ++i) {
    const golden::Golden& message = set[mutator.below(set.size())];
    Buffer envelope = message.envelope;
    Buffer blob = message.blob;
    if (mutator.below(4) != 0) mutator.mutate(envelope);
    if (mutator.below(4) == 0) mutator.mutate(blob);
    const Exact exact_envelope(envelope);
    const Exact exact_blob(blob);
    Sender sender{ports::Side::kProducers, core::SessionId{1}, core::Role::kProducer};
    if (message.from == "operator") sender.role = core::Role::kOperator;
    if (message.from == "worker")
      sender = {ports::Side::kWorkers, core::SessionId{1}, core::Role::kWorker};
    if (message.from == "agent")
      sender = {ports::Side::kWorkers, core::SessionId{1}, core::Role::kAgent};
    const Decoded& decoded = decoder.decode(
        {{}, exact_envelope.span(), exact_blob.span(), !blob.empty(), false}, sender);
    if (std::holds_alternative<RefusedIn>(decoded)) ++refused;
    sum += walk.sum(decoded);
  }
  // The mutations are neither all harmless nor all fatal; what is read goes through the sanitizer.
  EXPECT_GT(refused, mutations / 10);
  EXPECT_LT(refused, mutations / 10 * 9);
  EXPECT_NE(sum, 0U);
}

}  // namespace
}  // namespace jobwire::wire
