// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
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

/// The contracts that this broker holds, and judges payloads by. The broker's one thread calls it.
class Contracts {
 public:
  virtual ~Contracts() = default;

  /// Takes these instead of what it has. A failure names the file, and changes nothing.
  virtual Status load(std::vector<ContractFile> files) = 0;

  /// Why the payload is not what the job's contract says, in words that stay as long as this
  /// object; null when it is, or when no contract here speaks of the job. Costs one pass over the
  /// payload.
  virtual const char* objection(const core::Submission& job) = 0;

  /// One line about what it holds, for the log; empty when it holds nothing.
  virtual std::string description() const = 0;
};

}  // namespace jobwire::ports
