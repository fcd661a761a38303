// SPDX-License-Identifier: Apache-2.0
#include "adapters/contracts/contract_set.h"

#include <flatbuffers/flatbuffers.h>
#include <flatbuffers/idl.h>
#include <flatbuffers/reflection_generated.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <matrix_generated.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "adapters/contracts/contract_folder.h"
#include "adapters/contracts/method_hash.h"

namespace jobwire::contracts {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string file_of(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// tests/integration/contract_project/matrix.fbs, compiled by flatc, and its hashes as the Python
/// side computes them.
std::string matrix_schema() { return file_of(JOBWIRE_MATRIX_BFBS); }
std::map<std::string, std::uint64_t> known_hashes() {
  std::map<std::string, std::uint64_t> hashes;
  std::istringstream lines(file_of(JOBWIRE_CONTRACT_HASHES));
  std::string hash;
  std::string method;
  while (lines >> hash >> method) hashes[method] = std::stoull(hash, nullptr, 16);
  return hashes;
}

class ContractSetTest : public ::testing::Test {
 protected:
  ContractSetTest() { EXPECT_TRUE(static_cast<bool>(set.load({{"matrix", matrix_schema()}}))); }

  static std::vector<std::uint8_t> everything(int depth) {
    matrix::EverythingT value;
    value.text = "text";
    value.scalars = std::make_unique<matrix::ScalarsT>();
    value.scalars->a_double = 1;
    value.scalars->a_ushort = 2;
    value.outer = std::make_unique<matrix::Outer>();
    value.vectors = std::make_unique<matrix::VectorsT>();
    value.vectors->strings = {"a", "b"};
    value.vectors->structs.resize(3);
    value.vectors->doubles = {1, 2};
    value.vectors->tables.push_back(std::make_unique<matrix::ScalarsT>());
    for (const matrix::Shape type : {matrix::Shape::Word, matrix::Shape::Point}) {
      matrix::ShapeUnion shape;
      shape.type = type;
      shape.value = type == matrix::Shape::Word ? static_cast<void*>(new std::string("w"))
                                                : new shapes::Point(1, 2);
      value.vectors->shapes.push_back(shape);
    }
    matrix::TreeT* at = nullptr;
    for (int i = 0; i < depth; ++i) {
      auto next = std::make_unique<matrix::TreeT>();
      matrix::TreeT* const here = next.get();
      if (at) {
        at->children.push_back(std::move(next));
      } else {
        value.tree = std::move(next);
      }
      at = here;
    }
    value.shape.type = matrix::Shape::Word;
    value.shape.value = new std::string("word");
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(matrix::CreateEverything(builder, &value));
    return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
  }

  const char* judge(std::span<const std::uint8_t> payload, std::uint64_t contract,
                    core::Encoding encoding = core::Encoding::kFlatBuffer) {
    core::Submission job;
    job.type = "Matrix.echo";
    job.payload = payload;
    job.encoding = encoding;
    if (contract != 0) {
      job.options = std::make_shared<core::JobOptions>();
      job.options->contract = contract;
    }
    return set.objection(job);
  }

  ContractSet set;
  std::uint64_t echo = known_hashes().at("Matrix.echo");
};

TEST(MethodHashTest, IsTheOneThatJobwireGenPrints) {
  const std::string schema = matrix_schema();
  const reflection::Schema* root = reflection::GetSchema(schema.data());
  std::map<std::string, std::uint64_t> hashes;
  for (const reflection::Service* service : *root->services()) {
    for (const reflection::RPCCall* call : *service->calls())
      hashes["Matrix." + call->name()->str()] = hash_of(describe(*root, *call));
  }
  EXPECT_EQ(hashes, known_hashes());
}

TEST_F(ContractSetTest, RequestOfTheContractIsTaken) {
  EXPECT_EQ(judge(everything(3), echo), nullptr);
  EXPECT_EQ(judge(everything(3), 0), nullptr) << "without a hash, by the type alone";
}

TEST_F(ContractSetTest, AnythingElseIsObjectedToInWords) {
  const std::vector<std::uint8_t> good = everything(3);
  const std::vector<std::uint8_t> garbage(64, 0x7f);
  for (const std::uint64_t contract : {echo, std::uint64_t{0}}) {
    EXPECT_STREQ(
        judge(garbage, contract),
        "not a verifiable FlatBuffer of matrix.Everything, which the contract matrix wants");
    EXPECT_NE(judge({}, contract), nullptr);
    EXPECT_NE(judge(std::span(good).first(good.size() / 2), contract), nullptr);
    EXPECT_THAT(judge(good, contract, core::Encoding::kJson), HasSubstr("of another encoding"));
  }
}

TEST_F(ContractSetTest, ContractThatIsNotHereIsLeftToTheWorkers) {
  const std::vector<std::uint8_t> garbage(64, 0x7f);
  EXPECT_EQ(judge(garbage, echo + 1), nullptr);
  core::Submission other;
  other.type = "resize";
  other.payload = garbage;
  other.encoding = core::Encoding::kFlatBuffer;
  EXPECT_EQ(set.objection(other), nullptr);
}

TEST_F(ContractSetTest, UnionsWithoutTheirTypesAreObjectedTo) {
  // flatbuffers::Verify reads the types of such a vector without having seen that they are there.
  const auto finished = [](auto&& add) {
    flatbuffers::FlatBufferBuilder builder;
    const flatbuffers::Offset<void> word = builder.CreateString("word").Union();
    const auto words = builder.CreateVector(std::vector{word, word});
    const auto types = builder.CreateVector(std::vector<std::uint8_t>{4});
    const flatbuffers::uoffset_t start = builder.StartTable();
    add(builder, words, types);
    const flatbuffers::Offset<matrix::Vectors> vectors(builder.EndTable(start));
    matrix::EverythingBuilder root(builder);
    root.add_vectors(vectors);
    builder.Finish(root.Finish());
    return std::vector<std::uint8_t>(builder.GetBufferPointer(),
                                     builder.GetBufferPointer() + builder.GetSize());
  };
  using matrix::Vectors;
  EXPECT_NE(judge(finished([](auto& builder, auto words, auto) {
                    builder.AddOffset(Vectors::VT_SHAPES, words);
                  }),
                  echo),
            nullptr);
  EXPECT_NE(judge(finished([](auto& builder, auto words, auto types) {
                    builder.AddOffset(Vectors::VT_SHAPES, words);
                    builder.AddOffset(Vectors::VT_SHAPES_TYPE, types);
                  }),
                  echo),
            nullptr)
      << "fewer types than values";
}

TEST_F(ContractSetTest, DepthIsBounded) {
  EXPECT_EQ(judge(everything(50), echo), nullptr);
  EXPECT_NE(judge(everything(80), echo), nullptr);
}

TEST_F(ContractSetTest, TablesThatMultiplyAreObjectedTo) {
  // Each level refers to the one below eight times: a thousand bytes that are 8^10 tables to a
  // reader.
  flatbuffers::FlatBufferBuilder builder;
  auto name = builder.CreateString("t");
  flatbuffers::Offset<matrix::Tree> level = matrix::CreateTree(builder, name);
  for (int i = 0; i < 10; ++i) {
    const std::vector<flatbuffers::Offset<matrix::Tree>> children(8, level);
    const auto list = builder.CreateVector(children);
    level = matrix::CreateTree(builder, name, list);
  }
  matrix::EverythingBuilder everything(builder);
  everything.add_tree(level);
  builder.Finish(everything.Finish());
  const std::span<const std::uint8_t> payload(builder.GetBufferPointer(), builder.GetSize());
  EXPECT_NE(judge(payload, echo), nullptr);
}

// ---- buffers inside a payload

constexpr const char* kNestedSchema = R"(
namespace outer.inner;
table Leaf { text:string (required); bytes:[ubyte] (nested_flatbuffer: "Leaf"); }
namespace outer;
table Box { leaf:[ubyte] (nested_flatbuffer: "inner.Leaf"); boxes:[Box]; plain:[ubyte]; }
table Told { x:int; }
rpc_service Boxes { open(Box):Told; }
)";

class NestedTest : public ::testing::Test {
 protected:
  using Bytes = std::vector<std::uint8_t>;

  static std::string compiled(const std::string& text) {
    flatbuffers::IDLOptions options;
    options.binary_schema_builtins = true;
    flatbuffers::Parser parser(options);
    EXPECT_TRUE(parser.Parse(text.c_str())) << parser.error_;
    parser.Serialize();
    return {reinterpret_cast<const char*>(parser.builder_.GetBufferPointer()),
            parser.builder_.GetSize()};
  }
  NestedTest() {
    const ports::Status loaded = set.load({{"boxes", compiled(kNestedSchema)}});
    EXPECT_TRUE(static_cast<bool>(loaded)) << loaded.failure().message;
  }

  /// A Leaf with another buffer in it; without its text when that is null.
  static Bytes leaf(const char* text, const Bytes& inside = {}) {
    flatbuffers::FlatBufferBuilder builder;
    const auto word = text ? builder.CreateString(text).o : 0;
    const auto bytes = inside.empty() ? 0 : builder.CreateVector(inside).o;
    const auto start = builder.StartTable();
    if (word != 0) builder.AddOffset(4, flatbuffers::Offset<void>(word));
    if (bytes != 0) builder.AddOffset(6, flatbuffers::Offset<void>(bytes));
    builder.Finish(flatbuffers::Offset<flatbuffers::Table>(builder.EndTable(start)));
    return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
  }
  /// A Box that holds these bytes in `field`, and so many more boxes that hold the same ones.
  static Bytes box(const Bytes& bytes, flatbuffers::voffset_t field = 4, int boxes = 0) {
    flatbuffers::FlatBufferBuilder builder;
    const auto vector = builder.CreateVector(bytes).o;
    const auto one = [&](flatbuffers::uoffset_t more) {
      const auto start = builder.StartTable();
      builder.AddOffset(field, flatbuffers::Offset<void>(vector));
      if (more != 0) builder.AddOffset(6, flatbuffers::Offset<void>(more));
      return flatbuffers::Offset<flatbuffers::Table>(builder.EndTable(start));
    };
    std::vector<flatbuffers::Offset<flatbuffers::Table>> list;
    for (int i = 0; i < boxes; ++i) list.push_back(one(0));
    const auto more = list.empty() ? 0 : builder.CreateVector(list).o;
    builder.Finish(one(more));
    return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
  }
  bool taken(const Bytes& payload) {
    core::Submission job;
    job.type = "Boxes.open";
    job.payload = payload;
    job.encoding = core::Encoding::kFlatBuffer;
    return set.objection(job) == nullptr;
  }

  ContractSet set;
};

TEST_F(NestedTest, ABufferInsideIsVerifiedByItsOwnType) {
  EXPECT_TRUE(taken(box(leaf("text"))));
  EXPECT_FALSE(taken(box(leaf(nullptr)))) << "what is required there is missing";
  EXPECT_FALSE(taken(box(Bytes(40, 0x7f))));
  Bytes cut = leaf("a text of some length");
  cut.resize(cut.size() - 8);
  EXPECT_FALSE(taken(box(cut)));
  EXPECT_FALSE(taken(box({}))) << "no bytes are no buffer";
  EXPECT_TRUE(taken(box(Bytes(40, 0x7f), 8))) << "bytes that are only bytes";
}

TEST_F(NestedTest, BuffersInsideBuffersAreVerifiedToABoundedDepth) {
  EXPECT_TRUE(taken(box(leaf("outer", leaf("inner")))));
  EXPECT_FALSE(taken(box(leaf("outer", leaf(nullptr)))));
  Bytes deep = leaf("deepest");
  for (int i = 0; i < 6; ++i) deep = leaf("text", deep);
  EXPECT_TRUE(taken(box(deep)));
  for (int i = 0; i < 2; ++i) deep = leaf("text", deep);
  EXPECT_FALSE(taken(box(deep)));
}

TEST_F(NestedTest, ABufferThatIsMeantManyTimesIsObjectedTo) {
  const Bytes large = leaf(std::string(100'000, 'x').c_str());
  EXPECT_TRUE(taken(box(large, 4, 3)));
  EXPECT_FALSE(taken(box(large, 4, 1'000))) << "a hundred megabytes to a reader";
}

TEST_F(NestedTest, ASchemaThatNamesNoTypeThereIsRefused) {
  std::string schema = compiled(kNestedSchema);
  const std::string named("\x0a\0\0\0inner.Leaf", 14);  // and not the end of the type's own name
  schema.replace(schema.find(named), 14, std::string("\x0a\0\0\0inner.Lost", 14));
  const ports::Status loaded = set.load({{"lost", schema}});
  ASSERT_FALSE(static_cast<bool>(loaded));
  EXPECT_THAT(loaded.failure().message, HasSubstr("nested_flatbuffer"));
}

TEST_F(ContractSetTest, PayloadMayStartAtAnyAddress) {
  const std::vector<std::uint8_t> good = everything(3);
  std::vector<std::uint8_t> shifted(good.size() + 1);
  std::copy(good.begin(), good.end(), shifted.begin() + 1);
  EXPECT_EQ(judge(std::span(shifted).subspan(1), echo), nullptr);
}

TEST_F(ContractSetTest, WhatIsNoSchemaIsRefusedAndChangesNothing) {
  for (const std::string& bad : {std::string(), std::string("BFBS"), std::string(100, 'x'),
                                 matrix_schema().substr(0, 500)}) {
    const ports::Status status = set.load({{"bad", bad}});
    ASSERT_FALSE(static_cast<bool>(status));
    EXPECT_THAT(status.failure().message, StartsWith("contract bad: "));
    EXPECT_NE(judge(std::vector<std::uint8_t>(64, 0x7f), echo), nullptr);
  }
}

TEST_F(ContractSetTest, ContractsArePutReplacedAndRemovedByName) {
  const std::vector<std::uint8_t> garbage(64, 0x7f);
  set.remove("other");
  ASSERT_EQ(set.held("").size(), 1U);
  EXPECT_EQ(set.held("")[0].name, "matrix");
  EXPECT_EQ(set.held("")[0].bytes, matrix_schema().size());
  ASSERT_FALSE(set.held("")[0].methods.empty());
  EXPECT_EQ(set.held("")[0].methods[0].hash, known_hashes().at(set.held("")[0].methods[0].type));
  EXPECT_TRUE(set.held("matrix").empty());

  auto again = set.put({"again", matrix_schema()});
  ASSERT_TRUE(static_cast<bool>(again));
  EXPECT_EQ(*again, set.held("")[0]);
  EXPECT_EQ(set.held("").size(), 2U);
  set.remove("matrix");
  EXPECT_THAT(judge(garbage, echo), HasSubstr("the contract again wants")) << "the other has it";
  ASSERT_TRUE(static_cast<bool>(set.put({"again", matrix_schema()})));
  EXPECT_EQ(set.held("").size(), 1U);
  set.remove("again");
  EXPECT_FALSE(set.holds("again"));
  EXPECT_EQ(judge(garbage, echo), nullptr);
}

TEST_F(ContractSetTest, APutThatIsRefusedChangesNothing) {
  const auto before = set.held("");
  const auto refused = [&](const ports::ContractFile& file, const char* why) {
    const ports::Status checked = set.check(file);
    ASSERT_FALSE(static_cast<bool>(checked)) << why;
    EXPECT_THAT(checked.failure().message, HasSubstr(why));
    EXPECT_EQ(set.put(file).failure().message, checked.failure().message);
    EXPECT_EQ(set.held(""), before);
  };
  EXPECT_TRUE(static_cast<bool>(set.check({"good", matrix_schema()})));
  refused({"matrix", "BFBS"}, "contract matrix: not a binary schema");
  refused({"large", std::string((1U << 20) + 1, 'x')}, "larger than 1 MiB");
}

TEST_F(ContractSetTest, ContractsAreBoundedInNumberAndTogetherInBytes) {
  std::string padded = matrix_schema();
  padded.resize(1U << 20);
  std::vector<ports::ContractFile> large;
  for (int i = 0; i < 8; ++i) large.push_back({"large" + std::to_string(i), padded});
  ASSERT_TRUE(static_cast<bool>(set.load(large)));
  EXPECT_THAT(set.put({"more", matrix_schema()}).failure().message, HasSubstr("8 MiB"));
  EXPECT_TRUE(static_cast<bool>(set.put({"large0", matrix_schema()}))) << "it takes less room";
  large.push_back({"more", padded});
  EXPECT_THAT(set.load(large).failure().message, HasSubstr("8 MiB"));

  std::vector<ports::ContractFile> many;
  for (int i = 0; i < 256; ++i) many.push_back({"many" + std::to_string(i), matrix_schema()});
  ASSERT_TRUE(static_cast<bool>(set.load(many)));
  EXPECT_THAT(set.put({"more", matrix_schema()}).failure().message, HasSubstr("256"));
  EXPECT_TRUE(static_cast<bool>(set.put({"many7", matrix_schema()})));
  many.push_back({"more", matrix_schema()});
  EXPECT_THAT(set.load(many).failure().message, HasSubstr("256"));
}

TEST_F(ContractSetTest, MutatedSchemasAreTakenOrRefusedAndNothingElse) {
  const std::vector<std::uint8_t> payload = everything(3);
  const std::string good = matrix_schema();
  std::uint32_t random = 7;
  int refused = 0;
  for (int i = 0; i < 2'000; ++i) {
    std::string bytes = good;
    for (int n = 0; n < 3; ++n) {
      random = random * 1664525 + 1013904223;
      bytes[(random >> 8) % bytes.size()] = static_cast<char>(random >> 24);
    }
    if (!set.load({{"mutant", bytes}})) ++refused;
    judge(payload, 0);
  }
  EXPECT_GT(refused, 100);
  EXPECT_TRUE(static_cast<bool>(set.load({{"matrix", good}})));
  EXPECT_EQ(judge(payload, echo), nullptr);
}

TEST_F(ContractSetTest, MutatedPayloadsAreJudgedAndNothingElse) {
  const std::vector<std::uint8_t> good = everything(5);
  std::uint32_t random = 1;
  int objections = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::vector<std::uint8_t> bytes = good;
    for (int n = 0; n < 3; ++n) {
      random = random * 1664525 + 1013904223;
      bytes[(random >> 8) % bytes.size()] = static_cast<std::uint8_t>(random >> 24);
    }
    const bool ours = judge(bytes, echo) == nullptr;
    objections += ours ? 0 : 1;
    // What passes here passes the verifier that flatc generates.
    std::vector<std::uint64_t> aligned((bytes.size() + 7) / 8);
    std::memcpy(aligned.data(), bytes.data(), bytes.size());
    flatbuffers::Verifier verifier(reinterpret_cast<const std::uint8_t*>(aligned.data()),
                                   bytes.size());
    EXPECT_TRUE(!ours || verifier.VerifyBuffer<matrix::Everything>(nullptr)) << i;
  }
  EXPECT_GT(objections, 1'000);
}

TEST(ContractFolderTest, ReadsCompiledContractsByName) {
  const std::filesystem::path folder =
      std::filesystem::path(::testing::TempDir()) / "jobwire_contract_folder";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "b.bfbs") << "two";
  std::ofstream(folder / "a.bfbs") << "one";
  std::ofstream(folder / "README") << "not one";
  auto files = read_contract_folder(folder.string());
  ASSERT_TRUE(static_cast<bool>(files));
  EXPECT_TRUE(*files == (std::vector<ports::ContractFile>{{"a", "one"}, {"b", "two"}}));

  std::ofstream(folder / "c.fbs") << "source";
  EXPECT_THAT(read_contract_folder(folder.string()).failure().message,
              HasSubstr("c.fbs is not compiled"));
  EXPECT_THAT(read_contract_folder((folder / "none").string()).failure().message,
              HasSubstr("No such file"));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace jobwire::contracts
