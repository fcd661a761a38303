// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/event.h"
#include "ports/result.h"

namespace jobwire::ports {

/// A contract as flatc's binary schema (.bfbs), by the name of its file.
struct ContractFile {
  std::string name;
  std::string schema;

  friend bool operator==(const ContractFile&, const ContractFile&) = default;
};

/// What a contract that is held speaks of: job types, and the hash of each.
struct HeldContract {
  struct Method {
    std::string type;
    std::uint64_t hash = 0;

    friend bool operator==(const Method&, const Method&) = default;
  };
  std::string name;
  std::size_t bytes = 0;  // of its schema
  std::vector<Method> methods;

  friend bool operator==(const HeldContract&, const HeldContract&) = default;
};

/// The contracts that this broker holds, and judges payloads by. The broker's one thread calls it.
class Contracts {
 public:
  virtual ~Contracts() = default;

  /// Takes these instead of what it has. A failure names the file, and changes nothing.
  virtual Status load(std::vector<ContractFile> files) = 0;

  /// Takes one more, or instead of the one of its name. A failure says why not, and changes
  /// nothing.
  virtual Result<HeldContract> put(ContractFile file) = 0;
  /// Whether put() would take it.
  virtual Status check(const ContractFile& file) const = 0;
  virtual bool holds(std::string_view name) const = 0;
  virtual void remove(std::string_view name) = 0;
  /// By name, those behind `after`.
  virtual std::vector<HeldContract> held(std::string_view after) const = 0;

  /// Why the payload is not what the job's contract says, in words that stay until the contracts
  /// change; null when it is, or when no contract here speaks of the job. Costs one pass over the
  /// payload.
  virtual const char* objection(const core::Submission& job) = 0;

  /// One line about what it holds, for the log; empty when it holds nothing.
  virtual std::string description() const = 0;
};

}  // namespace jobwire::ports
