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
  std::uint64_t hash = 0;
  const reflection::Schema* schema = nullptr;
  const reflection::Object* request = nullptr;
  std::string wrong_encoding;
  std::string wrong_bytes;
};

ContractSet::ContractSet() = default;
ContractSet::~ContractSet() = default;

ports::Status ContractSet::load(std::vector<ports::ContractFile> files) {
  if (files.size() > kMaxFiles) return ports::Failure{"more than 256 contracts"};
  Versions versions;
  // The versions point into the files' bytes, which move with the vector.
  for (const ports::ContractFile& file : files) {
    if (ports::Status status = read(file, versions); !status) return status;
  }
  files_ = std::move(files);
  versions_ = std::move(versions);
  return {};
}

ports::Status ContractSet::read(const ports::ContractFile& file, Versions& into) const {
  const auto refuse = [&](const char* why) {
    return ports::Failure{"contract " + file.name + ": " + why};
  };
  if (file.schema.size() > kMaxFileBytes) return refuse("larger than 1 MiB");
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(file.schema.data());
  flatbuffers::Verifier verifier(bytes, file.schema.size());
  if (file.schema.size() < 8 || !reflection::SchemaBufferHasIdentifier(bytes) ||
      !reflection::VerifySchemaBuffer(verifier)) {
    return refuse("not a binary schema; `jobwire gen --bfbs` and `flatc -b --schema` write them");
  }
  const reflection::Schema* schema = reflection::GetSchema(bytes);
  if (!is_sound(*schema)) return refuse("a type in it refers to none");
  if (!schema->services() || schema->services()->size() == 0) return refuse("no rpc_service in it");
  for (const reflection::Service* service : *schema->services()) {
    const std::string name = service->name()->str();
    const std::string short_name = name.substr(name.rfind('.') + 1);
    if (!service->calls()) continue;
    for (const reflection::RPCCall* call : *service->calls()) {
      Version version;
      version.hash = method_hash(*schema, *call);
      version.schema = schema;
      version.request = call->request();
      const std::string wanted = "not a verifiable FlatBuffer of " + call->request()->name()->str();
      version.wrong_bytes = wanted + ", which the contract " + file.name + " wants";
      version.wrong_encoding =
          wanted + ", which the contract " + file.name + " wants, but of another encoding";
      std::vector<Version>& known = into[short_name + "." + call->name()->str()];
      const bool again = std::any_of(known.begin(), known.end(),
                                     [&](const Version& v) { return v.hash == version.hash; });
      if (!again) known.push_back(std::move(version));
    }
  }
  return {};
}

const char* ContractSet::objection(const core::Submission& job) {
  const auto found = versions_.find(job.type);
  if (found == versions_.end()) return nullptr;
  const std::uint64_t contract = job.options ? job.options->contract : 0;
  const Version* nearest = nullptr;
  for (const Version& version : found->second) {
    if (contract != 0 && contract != version.hash) continue;
    nearest = &version;
    if (job.encoding == core::Encoding::kFlatBuffer && fits(version, job.payload)) return nullptr;
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
  PayloadVerifier verifier(*version.schema,
                           {reinterpret_cast<const std::uint8_t*>(aligned_.data()), payload.size()},
                           kMaxDepth, kFewTables + tables);
  const bool good = verifier.is(*version.request);
  // One large payload does not keep its size for ever.
  if (aligned_.size() > kMaxFileBytes / 8) std::vector<std::uint64_t>().swap(aligned_);
  return good;
}

std::string ContractSet::description() const {
  if (files_.empty()) return {};
  std::string text = "payloads are checked against";
  for (const auto& [type, versions] : versions_) text += " " + type;
  return text;
}

}  // namespace jobwire::contracts
