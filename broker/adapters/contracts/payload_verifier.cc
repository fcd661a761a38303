// SPDX-License-Identifier: Apache-2.0
#include "adapters/contracts/payload_verifier.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace jobwire::contracts {
namespace {

using flatbuffers::Offset;
using flatbuffers::String;
using flatbuffers::Table;
using flatbuffers::Vector;
using flatbuffers::voffset_t;
using reflection::BaseType;

constexpr int kNestedLevels = 8;
/// Buffers that lie inside one another are each looked at once a level; that two fields refer to
/// the same one is allowed, and that thousands do is not.
constexpr std::size_t kNestedBytes = 8;
constexpr std::size_t kLeastNested = 64;

/// 0 for what is no scalar.
std::size_t scalar_size(BaseType type) {
  switch (type) {
    case BaseType::UType:
    case BaseType::Bool:
    case BaseType::Byte:
    case BaseType::UByte:
      return 1;
    case BaseType::Short:
    case BaseType::UShort:
      return 2;
    case BaseType::Int:
    case BaseType::UInt:
    case BaseType::Float:
      return 4;
    case BaseType::Long:
    case BaseType::ULong:
    case BaseType::Double:
      return 8;
    default:
      return 0;
  }
}

/// The type of a union is the field before it.
voffset_t before(voffset_t offset) { return static_cast<voffset_t>(offset - sizeof(voffset_t)); }

flatbuffers::uoffset_t size_of(const std::uint8_t* vector) {
  return flatbuffers::ReadScalar<flatbuffers::uoffset_t>(vector);
}

}  // namespace

bool find_nested(const reflection::Schema& schema, NestedFields& nested) {
  std::map<std::string_view, const reflection::Object*> by_name;
  for (const reflection::Object* object : *schema.objects())
    by_name.emplace(object->name()->string_view(), object);
  for (const reflection::Object* object : *schema.objects()) {
    for (const reflection::Field* field : *object->fields()) {
      if (!field->attributes()) continue;
      for (const reflection::KeyValue* attribute : *field->attributes()) {
        if (attribute->key()->string_view() != "nested_flatbuffer") continue;
        if (field->type()->base_type() != BaseType::Vector ||
            field->type()->element() != BaseType::UByte || !attribute->value())
          return false;
        // As flatc looks for it: in the table's namespace, then in those around it.
        auto root = by_name.end();
        std::string space = object->name()->str();
        while (root == by_name.end() && !space.empty()) {
          const std::size_t dot = space.rfind('.');
          space.resize(dot == std::string::npos ? 0 : dot);
          root = by_name.find(space + (space.empty() ? "" : ".") + attribute->value()->str());
        }
        if (root == by_name.end() || root->second->is_struct()) return false;
        nested.emplace(field, root->second);
      }
    }
  }
  return true;
}

PayloadVerifier::PayloadVerifier(const reflection::Schema& schema, const NestedFields& nested,
                                 std::span<const std::uint8_t> bytes,
                                 flatbuffers::uoffset_t most_depth,
                                 flatbuffers::uoffset_t most_tables)
    : schema_(schema),
      nested_(nested),
      bytes_(bytes.data()),
      most_depth_(most_depth),
      own_nesting_{kNestedLevels, kNestedBytes * bytes.size()},
      nesting_(own_nesting_),
      verifier_(bytes.data(), bytes.size(), most_depth, most_tables) {}

PayloadVerifier::PayloadVerifier(const PayloadVerifier& outer, std::span<const std::uint8_t> bytes)
    : schema_(outer.schema_),
      nested_(outer.nested_),
      bytes_(bytes.data()),
      most_depth_(outer.most_depth_),
      nesting_(outer.nesting_),
      // A table has 4 bytes at least, and whoever refers to it as many.
      verifier_(bytes.data(), bytes.size(), most_depth_,
                static_cast<flatbuffers::uoffset_t>(kLeastNested + bytes.size() / 8)) {}

bool PayloadVerifier::nested(const reflection::Object& root, const std::uint8_t* vector) {
  const std::size_t size = size_of(vector);
  const std::size_t cost = std::max(size, kLeastNested);
  if (nesting_.levels == 0 || size < 8 || cost > nesting_.bytes) return false;
  nesting_.bytes -= cost;
  --nesting_.levels;
  // It starts at any address.
  std::vector<std::uint64_t> aligned((size + 7) / 8);
  std::memcpy(aligned.data(), vector + sizeof(flatbuffers::uoffset_t), size);
  PayloadVerifier inner(*this, {reinterpret_cast<const std::uint8_t*>(aligned.data()), size});
  const bool good = inner.is(root);
  ++nesting_.levels;
  return good;
}

bool PayloadVerifier::is(const reflection::Object& root) {
  const flatbuffers::uoffset_t offset = verifier_.VerifyOffset(0);
  return offset != 0 && table(root, bytes_ + offset);
}

bool PayloadVerifier::table(const reflection::Object& object, const std::uint8_t* at) {
  const auto& here = *reinterpret_cast<const Table*>(at);
  if (!here.VerifyTableStart(verifier_)) return false;
  for (const reflection::Field* each : *object.fields()) {
    if (!each->deprecated() && !field(here, *each)) return false;
  }
  return verifier_.EndTable();
}

bool PayloadVerifier::field(const Table& table, const reflection::Field& field) {
  if (field.required() && !table.CheckField(field.offset())) return false;
  switch (field.type()->base_type()) {
    case BaseType::String:
      return table.VerifyOffset(verifier_, field.offset()) &&
             verifier_.VerifyString(table.GetPointer<const String*>(field.offset()));
    case BaseType::Vector:
      return vector(table, field);
    case BaseType::Obj:
      return object(table, field);
    case BaseType::Union:
      return union_of_table(table, field);
    default:
      return scalar(table, field);
  }
}

bool PayloadVerifier::scalar(const Table& table, const reflection::Field& field) const {
  switch (scalar_size(field.type()->base_type())) {
    case 1:
      return table.VerifyField<std::uint8_t>(verifier_, field.offset(), 1);
    case 2:
      return table.VerifyField<std::uint16_t>(verifier_, field.offset(), 2);
    case 4:
      return table.VerifyField<std::uint32_t>(verifier_, field.offset(), 4);
    case 8:
      return table.VerifyField<std::uint64_t>(verifier_, field.offset(), 8);
    default:
      return false;  // nothing else is in a table
  }
}

const reflection::Object& PayloadVerifier::object_of(const reflection::Type& type) const {
  return *schema_.objects()->Get(static_cast<flatbuffers::uoffset_t>(type.index()));
}

bool PayloadVerifier::structure(const reflection::Object& object, const std::uint8_t* at) const {
  const auto place = static_cast<std::size_t>(at - bytes_);
  return verifier_.Verify(place, static_cast<std::size_t>(object.bytesize())) &&
         place % static_cast<std::size_t>(object.minalign()) == 0;
}

bool PayloadVerifier::object(const Table& table, const reflection::Field& field) {
  const reflection::Object& object = object_of(*field.type());
  if (object.is_struct()) {
    const voffset_t offset = table.GetOptionalFieldOffset(field.offset());
    return offset == 0 || structure(object, reinterpret_cast<const std::uint8_t*>(&table) + offset);
  }
  if (!table.VerifyOffset(verifier_, field.offset())) return false;
  const auto* at = table.GetPointer<const std::uint8_t*>(field.offset());
  return !at || this->table(object, at);
}

bool PayloadVerifier::union_of_table(const Table& table, const reflection::Field& field) {
  if (!table.VerifyField<std::uint8_t>(verifier_, before(field.offset()), 1) ||
      !table.VerifyOffset(verifier_, field.offset()))
    return false;
  const auto number = table.GetField<std::uint8_t>(before(field.offset()), 0);
  const auto* at = table.GetPointer<const std::uint8_t*>(field.offset());
  if (number == 0 || !at) return number == 0 && !at && !field.required();
  return member(*field.type(), number, at);
}

bool PayloadVerifier::member(const reflection::Type& type, std::uint8_t number,
                             const std::uint8_t* at) {
  const auto index = static_cast<flatbuffers::uoffset_t>(type.index());
  for (const reflection::EnumVal* value : *schema_.enums()->Get(index)->values()) {
    if (value->value() != number) continue;
    const reflection::Type& kind = *value->union_type();
    if (kind.base_type() == BaseType::String)
      return verifier_.VerifyString(reinterpret_cast<const String*>(at));
    if (kind.base_type() != BaseType::Obj) return false;
    const reflection::Object& object = object_of(kind);
    return object.is_struct() ? structure(object, at) : table(object, at);
  }
  return false;
}

bool PayloadVerifier::vector(const Table& table, const reflection::Field& field) {
  if (!table.VerifyOffset(verifier_, field.offset())) return false;
  const auto* at = table.GetPointer<const std::uint8_t*>(field.offset());
  if (!at) return true;
  const BaseType element = field.type()->element();
  if (element == BaseType::String) {
    const auto* strings = reinterpret_cast<const Vector<Offset<String>>*>(at);
    return verifier_.VerifyVector(strings) && verifier_.VerifyVectorOfStrings(strings);
  }
  if (element == BaseType::Union) return unions(table, field, at);
  if (element != BaseType::Obj) {
    const std::size_t size = scalar_size(element);
    if (size == 0 || !verifier_.VerifyVectorOrString(at, size)) return false;
    if (element != BaseType::UByte || nested_.empty()) return true;
    const auto inside = nested_.find(&field);
    return inside == nested_.end() || nested(*inside->second, at);
  }
  const reflection::Object& object = object_of(*field.type());
  if (object.is_struct()) {
    const auto start = static_cast<std::size_t>(at - bytes_) + sizeof(flatbuffers::uoffset_t);
    return verifier_.VerifyVectorOrString(at, static_cast<std::size_t>(object.bytesize())) &&
           (size_of(at) == 0 || start % static_cast<std::size_t>(object.minalign()) == 0);
  }
  const auto* tables = reinterpret_cast<const Vector<Offset<Table>>*>(at);
  if (!verifier_.VerifyVector(tables)) return false;
  for (const Table* each : *tables) {
    if (!this->table(object, reinterpret_cast<const std::uint8_t*>(each))) return false;
  }
  return true;
}

bool PayloadVerifier::unions(const Table& table, const reflection::Field& field,
                             const std::uint8_t* values) {
  if (!table.VerifyOffset(verifier_, before(field.offset()))) return false;
  const auto* numbers = table.GetPointer<const Vector<std::uint8_t>*>(before(field.offset()));
  const auto* tables = reinterpret_cast<const Vector<Offset<Table>>*>(values);
  if (!numbers || !verifier_.VerifyVector(numbers) || !verifier_.VerifyVector(tables) ||
      numbers->size() != tables->size())
    return false;
  for (flatbuffers::uoffset_t i = 0; i < tables->size(); ++i) {
    if (!member(*field.type(), numbers->Get(i),
                reinterpret_cast<const std::uint8_t*>(tables->Get(i))))
      return false;
  }
  return true;
}

}  // namespace jobwire::contracts
