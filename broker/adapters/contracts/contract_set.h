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
  ports::Result<ports::HeldContract> put(ports::ContractFile file) override;
  ports::Status check(const ports::ContractFile& file) const override;
  bool holds(std::string_view name) const override { return contracts_.contains(name); }
  void remove(std::string_view name) override;
  std::vector<ports::HeldContract> held(std::string_view after) const override;
  const char* objection(const core::Submission& job) override;
  std::string description() const override;

 private:
  struct Version;
  struct Contract;
  using ByName = std::map<std::string, std::unique_ptr<const Contract>, std::less<>>;

  static ports::Result<std::unique_ptr<const Contract>> read(ports::ContractFile file);
  static ports::HeldContract look(const Contract& contract);
  ports::Status room_for(const ports::ContractFile& file) const;
  void index();
  bool fits(const Version& version, std::span<const std::uint8_t> payload);

  ByName contracts_;
  std::map<std::string, std::vector<const Version*>, std::less<>> versions_;  // by job type
  std::vector<std::uint64_t> aligned_;
};

}  // namespace jobwire::contracts
