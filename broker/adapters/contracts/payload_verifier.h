// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <flatbuffers/flatbuffers.h>
#include <flatbuffers/reflection_generated.h>

#include <cstdint>
#include <span>

namespace jobwire::contracts {

/// Whether bytes are a FlatBuffer of a type that only its schema knows, so that no reader of it
/// leaves them, and whether what is required is there. Made for one buffer.
///
/// FlatBuffers has such a function, flatbuffers::Verify; that of 2.0.8 follows offsets of tables
/// and unions before it has looked where they are, and the missing types of a vector of unions, so
/// that a few bytes from a producer could end the broker.
class PayloadVerifier {
 public:
  /// Requires: the schema is verified, and its types refer to what is there; the bytes are aligned
  /// to 8.
  PayloadVerifier(const reflection::Schema& schema, std::span<const std::uint8_t> bytes,
                  flatbuffers::uoffset_t most_depth, flatbuffers::uoffset_t most_tables);

  bool is(const reflection::Object& root);

 private:
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
  const std::uint8_t* bytes_;
  flatbuffers::Verifier verifier_;
};

}  // namespace jobwire::contracts
