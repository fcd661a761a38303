// SPDX-License-Identifier: Apache-2.0
// What a contract costs a job when it is submitted: finding its version, and verifying a payload of
// about 200 bytes. And what a broker stands still for while one is put.
#include <benchmark/benchmark.h>
#include <flatbuffers/flatbuffers.h>
#include <flatbuffers/idl.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "adapters/contracts/contract_set.h"

namespace {

using namespace jobwire;

constexpr const char* kSchema = R"(
namespace shop;
enum Kind : byte { Plain, Fancy }
struct Point { x:float; y:float; }
table Tag { name:string; weight:int; }
table Order {
  id:ulong; customer:string (required); kind:Kind; price:double; count:int = 1;
  at:Point; tags:[Tag]; codes:[uint]; note:string;
  inner:[ubyte] (nested_flatbuffer: "Tag");
}
table Told { text:string; }
rpc_service Shop { order(Order):Told; }
)";
constexpr const char* kOrder = R"({
  "id": 123456789, "customer": "somebody with a name", "kind": "Fancy", "price": 12.5,
  "at": {"x": 1, "y": 2}, "tags": [{"name": "new", "weight": 3}], "codes": [1, 2, 3, 4],
  "note": "a few words about it")";

struct Contract {
  explicit Contract(bool nested) {
    flatbuffers::IDLOptions options;
    options.binary_schema_builtins = true;
    flatbuffers::Parser parser(options);
    if (!parser.Parse(kSchema)) std::abort();
    parser.Serialize();
    schema.assign(reinterpret_cast<const char*>(parser.builder_.GetBufferPointer()),
                  parser.builder_.GetSize());
    if (!set.load({{"shop", schema}})) std::abort();
    hash = set.held("")[0].methods[0].hash;
    parser.builder_.Clear();
    if (!parser.SetRootType("shop.Order")) std::abort();
    const std::string more = nested ? R"(, "inner": {"name": "inside", "weight": 1}})" : "}";
    if (!parser.Parse((kOrder + more).c_str())) std::abort();
    payload.assign(parser.builder_.GetBufferPointer(),
                   parser.builder_.GetBufferPointer() + parser.builder_.GetSize());
  }

  contracts::ContractSet set;
  std::string schema;
  std::uint64_t hash = 0;
  std::vector<std::uint8_t> payload;
};

core::Submission job_of(const Contract& contract) {
  core::Submission job;
  job.type = "Shop.order";
  job.encoding = core::Encoding::kFlatBuffer;
  job.payload = contract.payload;
  job.options = std::make_shared<core::JobOptions>();
  job.options->contract = contract.hash;
  return job;
}

void verify(benchmark::State& state, bool nested) {
  Contract contract(nested);
  const core::Submission job = job_of(contract);
  if (contract.set.objection(job)) std::abort();
  for (auto _ : state) benchmark::DoNotOptimize(contract.set.objection(job));
  state.counters["payload_bytes"] = static_cast<double>(contract.payload.size());
}
BENCHMARK_CAPTURE(verify, plain, false);
BENCHMARK_CAPTURE(verify, nested, true);

/// A job of which no contract here speaks.
void unknown_type(benchmark::State& state) {
  Contract contract(false);
  core::Submission job = job_of(contract);
  job.type = "resize";
  for (auto _ : state) benchmark::DoNotOptimize(contract.set.objection(job));
}
BENCHMARK(unknown_type);

void put(benchmark::State& state) {
  Contract contract(false);
  for (auto _ : state) {
    if (!contract.set.put({"shop", contract.schema})) std::abort();
  }
  state.counters["schema_bytes"] = static_cast<double>(contract.schema.size());
}
BENCHMARK(put);

}  // namespace

BENCHMARK_MAIN();
