// SPDX-License-Identifier: Apache-2.0
#include "core/sweep.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace jobwire::core {
namespace {

constexpr Millis kReportEvery{1'000};

}  // namespace

Pace::Pace(std::uint32_t per_second, Steady now)
    : capped_(per_second != 0),
      per_second_(per_second),
      most_(std::max(1.0, per_second_ / 10)),
      tokens_(1.0),
      filled_(now) {}

std::uint64_t Pace::allows(Steady now) {
  if (!capped_) return UINT64_MAX;
  const double seconds = std::chrono::duration<double>(now - filled_).count();
  tokens_ = std::min(most_, tokens_ + seconds * per_second_);
  filled_ = now;
  // A sum of fractions may fall short of the whole by its last bit.
  return static_cast<std::uint64_t>(tokens_ + 1e-9);
}

Steady Pace::next() const {
  const double seconds = std::max(0.0, 1.0 - tokens_) / per_second_;
  return filled_ + Micros(static_cast<Micros::rep>(std::ceil(seconds * 1e6)));
}

Sweep::Sweep(const SweepAsked& asked, std::uint64_t number_, Now now)
    : number(number_),
      session(asked.session),
      request(asked.request),
      action(asked.action),
      filter(asked.filter),
      by(asked.by),
      why(asked.why),
      dry_run(asked.dry_run),
      limit(asked.limit),
      to_queue(asked.to_queue),
      pace(asked.rate_per_s, now.steady),
      report_at(now.steady + kReportEvery),
      any_time(asked.filter.before == Wall{}) {
  if (any_time || filter.before > now.wall) filter.before = now.wall;
  // Whoever has just seen a job die means that one too, though it died in this millisecond. It
  // cannot have died again in it: that takes two commits.
  if (any_time && action != SweepAction::kPurge) filter.before += Millis(1);
}

std::uint8_t Sweeps::add(const SweepAsked& asked, Now now) {
  for (std::uint8_t slot = 1; slot <= kMost; ++slot) {
    if (slots_[slot - 1U]) continue;
    slots_[slot - 1U].emplace(asked, ++last_number_, now);
    ++size_;
    return slot;
  }
  return 0;
}

void Sweeps::remove(std::uint8_t slot) {
  assert(slots_[slot - 1U] && slots_[slot - 1U]->outstanding == 0);
  slots_[slot - 1U].reset();
  --size_;
}

std::uint8_t Sweeps::slot_of(std::uint64_t number) const {
  for (std::uint8_t slot = 1; slot <= kMost; ++slot) {
    if (slots_[slot - 1U] && slots_[slot - 1U]->number == number) return slot;
  }
  return 0;
}

}  // namespace jobwire::core
