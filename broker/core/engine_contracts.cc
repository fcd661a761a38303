// SPDX-License-Identifier: Apache-2.0
// Contracts that operators put and remove: kept like everything else, by a commit.
#include "core/engine.h"

namespace jobwire::core {
namespace {

constexpr Millis kRetrySoon{200};
constexpr Millis kRetryLater{1'000};

}  // namespace

void Engine::on(const ContractAsked& asked, Now now, Effects& out) {
  if (!hear(asked.session, asked.request, now, out)) return;
  ContractDoneOut change;
  change.session = asked.session;
  change.request = asked.request;
  change.name = asked.name;
  change.schema = asked.schema;
  const auto refuse_it = [&](Code code, const char* message, Millis retry_after) {
    change.code = code;
    change.message = message;
    change.retry_after = retry_after;
    out.contracts_done.push_back(std::move(change));
  };
  if (shutting_down_) return refuse_it(Code::kShuttingDown, "the broker is stopping", Millis{0});
  if (store_away_) return refuse_it(Code::kStoreUnavailable, "the store is away", kRetryLater);
  if (asked.schema && store_scarce_)
    return refuse_it(Code::kStoreFull, "the store runs short of memory", kRetryLater);
  if (contract_change_)
    return refuse_it(Code::kWindowFull, "another contract waits for the store", kRetrySoon);
  contract_change_ = std::move(change);
}

void Engine::contract_committed(Effects& out) {
  if (batch_.contracts.empty()) return;
  out.contracts_done.push_back(std::move(*contract_change_));
  contract_change_.reset();
}

void Engine::contract_rejected(Code code, Effects& out) {
  // It was refused with the new jobs of its batch; without them it is taken.
  if (batch_.contracts.empty() || code == Code::kStoreFull) return;
  contract_change_->code = code;
  contract_change_->message = "the store did not take it";
  contract_change_->retry_after = kRetryLater;
  out.contracts_done.push_back(std::move(*contract_change_));
  contract_change_.reset();
}

}  // namespace jobwire::core
