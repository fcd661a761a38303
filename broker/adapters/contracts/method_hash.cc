// SPDX-License-Identifier: Apache-2.0
#include "adapters/contracts/method_hash.h"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <map>
#include <string_view>
#include <vector>

namespace jobwire::contracts {
namespace {

using reflection::BaseType;
using reflection::Enum;
using reflection::Field;
using reflection::Object;
using reflection::Schema;
using reflection::Type;

/// The types that a method is made of, by name.
class Reachable {
 public:
  Reachable(const Schema& schema, const reflection::RPCCall& call) : schema_(schema) {
    add(*call.request());
    add(*call.response());
    while (!todo_.empty()) {
      const Object* object = todo_.back();
      todo_.pop_back();
      for (const Field* field : *object->fields()) visit(*field->type());
    }
  }

  std::map<std::string_view, const Object*> objects;
  std::map<std::string_view, const Enum*> enums;

 private:
  void add(const Object& object) {
    if (objects.emplace(object.name()->string_view(), &object).second) todo_.push_back(&object);
  }
  void visit(const Type& type) {
    if (type.index() < 0) return;
    const bool many = type.base_type() == BaseType::Vector || type.base_type() == BaseType::Array;
    const auto index = static_cast<flatbuffers::uoffset_t>(type.index());
    if ((many ? type.element() : type.base_type()) == BaseType::Obj) {
      return add(*schema_.objects()->Get(index));
    }
    const Enum& found = *schema_.enums()->Get(index);
    if (!enums.emplace(found.name()->string_view(), &found).second || !found.is_union()) return;
    for (const reflection::EnumVal* member : *found.values()) visit(*member->union_type());
  }

  const Schema& schema_;
  std::vector<const Object*> todo_;
};

std::string one_text(const Schema& schema, BaseType base, int index) {
  std::string text = reflection::EnumNameBaseType(base);
  if (index < 0) return text;
  const auto at = static_cast<flatbuffers::uoffset_t>(index);
  return text + " " +
         (base == BaseType::Obj ? schema.objects()->Get(at)->name()->str()
                                : schema.enums()->Get(at)->name()->str());
}

std::string type_text(const Schema& schema, const Type& type) {
  if (type.base_type() == BaseType::Vector) {
    return "[" + one_text(schema, type.element(), type.index()) + "]";
  }
  if (type.base_type() == BaseType::Array) {
    return "[" + one_text(schema, type.element(), type.index()) + ":" +
           std::to_string(type.fixed_length()) + "]";
  }
  return one_text(schema, type.base_type(), type.index());
}

void put(const Schema& schema, const Field& field, std::string& text) {
  std::uint64_t bits = 0;
  const double real = field.default_real();
  std::memcpy(&bits, &real, sizeof bits);
  std::array<char, 17> hex{};
  std::snprintf(hex.data(), hex.size(), "%016" PRIx64, bits);
  text += " " + std::to_string(field.id()) + " " + std::to_string(field.offset()) + " " +
          field.name()->str() + " " + type_text(schema, *field.type()) + " " +
          std::to_string(field.default_integer()) + " " + hex.data();
  if (field.deprecated()) text += " deprecated";
  if (field.required()) text += " required";
  if (field.optional()) text += " optional";
  if (field.key()) text += " key";
  text += "\n";
}

void put(const Schema& schema, const Object& object, std::string& text) {
  text += object.is_struct() ? "struct " : "table ";
  text += object.name()->str();
  if (object.is_struct()) {
    text += " " + std::to_string(object.minalign()) + " " + std::to_string(object.bytesize());
  }
  text += "\n";
  std::vector<const Field*> fields(object.fields()->begin(), object.fields()->end());
  std::sort(fields.begin(), fields.end(),
            [](const Field* a, const Field* b) { return a->id() < b->id(); });
  for (const Field* field : fields) put(schema, *field, text);
}

void put(const Schema& schema, const Enum& kind, std::string& text) {
  text += (kind.is_union() ? "union " : "enum ") + kind.name()->str() + " " +
          reflection::EnumNameBaseType(kind.underlying_type()->base_type()) + "\n";
  std::vector<const reflection::EnumVal*> values(kind.values()->begin(), kind.values()->end());
  std::sort(values.begin(), values.end(),
            [](const auto* a, const auto* b) { return a->value() < b->value(); });
  for (const reflection::EnumVal* value : values) {
    text += " " + std::to_string(value->value()) + " " + value->name()->str();
    if (kind.is_union()) text += " " + type_text(schema, *value->union_type());
    text += "\n";
  }
}

}  // namespace

std::string describe(const Schema& schema, const reflection::RPCCall& call) {
  std::string text = "jobwire contract 1\nrequest " + call.request()->name()->str() +
                     "\nresponse " + call.response()->name()->str() + "\n";
  const Reachable reachable(schema, call);
  for (const auto& [name, object] : reachable.objects) put(schema, *object, text);
  for (const auto& [name, kind] : reachable.enums) put(schema, *kind, text);
  return text;
}

std::uint64_t hash_of(std::string_view description) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : description) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  return hash == 0 ? 1 : hash;
}

}  // namespace jobwire::contracts
