// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "jobwire/job_id.h"
#include "jobwire/wire/error_generated.h"
#include "jobwire/wire/message_generated.h"

namespace jobwire::testing_detail {

/// Plays the broker on a real ROUTER socket at a port of the kernel's choice: keeps jobs in memory,
/// and misbehaves as a test asks. Its methods may be called from any thread; they take effect
/// before they return.
class ScriptedBroker {
 public:
  struct KeptJob {
    std::string queue;
    std::string type;
    std::string payload;
    std::uint8_t priority = 0;
    std::uint32_t timeout_ms = 0;
    std::uint64_t delay_ms = 0;
    bool watch = false;
    std::map<std::string, std::string> headers;
    int submits = 0;  ///< How often a Submit carried it.
    wire::State state = wire::State::Queued;
    std::string result;
    bool result_is_error = false;
    wire::Encoding encoding = wire::Encoding::Bytes;
    std::optional<std::pair<float, std::string>> progress;
  };

  ScriptedBroker();
  ~ScriptedBroker();

  [[nodiscard]] std::string endpoint() const;

  /// Goes away as a killed process does; come_back() is a new process on the same port that has
  /// kept its jobs and forgotten its sessions.
  void go_away();
  void come_back();

  /// Forgets all sessions: whatever comes next is answered HelloFirst.
  void forget_sessions();
  /// Reads everything and answers nothing, not even Hello.
  void answer_nothing(bool nothing = true);
  /// Answers Hello with a refusal.
  void refuse_hello(wire::Code code);
  /// Takes the next `count` jobs without sending a receipt.
  void lose_receipts(int count);
  /// Refuses the next `count` jobs, one by one.
  void refuse_jobs(int count, wire::Code code, std::uint32_t retry_after_ms = 0,
                   std::string field = {}, std::string message = {});
  /// Refuses the next `count` Submit messages as a whole.
  void refuse_messages(int count, wire::Code code, std::uint32_t retry_after_ms = 0);
  /// Keeps receipts back until told otherwise, then sends them all.
  void hold_receipts(bool hold);
  /// Makes `id` a duplicate of `leader`: receipts name the leader.
  void make_duplicate(std::string type, const JobId& leader);
  /// What Welcome tells.
  void limits(std::uint32_t window_jobs, std::uint32_t jobs_per_message,
              std::uint64_t window_bytes = 64U << 20);
  void session_timeout_ms(std::uint32_t timeout);

  /// Tells everybody who watches a job, and lets it run; whoever asks about it is told too.
  void progress(const JobId& id, float value, std::string message);
  /// Ends jobs: now those that are known, the others as soon as they come.
  void finish(const JobId& id, std::string result, wire::Encoding encoding = wire::Encoding::Utf8);
  void finish_everything(bool finish = true);
  void bury(const JobId& id, std::string job_error_buffer);
  void add_job(const JobId& id, KeptJob job);
  /// Answers questions about this id with Gone.
  void make_gone(const JobId& id);

  /// Answers the messages that only operators send.
  struct Answer {
    std::string envelope;
    std::string blob;
  };
  using OperatorFn =
      std::function<std::vector<Answer>(const wire::Message&, std::string_view blob)>;
  void on_operator(OperatorFn fn);

  /// Sends these frames to every session.
  void send_raw(std::vector<std::string> frames);

  [[nodiscard]] std::map<JobId, KeptJob> jobs() const;
  [[nodiscard]] std::optional<KeptJob> job(const JobId& id) const;
  [[nodiscard]] int hellos() const { return hellos_; }
  [[nodiscard]] int heartbeats() const { return heartbeats_; }
  [[nodiscard]] int submits() const { return submits_; }
  [[nodiscard]] int result_requests() const { return result_requests_; }
  [[nodiscard]] int goodbyes() const { return goodbyes_; }
  [[nodiscard]] std::size_t largest_submit() const { return largest_submit_; }
  [[nodiscard]] std::size_t most_unreceipted() const { return most_unreceipted_; }
  [[nodiscard]] std::string client_name() const;
  [[nodiscard]] wire::Role role() const { return role_; }

 private:
  using Peer = std::string;
  struct Script {
    bool silent = false;
    wire::Code hello_refusal = wire::Code::Unspecified;
    int lost_receipts = 0;
    int refused_jobs = 0;
    wire::Code job_refusal = wire::Code::Unspecified;
    std::uint32_t job_retry_after_ms = 0;
    std::string refusal_field;
    std::string refusal_message;
    int refused_messages = 0;
    wire::Code message_refusal = wire::Code::Unspecified;
    std::uint32_t message_retry_after_ms = 0;
    bool hold_receipts = false;
    bool finish_everything = false;
    std::map<std::string, JobId> leaders;  // by type
    OperatorFn on_operator;
    std::uint32_t window_jobs = 16'384;
    std::uint32_t jobs_per_message = 1024;
    std::uint64_t window_bytes = 64U << 20;
    std::uint32_t session_timeout_ms = 30'000;
  };

  void run();
  /// Runs `task` on the broker's thread and waits for it.
  void on_thread(const std::function<void()>& task);
  void open_socket();
  void close_socket();
  void read_one();
  void send(const Peer& peer, std::span<const std::uint8_t> envelope, std::string_view blob = {});
  void handle(const Peer& peer, const wire::Message& message, std::string_view blob);
  void welcome(const Peer& peer);
  void refuse(const Peer& peer, wire::Code code, std::uint64_t request,
              std::uint32_t retry_after_ms = 0);
  void take(const Peer& peer, const wire::Submit& submit, std::string_view blob);
  void answer(const Peer& peer, const wire::ResultRequest& request);
  void push(const JobId& id);
  void push_progress(const Peer& peer, const JobId& id);
  void send_receipts(const Peer& peer, const std::vector<wire::ReceiptHead>& heads,
                     const std::vector<std::uint32_t>& refused);

  void* context_;
  void* router_ = nullptr;
  int port_ = 0;
  std::thread thread_;
  std::atomic<bool> stop_{false};

  mutable std::mutex mutex_;
  std::deque<std::function<void()>> tasks_;
  Script script_;
  std::map<JobId, KeptJob> jobs_;
  std::set<JobId> gone_;
  std::set<Peer> sessions_;
  std::map<JobId, std::set<Peer>> watchers_;
  std::vector<std::pair<Peer, wire::ReceiptHead>> held_;
  std::uint64_t next_session_ = 1;
  std::uint8_t incarnation_ = 1;
  std::string client_name_;
  std::atomic<wire::Role> role_{wire::Role::Unspecified};
  std::atomic<int> hellos_{0}, heartbeats_{0}, submits_{0}, result_requests_{0}, goodbyes_{0};
  std::atomic<std::size_t> largest_submit_{0}, most_unreceipted_{0};
};

/// The bytes of a message with this body.
template <class T>
std::string to_envelope(flatbuffers::FlatBufferBuilder& builder, flatbuffers::Offset<T> body) {
  wire::FinishMessageBuffer(
      builder, wire::CreateMessage(builder, wire::BodyTraits<T>::enum_value, body.Union()));
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

/// A JobError buffer as a worker would write it.
std::string make_job_error(std::string_view type, std::string_view message);

/// Waits until `holds` is true, looking every millisecond, at most 30 s; says whether it came true.
bool eventually(const std::function<bool()>& holds);

}  // namespace jobwire::testing_detail
