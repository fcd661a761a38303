// SPDX-License-Identifier: Apache-2.0
#include "runtime/contract_register.h"

#include <cassert>
#include <string>
#include <utility>

#include "core/admission.h"

namespace jobwire::runtime {

void ContractRegister::use(ports::Contracts& contracts,
                           std::optional<std::vector<ports::ContractFile>> deployed) {
  contracts_ = &contracts;
  deployed_ = std::move(deployed);
}

ports::Status ContractRegister::recover(ports::Store& store) {
  if (!contracts_) return {};
  if (deployed_) {
    if (ports::Status kept = store.keep_contracts(*deployed_); !kept) return kept;
    if (ports::Status loaded = contracts_->load(*deployed_); !loaded) return loaded;
  } else {
    auto kept = store.recover_contracts();
    if (!kept) return kept.failure();
    if (ports::Status loaded = contracts_->load(std::move(*kept)); !loaded) return loaded;
  }
  const std::string description = contracts_->description();
  if (!description.empty()) log_.write(ports::Level::kInfo, "", description);
  return {};
}

void ContractRegister::judge(core::Submitted& submit) {
  if (!contracts_) return;
  judged_.clear();
  for (std::size_t i = 0; i < submit.jobs.size(); ++i) {
    const char* objection = contracts_->objection(submit.jobs[i]);
    if (!objection) continue;
    // Mostly there is none, and nothing is copied.
    if (judged_.empty()) judged_.assign(submit.jobs.begin(), submit.jobs.end());
    judged_[i].objection = objection;
  }
  if (!judged_.empty()) submit.jobs = judged_;
}

void ContractRegister::answer(const wire::ContractCommandIn& command, core::Code code,
                              std::string message) {
  replies_.push_back(
      {command.session, command.request, code, std::move(message), core::Millis{0}, {}});
}

void ContractRegister::take(const wire::ContractCommandIn& command, core::Engine& engine,
                            core::Now now, core::Effects& effects) {
  if (!contracts_)
    return answer(command, core::Code::kNotPermitted, "this broker checks no payloads");
  if (command.action == wire::ContractAction::List) {
    replies_.push_back({command.session, command.request, core::Code::kNone, "", core::Millis{0},
                        contracts_->held(command.after)});
    return;
  }
  if (deployed_) {
    return answer(command, core::Code::kNotPermitted,
                  "this broker was started with --contracts: its folder says what holds");
  }
  if (!core::is_name(command.name))
    return answer(command, core::Code::kInvalidName, "name: 1 to 128 letters, digits and _ . / -");
  core::ContractAsked asked;
  asked.session = command.session;
  asked.request = command.request;
  asked.name = command.name;
  if (command.action == wire::ContractAction::Put) {
    const ports::Status good = contracts_->check(
        {std::string(command.name),
         {reinterpret_cast<const char*>(command.schema.data()), command.schema.size()}});
    if (!good) return answer(command, core::Code::kInvalidArgument, good.failure().message);
    asked.schema = core::Bytes::copy_of(command.schema);
  } else if (!contracts_->holds(command.name)) {
    // Done before, perhaps by this very command, whose answer was lost.
    return answer(command, core::Code::kNone, "");
  }
  std::string line = "contract " + std::string(command.name) + ": ";
  line += command.action == wire::ContractAction::Put ? "put" : "removal";
  line += " asked for by " + std::string(command.by);
  if (!command.why.empty()) line += ": " + std::string(command.why);
  log_.write(ports::Level::kInfo, "", line);
  engine.apply(asked, now, effects);
}

void ContractRegister::take(const core::ContractDoneOut& done) {
  wire::ContractReplyOut reply{done.session, done.request,     done.code,
                               done.message, done.retry_after, {}};
  if (done.code == core::Code::kNone && done.schema) {
    // Nothing has changed since it was checked: one change at a time is under way.
    auto held = contracts_->put({done.name, std::string(done.schema.view())});
    assert(held);
    reply.contracts.push_back(std::move(*held));
  } else if (done.code == core::Code::kNone) {
    contracts_->remove(done.name);
  }
  replies_.push_back(std::move(reply));
}

}  // namespace jobwire::runtime
