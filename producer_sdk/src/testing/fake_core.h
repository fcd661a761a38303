// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "jobwire/retry_policy.h"
#include "jobwire/testing/fake_broker.h"
#include "testing/fake_link.h"
#include "wire.h"

JOBWIRE_NAMESPACE_BEGIN
namespace testing {

/// The FakeBroker's inside: its jobs, its clock, and one thread that answers clients and runs
/// handlers.
class FakeBroker::Core : public std::enable_shared_from_this<FakeBroker::Core> {
 public:
  Core();
  ~Core();

  FakeLink::Door door();
  void handle(std::string_view type, Handler handler);
  void advance(std::chrono::milliseconds time);
  bool end(const JobId& id, const FakeOutcome& outcome);
  bool progress(const JobId& id, float value, std::string_view message);
  void refuse(int jobs, ErrorCode code, std::chrono::milliseconds retry_after);
  /// Goes away for good, and ends the thread.
  void close();
  void go_away();
  void come_back();
  std::vector<FakeJob> jobs() const;
  std::optional<FakeJob> job(const JobId& id) const;
  bool settle(std::chrono::milliseconds timeout) const;

 private:
  using Peer = std::shared_ptr<FakeWire>;
  using Millis = std::int64_t;  // Unix time, by this broker's clock

  struct Kept {
    FakeJob job;
    RetryPolicy retry;
    std::uint64_t order = 0;
    Millis created = 0;
    Millis started = 0;
    Millis finished = 0;
    Millis due = 0;
    Millis expires = 0;  // 0: never
    int raised = 0;
    wire::State state = wire::State::Queued;
    wire::DeadReason reason = wire::DeadReason::Unspecified;
    std::string result;
    bool result_is_error = false;
    Encoding encoding = Encoding::Bytes;
    std::set<Peer> watchers;
    std::optional<std::pair<float, std::string>> progress;
  };
  struct Mail {
    Peer peer;
    FakeWire::Message message;
  };
  struct Dedup {
    JobId id;
    Millis until = 0;
  };

  void run();
  void read(const Mail& mail);
  void take(const Peer& peer, const wire::Submit& submit, std::span<const std::byte> blob);
  wire::ReceiptHead take_one(const Peer& peer, const Job& job, const wire::JobSpec& spec);
  void answer(const Peer& peer, const wire::ResultRequest& request);
  void cancel(const Peer& peer, const wire::Cancel& cancel);
  void welcome(const Peer& peer);
  void send_view(const Peer& peer, const JobId& id, std::uint64_t request, bool pushed);
  void send_progress(const Peer& peer, const Kept& kept);

  /// The next job that a handler can run, by priority and age; null when there is none.
  [[nodiscard]] const Kept* next() const;
  void move_due();
  void conclude(Kept& kept, const FakeOutcome& outcome);
  void finish(Kept& kept, wire::State state);
  static bool is_final(const Kept& kept) { return kept.state >= wire::State::Succeeded; }
  [[nodiscard]] FakeJob snapshot(const Kept& kept) const;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool stop_ = false;
  bool away_ = false;
  bool running_ = false;
  Millis now_ = 0;
  std::uint8_t incarnation_ = 1;
  std::uint64_t sessions_made_ = 0;
  std::uint64_t next_order_ = 1;
  int refusals_ = 0;
  wire::Code refusal_ = wire::Code::Unspecified;
  std::uint32_t refusal_retry_ms_ = 0;
  std::deque<Mail> mail_;
  std::set<Peer> connected_;
  std::set<Peer> sessions_;
  std::map<JobId, Kept> jobs_;
  std::map<std::string, Dedup> dedup_;
  std::map<std::string, Handler, std::less<>> handlers_;
  std::thread thread_;
};

}  // namespace testing
JOBWIRE_NAMESPACE_END
