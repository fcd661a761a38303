// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/code.h"
#include "core/event.h"
#include "jobwire/wire/message_generated.h"

namespace jobwire::wire {

/// Who may send a kind of message, as bits.
enum From : std::uint8_t {
  kFromProducer = 1,
  kFromWorker = 2,
  kFromAgent = 4,
  kFromOperator = 8,
  kFromClient = kFromProducer | kFromOperator,
  kFromAny = kFromProducer | kFromWorker | kFromAgent | kFromOperator,
  kFromBroker = 16,
};

struct KindRule {
  Body kind;
  std::uint8_t from;
};

/// The one place that says who sends what. The table "Messages" of PROTOCOL.md is compared with it
/// by a test. The position of a rule is its kind's number less one.
inline constexpr std::array kKindRules = {
    KindRule{Body::Hello, kFromAny},
    KindRule{Body::Welcome, kFromBroker},
    KindRule{Body::Refused, kFromBroker},
    KindRule{Body::Goodbye, kFromAny | kFromBroker},
    KindRule{Body::Heartbeat, kFromAny},
    KindRule{Body::Submit, kFromClient},
    KindRule{Body::Receipts, kFromBroker},
    KindRule{Body::ResultRequest, kFromClient},
    KindRule{Body::ResultPush, kFromBroker},
    KindRule{Body::Cancel, kFromClient},
    KindRule{Body::CancelReply, kFromBroker},
    KindRule{Body::Ready, kFromWorker},
    KindRule{Body::Dispatch, kFromBroker},
    KindRule{Body::Results, kFromWorker},
    KindRule{Body::ResultAck, kFromBroker},
    KindRule{Body::HandBack, kFromWorker},
    KindRule{Body::Recall, kFromBroker},
    KindRule{Body::CancelLease, kFromBroker},
    KindRule{Body::Revoke, kFromBroker},
    KindRule{Body::WorkerDown, kFromAgent},
    KindRule{Body::Progress, kFromWorker | kFromAgent},
    KindRule{Body::ProgressPush, kFromBroker},
    KindRule{Body::QueueCommand, kFromOperator},
    KindRule{Body::QueueReply, kFromBroker},
    KindRule{Body::Sweep, kFromOperator},
    KindRule{Body::SweepReport, kFromBroker},
    KindRule{Body::DeadQuery, kFromOperator},
    KindRule{Body::DeadPage, kFromBroker},
    KindRule{Body::DeadImport, kFromOperator},
    KindRule{Body::Checkpoints, kFromWorker},
    KindRule{Body::CheckpointAck, kFromBroker},
    KindRule{Body::ContractCommand, kFromOperator},
    KindRule{Body::ContractReply, kFromBroker},
};

static_assert(kKindRules.size() == static_cast<std::size_t>(Body::MAX));
static_assert([] {
  for (std::size_t i = 0; i < kKindRules.size(); ++i) {
    if (static_cast<std::size_t>(kKindRules[i].kind) != i + 1) return false;
  }
  return true;
}());

constexpr std::uint8_t bit_of(core::Role role) {
  switch (role) {
    case core::Role::kNone:
      return 0;
    case core::Role::kProducer:
      return kFromProducer;
    case core::Role::kWorker:
      return kFromWorker;
    case core::Role::kAgent:
      return kFromAgent;
    case core::Role::kOperator:
      return kFromOperator;
  }
  return 0;
}

/// Whether a session of `role` (kNone: no session yet) may send `kind` to the broker: kNone,
/// UnknownKind, HelloFirst or WrongRole.
constexpr core::Code judge(Body kind, core::Role role) {
  const auto number = static_cast<std::size_t>(kind);
  if (number == 0 || number > kKindRules.size()) return core::Code::kUnknownKind;
  const std::uint8_t from = kKindRules[number - 1].from;
  if ((from & kFromAny) == 0) return core::Code::kUnknownKind;
  if (kind == Body::Hello) return core::Code::kNone;
  if (role == core::Role::kNone) return core::Code::kHelloFirst;
  return (from & bit_of(role)) != 0 ? core::Code::kNone : core::Code::kWrongRole;
}

}  // namespace jobwire::wire
