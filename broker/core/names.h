// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace jobwire::core {

/// Names turned into small numbers, for ever: the views stay valid for the table's life. The caller
/// bounds the count.
class NameTable {
 public:
  std::optional<std::uint32_t> find(std::string_view name) const {
    if (last_ < names_.size() && names_[last_] == name) return last_;
    const auto found = index_.find(name);
    if (found == index_.end()) return std::nullopt;
    last_ = found->second;
    return found->second;
  }

  /// Requires: the name is not here.
  std::uint32_t add(std::string_view name) {
    names_.emplace_back(name);
    const auto ix = static_cast<std::uint32_t>(names_.size() - 1);
    index_.emplace(names_.back(), ix);
    return ix;
  }

  std::string_view operator[](std::uint32_t ix) const { return names_[ix]; }
  std::uint32_t size() const { return static_cast<std::uint32_t>(names_.size()); }

 private:
  std::deque<std::string> names_;
  std::unordered_map<std::string_view, std::uint32_t> index_;
  mutable std::uint32_t last_ = 0;  // neighbours in a message mostly have the same name
};

}  // namespace jobwire::core
