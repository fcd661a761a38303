// SPDX-License-Identifier: Apache-2.0
// Cost of the wire format at the broker, per job: jobwire-broker-wire-bench (preset release).
#include <benchmark/benchmark.h>

#include <cstring>

#include "wire/decoder.h"
#include "wire/encoder.h"

namespace jobwire::wire {
namespace {

constexpr std::size_t kPayload = 200;

Id make_id(std::uint32_t number) {
  Id id;
  std::memset(static_cast<void*>(&id), 1, sizeof id);
  std::memcpy(reinterpret_cast<void*>(&id), &number, sizeof number);
  return id;
}

struct Wire {
  std::vector<std::uint8_t> envelope;
  std::vector<std::uint8_t> blob;
};

template <typename Table>
Wire finish(flatbuffers::FlatBufferBuilder& builder, Body kind, flatbuffers::Offset<Table> body,
            std::size_t jobs) {
  FinishMessageBuffer(builder, CreateMessage(builder, kind, body.Union()));
  return {{builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()},
          std::vector<std::uint8_t>(jobs * kPayload, 'x')};
}

void decode(benchmark::State& state, const Wire& wire, const Sender& sender) {
  Decoder decoder{ProtocolLimits{}};
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        decoder.decode({{}, wire.envelope, wire.blob, true, false}, sender).index());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void DecodeSubmit(benchmark::State& state) {
  flatbuffers::FlatBufferBuilder builder;
  const auto queue = builder.CreateString("images");
  const auto type = builder.CreateString("thumbnail");
  std::vector<flatbuffers::Offset<JobSpec>> specs;
  for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(state.range(0)); ++i) {
    const Id id = make_id(i);
    specs.push_back(CreateJobSpec(builder, &id, queue, type,
                                  static_cast<std::uint32_t>(i * kPayload), kPayload,
                                  Encoding::Bytes));
  }
  const auto jobs = builder.CreateVector(specs);
  decode(state, finish(builder, Body::Submit, CreateSubmit(builder, 1, jobs), specs.size()),
         {ports::Side::kProducers, core::SessionId{1}, core::Role::kProducer});
}
BENCHMARK(DecodeSubmit)->Arg(1)->Arg(16)->Arg(256);

void DecodeResults(benchmark::State& state) {
  flatbuffers::FlatBufferBuilder builder;
  std::vector<ResultHead> heads;
  for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(state.range(0)); ++i) {
    heads.emplace_back(make_id(i), make_id(i), static_cast<std::uint32_t>(i * kPayload), kPayload,
                       5, 6, 0, Outcome::Succeeded, Encoding::Bytes);
  }
  const auto list = builder.CreateVectorOfStructs(heads);
  decode(state, finish(builder, Body::Results, CreateResults(builder, 1, list), heads.size()),
         {ports::Side::kWorkers, core::SessionId{1}, core::Role::kWorker});
}
BENCHMARK(DecodeResults)->Arg(1)->Arg(16)->Arg(256);

class NoSink : public OutgoingSink {
 public:
  void put(const Outgoing& message) override { benchmark::DoNotOptimize(message.envelope.data()); }
};

void EncodeDispatch(benchmark::State& state) {
  std::vector<core::DispatchOut> effects(static_cast<std::size_t>(state.range(0)));
  for (auto& effect : effects) {
    effect.session = core::SessionId{1};
    effect.payload = core::Bytes::copy_of(std::string(kPayload, 'x'));
    effect.timeout = core::Millis{1000};
  }
  Encoder encoder{ProtocolLimits{}};
  NoSink sink;
  for (auto _ : state) encoder.dispatches(effects, sink);
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(EncodeDispatch)->Arg(1)->Arg(16)->Arg(256);

void EncodeReceipts(benchmark::State& state) {
  std::vector<core::ReceiptOut> effects(static_cast<std::size_t>(state.range(0)));
  for (auto& effect : effects) effect.session = core::SessionId{1};
  Encoder encoder{ProtocolLimits{}};
  NoSink sink;
  for (auto _ : state) encoder.receipts(effects, sink);
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(EncodeReceipts)->Arg(1)->Arg(16)->Arg(256);

void EncodeResults(benchmark::State& state) {
  std::vector<core::ResultOut> effects(static_cast<std::size_t>(state.range(0)));
  for (auto& effect : effects) {
    effect.session = core::SessionId{1};
    effect.result = core::Bytes::copy_of(std::string(kPayload, 'x'));
  }
  Encoder encoder{ProtocolLimits{}};
  NoSink sink;
  for (auto _ : state) encoder.results(effects, sink);
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(EncodeResults)->Arg(1)->Arg(16)->Arg(256);

}  // namespace
}  // namespace jobwire::wire

BENCHMARK_MAIN();
