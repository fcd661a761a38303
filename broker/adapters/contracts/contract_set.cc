// SPDX-License-Identifier: Apache-2.0
#include "adapters/contracts/contract_set.h"

#include <flatbuffers/reflection_generated.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "adapters/contracts/method_hash.h"
#include "adapters/contracts/payload_verifier.h"

namespace jobwire::contracts {
namespace {

constexpr std::size_t kMaxFiles = 256;
constexpr std::size_t kMaxFileBytes = 1U << 20;
/// Of all files.
constexpr std::size_t kMaxBytes = 8U << 20;
constexpr const char* kTooManyFiles = "more than 256 contracts";
constexpr const char* kTooManyBytes = "the contracts are together larger than 8 MiB";
/// What is told of one contract fits an envelope.
constexpr std::size_t kMaxMethods = 500;
constexpr std::size_t kMaxTypeBytes = 128;
/// Text that is hashed for one contract: a method of many types costs time again with each method.
constexpr std::size_t kMaxDescribed = 16U << 20;
constexpr flatbuffers::uoffset_t kMaxDepth = 64;
// A table has 4 bytes at least, and whoever refers to it as many.
constexpr flatbuffers::uoffset_t kFewTables = 64;
constexpr std::size_t kBytesPerTable = 8;

/// The verifier looks at bytes; whether a type refers to one that is there it does not know.
bool is_sound(const reflection::Schema& schema, const reflection::Type* type) {
  using reflection::BaseType;
  if (!type || type->base_type() < BaseType::None || type->base_type() > BaseType::Array ||
      type->element() < BaseType::None || type->element() > BaseType::Array)
    return false;
  const bool many = type->base_type() == BaseType::Vector || type->base_type() == BaseType::Array;
  const BaseType one = many ? type->element() : type->base_type();
  if (one == BaseType::Obj) {
    return type->index() >= 0 &&
           static_cast<flatbuffers::uoffset_t>(type->index()) < schema.objects()->size();
  }
  const bool in_union = one == BaseType::Union || one == BaseType::UType;
  if (type->index() < 0) return !in_union;
  const auto index = static_cast<flatbuffers::uoffset_t>(type->index());
  return index < schema.enums()->size() && (!in_union || schema.enums()->Get(index)->is_union());
}

bool is_sound(const reflection::Schema& schema) {
  for (const reflection::Object* object : *schema.objects()) {
    if (object->is_struct() && (object->minalign() < 1 || object->bytesize() < 1)) return false;
    for (const reflection::Field* field : *object->fields()) {
      if (!is_sound(schema, field->type())) return false;
    }
  }
  for (const reflection::Enum* kind : *schema.enums()) {
    if (!kind->is_union()) continue;
    for (const reflection::EnumVal* value : *kind->values()) {
      if (!is_sound(schema, value->union_type())) return false;
    }
  }
  return true;
}

}  // namespace

struct ContractSet::Version {
  std::string type;
  std::uint64_t hash = 0;
  const reflection::Schema* schema = nullptr;
  const NestedFields* nested = nullptr;
  const reflection::Object* request = nullptr;
  std::string wrong_encoding;
  std::string wrong_bytes;
};

/// The versions point into the file's bytes, so it stays where it is.
struct ContractSet::Contract {
  ports::ContractFile file;
  NestedFields nested;
  std::vector<Version> methods;
};

ContractSet::ContractSet() = default;
ContractSet::~ContractSet() = default;

ports::Status ContractSet::load(std::vector<ports::ContractFile> files) {
  ByName contracts;
  std::size_t bytes = 0;
  if (files.size() > kMaxFiles) return ports::Failure{kTooManyFiles};
  for (ports::ContractFile& file : files) {
    bytes += file.schema.size();
    auto contract = read(std::move(file));
    if (!contract) return contract.failure();
    std::string name = (*contract)->file.name;
    contracts.insert_or_assign(std::move(name), std::move(*contract));
  }
  if (bytes > kMaxBytes) return ports::Failure{kTooManyBytes};
  contracts_ = std::move(contracts);
  index();
  return {};
}

ports::Status ContractSet::room_for(const ports::ContractFile& file) const {
  std::size_t files = 1;
  std::size_t bytes = file.schema.size();
  for (const auto& [name, contract] : contracts_) {
    if (name == file.name) continue;
    ++files;
    bytes += contract->file.schema.size();
  }
  if (files > kMaxFiles) return ports::Failure{kTooManyFiles};
  if (bytes > kMaxBytes) return ports::Failure{kTooManyBytes};
  return {};
}

ports::Status ContractSet::check(const ports::ContractFile& file) const {
  if (ports::Status room = room_for(file); !room) return room;
  const auto contract = read(file);
  return contract ? ports::Status() : ports::Status(contract.failure());
}

ports::Result<ports::HeldContract> ContractSet::put(ports::ContractFile file) {
  if (ports::Status room = room_for(file); !room) return room.failure();
  auto contract = read(std::move(file));
  if (!contract) return contract.failure();
  std::string name = (*contract)->file.name;
  ports::HeldContract held = look(**contract);
  contracts_.insert_or_assign(std::move(name), std::move(*contract));
  index();
  return held;
}

void ContractSet::remove(std::string_view name) {
  const auto found = contracts_.find(name);
  if (found == contracts_.end()) return;
  contracts_.erase(found);
  index();
}

ports::HeldContract ContractSet::look(const Contract& contract) {
  ports::HeldContract held{contract.file.name, contract.file.schema.size(), {}};
  for (const Version& method : contract.methods) held.methods.push_back({method.type, method.hash});
  return held;
}

std::vector<ports::HeldContract> ContractSet::held(std::string_view after) const {
  std::vector<ports::HeldContract> held;
  for (auto at = contracts_.upper_bound(after); at != contracts_.end(); ++at)
    held.push_back(look(*at->second));
  return held;
}

void ContractSet::index() {
  versions_.clear();
  for (const auto& [name, contract] : contracts_) {
    for (const Version& method : contract->methods) {
      std::vector<const Version*>& known = versions_[method.type];
      const bool again = std::any_of(known.begin(), known.end(), [&](const Version* version) {
        return version->hash == method.hash;
      });
      if (!again) known.push_back(&method);
    }
  }
}

ports::Result<std::unique_ptr<const ContractSet::Contract>> ContractSet::read(
    ports::ContractFile file) {
  const auto refuse = [&](const char* why) {
    return ports::Failure{"contract " + file.name + ": " + why};
  };
  if (file.schema.size() > kMaxFileBytes) return refuse("larger than 1 MiB");
  auto contract = std::make_unique<Contract>();
  contract->file.schema = std::move(file.schema);
  const std::string& schema_bytes = contract->file.schema;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(schema_bytes.data());
  flatbuffers::Verifier verifier(bytes, schema_bytes.size());
  if (schema_bytes.size() < 8 || !reflection::SchemaBufferHasIdentifier(bytes) ||
      !reflection::VerifySchemaBuffer(verifier)) {
    return refuse("not a binary schema; `jobwire gen --bfbs` and `flatc -b --schema` write them");
  }
  const reflection::Schema* schema = reflection::GetSchema(bytes);
  if (!is_sound(*schema)) return refuse("a type in it refers to none");
  if (!find_nested(*schema, contract->nested))
    return refuse("a nested_flatbuffer in it is of no table that is there");
  if (!schema->services() || schema->services()->size() == 0) return refuse("no rpc_service in it");
  std::size_t described = 0;
  for (const reflection::Service* service : *schema->services()) {
    const std::string name = service->name()->str();
    const std::string short_name = name.substr(name.rfind('.') + 1);
    if (!service->calls()) continue;
    for (const reflection::RPCCall* call : *service->calls()) {
      Version version;
      version.type = short_name + "." + call->name()->str();
      if (version.type.size() > kMaxTypeBytes) return refuse("a method's name is too long");
      if (contract->methods.size() == kMaxMethods) return refuse("more than 500 methods");
      const std::string description = describe(*schema, *call);
      described += description.size();
      if (described > kMaxDescribed) return refuse("its methods are made of too many types");
      version.hash = hash_of(description);
      version.schema = schema;
      version.nested = &contract->nested;
      version.request = call->request();
      const std::string wanted = "not a verifiable FlatBuffer of " + call->request()->name()->str();
      version.wrong_bytes = wanted + ", which the contract " + file.name + " wants";
      version.wrong_encoding =
          wanted + ", which the contract " + file.name + " wants, but of another encoding";
      contract->methods.push_back(std::move(version));
    }
  }
  contract->file.name = std::move(file.name);
  return std::unique_ptr<const Contract>(std::move(contract));
}

const char* ContractSet::objection(const core::Submission& job) {
  const auto found = versions_.find(job.type);
  if (found == versions_.end()) return nullptr;
  const std::uint64_t contract = job.options ? job.options->contract : 0;
  const Version* nearest = nullptr;
  for (const Version* version : found->second) {
    if (contract != 0 && contract != version->hash) continue;
    nearest = version;
    if (job.encoding == core::Encoding::kFlatBuffer && fits(*version, job.payload)) return nullptr;
  }
  if (!nearest) return nullptr;  // a version that is not here: its workers know it
  return job.encoding == core::Encoding::kFlatBuffer ? nearest->wrong_bytes.c_str()
                                                     : nearest->wrong_encoding.c_str();
}

bool ContractSet::fits(const Version& version, std::span<const std::uint8_t> payload) {
  // Received frames start at any address; the verifier and the reader count on alignment.
  if (payload.size() < 8) return false;
  aligned_.resize((payload.size() + 7) / 8);
  std::memcpy(aligned_.data(), payload.data(), payload.size());
  const auto tables = static_cast<flatbuffers::uoffset_t>(payload.size() / kBytesPerTable);
  PayloadVerifier verifier(*version.schema, *version.nested,
                           {reinterpret_cast<const std::uint8_t*>(aligned_.data()), payload.size()},
                           kMaxDepth, kFewTables + tables);
  const bool good = verifier.is(*version.request);
  // One large payload does not keep its size for ever.
  if (aligned_.size() > kMaxFileBytes / 8) std::vector<std::uint64_t>().swap(aligned_);
  return good;
}

std::string ContractSet::description() const {
  if (contracts_.empty()) return {};
  std::string text = "payloads are checked against";
  for (const auto& [type, versions] : versions_) text += " " + type;
  return text;
}

}  // namespace jobwire::contracts
