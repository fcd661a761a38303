// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/config.h"
#include "core/effect.h"
#include "core/engine.h"
#include "ports/contracts.h"
#include "ports/log.h"
#include "ports/result.h"
#include "ports/store.h"
#include "ports/transport.h"
#include "runtime/contract_register.h"
#include "runtime/dead_reader.h"
#include "wire/decoder.h"
#include "wire/encoder.h"
#include "wire/limits.h"

namespace jobwire::runtime {

struct BrokerConfig {
  core::EngineConfig engine;
  /// What is in both is taken from `engine`.
  wire::ProtocolLimits limits;
  std::uint32_t max_sessions = 20'000;
  /// Messages of each side taken in one turn.
  std::uint32_t messages_per_turn = 512;
  core::Millis shutdown_deadline{10'000};
  /// How long recover() reads jobs that wait, once it has those that ran: what is left is read
  /// between turns.
  core::Millis read_before_serving{200};
  std::string version;
};

/// Why the broker is done.
enum class End : std::uint8_t {
  kRunning,
  kDrained,   // asked to stop; everything that was taken is stored
  kTimedOut,  // asked to stop; the store did not take everything in time. What was receipted is
              // safe.
  kFenced,    // another broker has the shard
  kDiverged,  // the store is not the one that we wrote to
};

/// Ties the rules to the world: reads messages, steps the engine, gives batches to the store, sends
/// what the engine wants sent. Knows sessions as connections; what they mean is the engine's. One
/// thread.
class Broker : private wire::OutgoingSink {
 public:
  /// `id` is random per start; `seed` for the engine comes from the kernel, or from a test.
  Broker(const BrokerConfig& config, ports::Store& store, ports::Transport& transport,
         const ports::Clock& clock, ports::Log& log, const std::array<std::uint8_t, 16>& id,
         std::uint64_t seed);

  /// Checks payloads by `contracts`, which must outlive this: those of `deployed`, which are kept
  /// in the store from recover() on, or without it those that are kept there. Before recover().
  void use(ports::Contracts& contracts, std::optional<std::vector<ports::ContractFile>> deployed);

  /// Takes the shard over and reads what had not ended. A retryable failure changes nothing: call
  /// it again. May take a second, and more for millions of finished jobs.
  ports::Status recover();
  /// Jobs that wait are still being read. Until they are known workers are served, and run what is
  /// known; producers wait at their door.
  bool recovering() const { return recovering_; }

  /// Waits for something to do, at most half a second, and does a bounded part of it. Requires:
  /// recover() succeeded.
  void turn();

  /// Takes no new work from now on; the next turns end with end() other than kRunning.
  void begin_shutdown();

  End end() const { return end_; }
  const std::string& end_reason() const { return end_reason_; }
  const core::Engine& engine() const { return *engine_; }

  struct Counters {
    std::uint64_t messages = 0;
    std::uint64_t refused_messages = 0;
    std::uint64_t undeliverable = 0;  // messages to peers that were gone
    std::uint64_t slow_readers = 0;   // sessions closed because the peer did not read
    std::uint64_t batches = 0;
    std::uint64_t written_jobs = 0;
  };
  const Counters& counters() const { return counters_; }

 private:
  struct Session {
    ports::PeerId peer;
    core::Role role = core::Role::kNone;
    bool stands_alone = false;  // a worker without an agent
  };
  struct ResultQuestion {
    core::SessionId session{};
    std::uint64_t request = 0;
  };
  struct Read {
    ports::ReadRequest request;
    std::vector<ResultQuestion> questions;  // one per id; empty for payloads
  };

  void receive(ports::Side side, core::Now now);
  void handle(const ports::Received& message, core::Now now);
  void greet(const ports::Received& message, const wire::HelloIn& hello, core::Now now);
  bool restore(ports::StoredJob& job, core::Now now);
  ports::Result<bool> read_page(core::Now now);
  void read_on(core::Now now);
  /// Reads what a worker names and is not known yet. False when the store does not answer.
  bool know(std::span<const core::HeldLease> leases, core::Now now);
  bool know_all_of(const auto&, core::Now) { return true; }
  bool know_all_of(const core::WorkerReady& event, core::Now now) { return know(event.held, now); }
  bool know_all_of(const core::HostBeat& event, core::Now now) { return know(event.running, now); }
  bool know_all_of(const core::WorkerDown& event, core::Now now) {
    return know(event.running, now);
  }
  void tell_recovered(core::Now now);
  void handle_refused(const ports::Received& message, const wire::RefusedIn& refused);
  void take_store_events(core::Now now);
  void take_read(ports::ReadDone done, core::Now now);
  void ask_for_dead(const wire::DeadQueryIn& query);
  /// Asks the store; returns refusals for those questions that cannot wait any longer in line.
  std::vector<core::RefusalOut> start_reads();
  void ask_waiting();
  void execute();
  void put(const wire::Outgoing& message) override;
  void deliver(core::SessionId session, wire::ByteSpan envelope, wire::ByteSpan blob);
  void send_to(ports::PeerId peer, wire::ByteSpan envelope);
  void tell_slow_readers();
  void close(core::SessionId session, bool polite, core::Now now);
  void forget_session(core::SessionId session);
  void check_shutdown(core::Now now);
  core::Micros patience(core::Now now) const;
  void finish(End end, std::string reason);

  BrokerConfig config_;
  ports::Store& store_;
  ports::Transport& transport_;
  const ports::Clock& clock_;
  ports::Log& log_;
  ContractRegister contracts_;
  std::array<std::uint8_t, 16> id_;
  std::uint64_t seed_;
  wire::Decoder decoder_;
  wire::Encoder encoder_;
  std::optional<core::Engine> engine_;
  ports::StoreOpened opened_;

  std::unordered_map<ports::PeerId, core::SessionId, ports::PeerIdHash> session_of_;
  std::unordered_map<core::SessionId, Session> sessions_;
  std::uint32_t last_session_ = 0;
  std::vector<core::SessionId> broken_;      // could not be sent to: closed in the next turn
  std::vector<ports::PeerId> slow_readers_;  // closed for not reading, and owed the word of it

  std::unordered_map<std::uint64_t, Read> reads_;  // asked, by tag
  std::deque<Read> waiting_reads_;                 // the store would not take them yet
  std::uint64_t last_tag_ = 0;
  DeadReader dead_;

  core::Effects effects_;
  std::vector<ports::StoreEvent> store_events_;
  std::vector<pollfd> descriptors_;
  bool more_to_read_ = false;

  bool recovering_ = false;
  bool store_away_ = false;
  core::Steady recovery_began_{};
  core::Steady read_again_at_{};
  std::size_t recovered_jobs_ = 0;
  std::size_t recovered_finals_ = 0;
  std::size_t senseless_jobs_ = 0;

  bool shutting_down_ = false;
  core::Steady shutdown_until_{};
  End end_ = End::kRunning;
  std::string end_reason_;
  Counters counters_;
};

}  // namespace jobwire::runtime
