// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/agenda.h"
#include "sim/coverage.h"
#include "sim/ledger.h"
#include "sim/network.h"
#include "sim/plan.h"
#include "sim/trace.h"

namespace jobwire::sim {

/// What every peer has at hand.
struct Scene {
  Agenda& agenda;
  Network& network;
  Ledger& ledger;
  const Plan& plan;
  Trace& trace;
  Coverage& coverage;
  bool calm = false;  // no more faults, and no new work: everything is to end
};

}  // namespace jobwire::sim
