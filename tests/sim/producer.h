// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sim/dice.h"
#include "sim/messages.h"
#include "sim/scene.h"

namespace jobwire::sim {

/// A client: submits, resends until it has a receipt or gives up on a refusal, asks for results,
/// cancels now and then.
class Producer : public Peer {
 public:
  Producer(Scene& scene, Dice dice, std::uint32_t number);

  void connected() override;
  void disconnected() override;
  void receive(const wire::Message& message, ByteSpan blob) override;

  /// Says nothing for so long.
  void be_silent(core::Micros time) { silent_until_ = scene_.agenda.steady() + time; }
  /// Every job is receipted and its end known, or refused.
  bool settled() const;
  std::string unsettled() const;

 private:
  struct Own {
    JobSpec spec;
    enum class At : std::uint8_t { kWaiting, kReceipted, kGone, kRefused } at = At::kWaiting;
    core::Steady sent{};
    core::Steady again{};  // not before
    core::Steady asked{};
    core::JobId job;  // that stands for it
    bool ended = false;
    bool cancels = false;
  };

  void tick();
  void greet();
  void send(Packet packet);
  void invent();
  void submit_waiting(bool all);
  void ask();
  void cancel_some();
  JobSpec draw_job(bool& invalid);
  core::RetryPolicy draw_retry();
  void take(const wire::Receipts& receipts);
  void take(const wire::ResultPush& push);
  void take(const wire::CancelReply& reply);
  void note_end(const core::JobId& job);

  Scene& scene_;
  Dice dice_;
  std::uint32_t number_;
  bool online_ = false;
  bool greeted_ = false;
  core::Steady hello_sent_{};
  core::Steady last_sent_{};
  core::Steady silent_until_{};
  core::Millis session_timeout_{2'000};
  std::uint64_t request_ = 0;
  std::uint32_t made_ = 0;
  std::map<core::JobId, Own> jobs_;
  std::vector<core::JobId> order_;  // as they were made
};

}  // namespace jobwire::sim
