// SPDX-License-Identifier: Apache-2.0
#include "rules.h"

#include <array>
#include <cstdio>
#include <string_view>
#include <vector>

#include "core/admission.h"
#include "core/config.h"
#include "core/lifecycle.h"
#include "core/random.h"
#include "core/retry.h"

namespace jobwire::golden {
namespace {

using core::BackoffKind;
using core::FailureCounts;
using core::Millis;
using core::Outcome;
using core::RetryPolicy;

std::string quoted(std::string_view text) { return '"' + std::string(text) + '"'; }
std::string truth(bool value) { return value ? "true" : "false"; }

// Shortest text that reads back as the same double.
std::string number(double value) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%.17g", value);
  return text.data();
}

template <class Range, class Fn>
std::string list(const Range& range, Fn&& text_of, std::string_view separator = ",") {
  std::string out = "[";
  for (const auto& one : range) {
    if (out.size() > 1) out += separator;
    out += text_of(one);
  }
  return out + "]";
}

std::string text_of(const RetryPolicy& policy) {
  return "{\"attempts\":" + std::to_string(policy.attempts) +
         ",\"timeouts\":" + std::to_string(policy.timeouts) +
         ",\"crashes\":" + std::to_string(policy.crashes) +
         ",\"backoff\":" + std::to_string(static_cast<int>(policy.backoff)) +
         ",\"base_ms\":" + std::to_string(policy.base.count()) +
         ",\"cap_ms\":" + std::to_string(policy.cap.count()) +
         ",\"factor\":" + number(policy.factor) + ",\"jitter\":" + truth(policy.jitter) +
         ",\"listed_ms\":" +
         list(policy.listed, [](Millis ms) { return std::to_string(ms.count()); }) +
         ",\"fatal\":" + list(policy.fatal, quoted) + "}";
}

std::vector<RetryPolicy> policies() {
  std::vector<RetryPolicy> all(7);
  all[1].jitter = false;
  all[1].base = Millis{200};
  all[1].cap = Millis{5'000};
  all[1].factor = 1.5F;
  all[2].backoff = BackoffKind::kFixed;
  all[2].base = Millis{700};
  all[2].jitter = false;
  all[3].backoff = BackoffKind::kListed;
  all[3].listed = {Millis{5}, Millis{50}, Millis{700'000}};
  all[3].cap = Millis{700'000};
  all[3].jitter = false;
  all[4].attempts = 1;
  all[4].timeouts = 2;
  all[4].crashes = 1;
  all[4].fatal = {"ValueError", "app.Gone"};
  all[5].backoff = BackoffKind::kListed;
  all[5].listed = {Millis{1'000}, Millis{60'000}};
  all[5].attempts = 100;
  all[6].factor = 3.3F;
  all[6].cap = Millis{30'000};
  all[6].attempts = 6;
  all[6].fatal = {"Gone"};
  return all;
}

// As they come from a producer: 0 and absent stand for the default.
std::vector<RetryPolicy> asked_for() {
  RetryPolicy nothing;
  nothing.attempts = nothing.timeouts = nothing.crashes = 0;
  nothing.base = nothing.cap = Millis{0};
  std::vector<RetryPolicy> all(4, nothing);
  all[1].attempts = 2;
  all[2].timeouts = 9;
  all[2].base = Millis{50};
  all[3].crashes = 1;
  all[3].attempts = 7;
  all[3].backoff = BackoffKind::kFixed;
  all[3].cap = Millis{10};
  return all;
}

class Verdicts {
 public:
  std::string text() {
    for (policy_ = 0; policy_ < all_.size(); ++policy_) {
      judge({1, 0, 0}, Outcome::kRejected, "jobwire.Reject", true, Millis{0});
      for (std::uint32_t used = 1; used <= 6; ++used) judge_all(used);
    }
    return out_;
  }

 private:
  void judge_all(std::uint32_t used) {
    for (const std::string_view type :
         {"builtins.ValueError", "app.Gone", "app.nested.Gone", "Gone", "KeyError"}) {
      for (const bool retryable : {true, false})
        judge({used, 3, 2}, Outcome::kRaised, type, retryable, Millis{0});
    }
    for (const Millis asked : {Millis{0}, Millis{2'500}, Millis{400LL * 24 * 3'600'000}})
      judge({used, 0, 0}, Outcome::kRetryAsked, "jobwire.Retry", true, asked);
    judge({9, used, 9}, Outcome::kTimedOut, "", true, Millis{0});
    judge({9, 9, used}, Outcome::kCrashed, "", true, Millis{0});
  }

  void judge(const FailureCounts& counts, Outcome outcome, std::string_view type, bool retryable,
             Millis asked) {
    const std::uint64_t seed = ++seed_ * 1'000'003;
    core::Random random(seed);
    const core::Verdict verdict =
        core::judge(all_[policy_], counts, outcome, type, retryable, asked, random);
    if (!out_.empty()) out_ += ",\n";
    out_ += "[" + std::to_string(policy_) + "," + std::to_string(counts.raised) + "," +
            std::to_string(counts.timed_out) + "," + std::to_string(counts.crashed) + "," +
            std::to_string(static_cast<int>(outcome)) + "," + quoted(type) + "," +
            truth(retryable) + "," + std::to_string(asked.count()) + "," + std::to_string(seed) +
            "," + truth(verdict.retry) + "," + std::to_string(verdict.delay.count()) + "," +
            std::to_string(static_cast<int>(verdict.reason)) + "]";
  }

  std::vector<RetryPolicy> all_ = policies();
  std::size_t policy_ = 0;
  std::uint64_t seed_ = 0;
  std::string out_;
};

}  // namespace

std::string rules() {
  const core::EngineConfig config;
  std::string out = "{\n\"transitions\": ";
  out += list(
      core::kTransitions,
      [](const core::Transition& one) {
        return "[" + quoted(name_of(one.from)) + "," + quoted(name_of(one.move)) + "," +
               quoted(name_of(one.to)) + "]";
      },
      ",\n");
  out += ",\n\"default_timeout_ms\": " + std::to_string(config.default_timeout.count());
  out += ",\n\"default_policy\": " + text_of(config.retry);
  out += ",\n\"completed\": ";
  out += list(
      asked_for(),
      [&](const RetryPolicy& asked) {
        return "[" + text_of(asked) + ",\n " + text_of(core::with_defaults(asked, config.retry)) +
               "]";
      },
      ",\n");
  out += ",\n\"policies\": " + list(policies(), text_of, ",\n");
  out += ",\n\"verdicts\": [\n" + Verdicts().text() + "]\n}\n";
  return out;
}

}  // namespace jobwire::golden
