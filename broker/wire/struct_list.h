// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <flatbuffers/flatbuffers.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace jobwire::wire {

/// Reads a verified vector of structs or numbers element by element, each copied out: the verifier
/// does not check that the elements are aligned, and a sender's bytes decide that. An absent vector
/// is empty.
template <typename Element>
class StructList {
 public:
  template <typename T>
  explicit StructList(const flatbuffers::Vector<T>* vector)
      : data_(vector ? vector->Data() : nullptr), size_(vector ? vector->size() : 0) {}

  std::size_t size() const { return size_; }
  /// Requires: i < size().
  Element operator[](std::size_t i) const {
    Element element;
    std::memcpy(&element, data_ + i * sizeof(Element), sizeof(Element));
    return element;
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};

}  // namespace jobwire::wire
