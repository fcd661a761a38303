// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <flatbuffers/flatbuffers.h>
#include <flatbuffers/reflection_generated.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>

namespace jobwire::contracts {

/// Fields whose bytes are a FlatBuffer of their own (`nested_flatbuffer`), and its root's type.
using NestedFields = std::unordered_map<const reflection::Field*, const reflection::Object*>;

/// False when one of them names a type that is not there. A schema that flatc wrote without
/// --bfbs-builtins does not say which fields these are. Requires: as PayloadVerifier.
bool find_nested(const reflection::Schema& schema, NestedFields& nested);

/// Whether bytes are a FlatBuffer of a type that only its schema knows, so that no reader of it
/// leaves them, and whether what is required is there. Made for one buffer.
///
/// FlatBuffers has such a function, flatbuffers::Verify; that of 2.0.8 follows offsets of tables
/// and unions before it has looked where they are, and the missing types of a vector of unions, so
/// that a few bytes from a producer could end the broker. Nor does it look into nested buffers.
class PayloadVerifier {
 public:
  /// Requires: the schema is verified, and its types refer to what is there; the bytes are aligned
  /// to 8.
  PayloadVerifier(const reflection::Schema& schema, const NestedFields& nested,
                  std::span<const std::uint8_t> bytes, flatbuffers::uoffset_t most_depth,
                  flatbuffers::uoffset_t most_tables);

  bool is(const reflection::Object& root);

 private:
  /// What the buffers inside one payload may cost together.
  struct Nesting {
    int levels = 0;
    std::size_t bytes = 0;
  };
  PayloadVerifier(const PayloadVerifier& outer, std::span<const std::uint8_t> bytes);

  bool nested(const reflection::Object& root, const std::uint8_t* vector);
  bool table(const reflection::Object& object, const std::uint8_t* at);
  bool field(const flatbuffers::Table& table, const reflection::Field& field);
  bool scalar(const flatbuffers::Table& table, const reflection::Field& field) const;
  bool object(const flatbuffers::Table& table, const reflection::Field& field);
  bool union_of_table(const flatbuffers::Table& table, const reflection::Field& field);
  bool vector(const flatbuffers::Table& table, const reflection::Field& field);
  bool unions(const flatbuffers::Table& table, const reflection::Field& field,
              const std::uint8_t* values);
  bool member(const reflection::Type& type, std::uint8_t number, const std::uint8_t* at);
  bool structure(const reflection::Object& object, const std::uint8_t* at) const;
  const reflection::Object& object_of(const reflection::Type& type) const;

  const reflection::Schema& schema_;
  const NestedFields& nested_;
  const std::uint8_t* bytes_;
  const flatbuffers::uoffset_t most_depth_;
  Nesting own_nesting_;
  Nesting& nesting_;  // of the outermost
  flatbuffers::Verifier verifier_;
};

}  // namespace jobwire::contracts
