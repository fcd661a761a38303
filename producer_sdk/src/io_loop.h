// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "exchange.h"
#include "id_table.h"
#include "inbound.h"
#include "link.h"
#include "outbound.h"
#include "reconnect.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// The client's side of the protocol: greets, sends what the exchange holds, settles it by what
/// comes back, and does it all again after a reconnect. run() is the I/O thread; nothing else but
/// stop() may be called from another while it runs.
class IoLoop {
 public:
  IoLoop(Exchange& exchange, std::unique_ptr<Link> link);

  /// Until stop(). Ends by saying goodbye.
  void run();
  void stop();

  /// After run(): the jobs that were sent or held back here, and not settled.
  EntryList take_unsettled();
  /// After run(): the requests without an answer.
  std::vector<std::shared_ptr<Request>> take_unanswered();

 private:
  /// Resting until the next attempt, connecting, waiting for the welcome, in a session.
  enum class State { Resting, Connecting, Greeting, Open };
  struct Limits {
    std::size_t jobs_per_message = 1024;
    std::size_t message_bytes = 34'603'008;
    std::size_t window_jobs = 16'384;
    std::size_t window_bytes = 64U << 20;
    std::chrono::milliseconds heartbeat{10'000};
  };
  using InFlight = EntryList::iterator;

  bool drain_events();
  bool drain_messages();
  bool send_requests();
  bool send_jobs();
  void tick();
  void sweep();
  void sleep();

  void handle(const wire::Message& message, std::span<const std::byte> blob);
  void handle(const wire::Welcome& welcome);
  void handle(const wire::Refused& refused);
  void handle(const wire::Receipts& receipts);
  void handle(const wire::ResultPush& push, std::span<const std::byte> blob);
  /// Gives a reply to the request that asked for it; false when none did.
  bool answer(std::uint64_t number, const Reply& reply);
  void handle(const wire::ProgressPush& push, std::span<const std::byte> blob);
  /// Everything that was sent before the heartbeat's echo has come.
  void pass_fences(std::uint64_t heartbeat);
  void offer_receipt(const wire::ReceiptHead& head, const Error* refusal);
  void malformed() {
    exchange_.counters.malformed.add();
    exchange_.log(LogLevel::Error, "a message from the broker was no valid protocol");
  }

  void attempt();
  /// The connection failed or went.
  void unanswered();
  /// The attempt or the session is over: rests, then tries the next endpoint.
  void give_up_endpoint();
  void greet();
  /// Everything that was asked for or sent must be asked for and sent again.
  void lose_session(State state);
  bool send(std::span<const std::uint8_t> envelope, const Blob& blob = {});

  /// Takes an entry out of flight; it goes to the end of `list`.
  void land(InFlight entry, EntryList& list);
  void requeue_in_flight();
  void accept(Entry& entry, const wire::ReceiptHead& head);
  /// Settles or delays the last entry of `list`, which the broker refused.
  void refuse(EntryList& list, wire::Code code, std::string message, std::uint32_t retry_after_ms);
  /// The end of every path on which entries are settled: `done` is forgotten, answers go out.
  void settle(EntryList done);
  /// Settled jobs leave the spool.
  void strike(const EntryList& done);
  /// Settles an entry with an error.
  void give_up(Entry& entry, const Error& error, JobEvent::Kind kind = JobEvent::Kind::GivenUp);
  void give_up_late(Entry& entry);
  [[nodiscard]] Error late_error(bool sent) const;
  [[nodiscard]] bool holds(const JobId& id);

  Exchange& exchange_;
  std::unique_ptr<Link> link_;
  Inbound inbound_;
  Outbound outbound_;
  std::atomic<bool> stop_{false};

  TimePoint now_ = Clock::now();
  State state_ = State::Resting;
  Reconnect reconnect_;
  std::size_t refusals_ = 0;  ///< Brokers in a row that do not accept this client.
  bool armed_ = false;        ///< Callers know that this thread is about to sleep.
  bool blocked_ = false;      ///< The socket took no more.
  bool window_full_ = false;
  bool defers_ = false;  ///< Some wait() came before its job was accepted.
  int unanswered_hellos_ = 0;
  TimePoint next_attempt_{};
  TimePoint next_hello_{};  ///< While connecting: when the attempt is given up.
  TimePoint next_heartbeat_{};
  TimePoint next_sweep_{};
  TimePoint ask_again_ = TimePoint::max();

  Limits limits_;
  Durability durability_ = Durability::Unspecified;
  JobId broker_;
  std::uint64_t session_ = 0;
  std::uint64_t last_request_ = 0;
  std::uint64_t heartbeats_ = 0;

  EntryList in_flight_;
  IdTable<InFlight> in_flight_ids_;
  std::size_t in_flight_bytes_ = 0;
  EntryList delayed_;
  flatbuffers::FlatBufferBuilder request_builder_;
  std::vector<std::shared_ptr<Request>> unasked_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Request>> asked_;
  struct Fence {
    std::uint64_t heartbeat;
    std::uint64_t number;  ///< Of the request that waits.
  };
  std::vector<Fence> fences_;
  // What settle() passes on, gathered while a message is read.
  std::vector<Watches::Accepted> accepted_;
  std::vector<JobId> struck_;
  std::vector<std::pair<SinkSlot<Receipt>, Result<Receipt>>> receipts_;
};

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
