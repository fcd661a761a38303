// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ports/contracts.h"

namespace jobwire::contracts {

/// Contracts as binary schemas, by which payloads are verified (PayloadVerifier):
/// bounded in depth and in tables, so that a small payload cannot cost much time.
///
/// A job that carries the hash of a method here must have its request as payload; a job of that
/// type without a hash the request of one of the versions here. A hash that is not here is left to
/// the workers.
class ContractSet final : public ports::Contracts {
 public:
  ContractSet();
  ~ContractSet() override;

  ports::Status load(std::vector<ports::ContractFile> files) override;
  const char* objection(const core::Submission& job) override;
  std::string description() const override;

 private:
  struct Version;
  using Versions = std::map<std::string, std::vector<Version>, std::less<>>;

  ports::Status read(const ports::ContractFile& file, Versions& into) const;
  bool fits(const Version& version, std::span<const std::uint8_t> payload);

  std::vector<ports::ContractFile> files_;
  Versions versions_;  // by job type
  std::vector<std::uint64_t> aligned_;
};

}  // namespace jobwire::contracts
