// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "core/effect.h"
#include "core/engine.h"
#include "ports/contracts.h"
#include "ports/log.h"
#include "ports/result.h"
#include "ports/store.h"
#include "wire/decoder.h"
#include "wire/encoder.h"

namespace jobwire::runtime {

/// The contracts of a broker from its start to its end: those that it was started with, which stay
/// as they are; or without these the ones that the store keeps, which operators change. A change
/// holds once it is stored.
class ContractRegister {
 public:
  explicit ContractRegister(ports::Log& log) : log_(log) {}

  void use(ports::Contracts& contracts, std::optional<std::vector<ports::ContractFile>> deployed);
  ports::Status recover(ports::Store& store);

  /// Sets the objection of each job whose payload is not what its contract says. `jobs` may point
  /// into this object from then on, until the next call.
  void judge(core::Submitted& submit);

  /// Answers, or gives the change to the engine.
  void take(const wire::ContractCommandIn& command, core::Engine& engine, core::Now now,
            core::Effects& effects);
  /// The change is in the store, or was refused there.
  void take(const core::ContractDoneOut& done);

  /// What is to be sent; the caller empties it.
  std::vector<wire::ContractReplyOut>& replies() { return replies_; }

 private:
  void answer(const wire::ContractCommandIn& command, core::Code code, std::string message);

  ports::Log& log_;
  ports::Contracts* contracts_ = nullptr;
  std::optional<std::vector<ports::ContractFile>> deployed_;
  std::vector<core::Submission> judged_;
  std::vector<wire::ContractReplyOut> replies_;
};

}  // namespace jobwire::runtime
