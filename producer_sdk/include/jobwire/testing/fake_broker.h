// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jobwire/client.h"
#include "jobwire/client_options.h"
#include "jobwire/encoding.h"
#include "jobwire/error.h"
#include "jobwire/export.h"
#include "jobwire/job_id.h"
#include "jobwire/job_state.h"
#include "jobwire/result.h"

JOBWIRE_NAMESPACE_BEGIN

/// For tests of programs that use jobwire; link jobwire::testing.
namespace testing {

/// A job as the FakeBroker has it.
struct FakeJob {
  JobId id;
  std::string queue;
  std::string type;
  std::string payload;
  Encoding encoding = Encoding::Bytes;
  int priority = 4;
  std::map<std::string, std::string> headers;
  int attempt = 0;  ///< Attempts started; in a handler, this one's number from 1.
  JobState state = JobState::Queued;
};

/// What a handler makes of a job.
class FakeOutcome {
 public:
  /// The handler returns these bytes.
  static FakeOutcome succeed(std::string bytes, Encoding encoding = Encoding::Bytes) {
    return {Kind::Succeed, std::move(bytes), {}, encoding};
  }
  /// It raises an exception of this qualified Python type; the job's retry policy decides.
  static FakeOutcome raise(std::string type, std::string message) {
    return {Kind::Raise, std::move(message), std::move(type), Encoding::Bytes};
  }
  /// It raises Reject: the job is dead at once.
  static FakeOutcome reject(std::string reason) {
    return {Kind::Reject, std::move(reason), "jobwire.Reject", Encoding::Bytes};
  }

  enum class Kind { Succeed, Raise, Reject };
  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  [[nodiscard]] const std::string& error_type() const noexcept { return error_type_; }
  [[nodiscard]] Encoding encoding() const noexcept { return encoding_; }

 private:
  FakeOutcome(Kind kind, std::string text, std::string error_type, Encoding encoding)
      : kind_(kind),
        text_(std::move(text)),
        error_type_(std::move(error_type)),
        encoding_(encoding) {}
  Kind kind_;
  std::string text_;
  std::string error_type_;
  Encoding encoding_;
};

/// A broker with its workers inside the test: no socket, no process, no sleeping. Real clients talk
/// to it in the real protocol, so what the test runs is what the program will run; the same
/// contract suite holds it and jobwired to the same behaviour, as far as it goes: submits,
/// duplicates, dedup keys, delays, expiry, priorities, retries, results, cancel, progress. It keeps
/// everything for ever and speaks to producers only.
///
/// Time stands still until advance(): a delayed job is not due, a failed one not tried again,
/// before. Jobs run one at a time on the broker's own thread, the most urgent first; those of a
/// type without handler wait until somebody ends them by hand. Any thread may call, also handlers.
class JOBWIRE_EXPORT FakeBroker {
 public:
  using Handler = std::function<FakeOutcome(const FakeJob&)>;

  FakeBroker();
  /// Clients lose their connection, and go on trying.
  ~FakeBroker();
  FakeBroker(const FakeBroker&) = delete;
  FakeBroker& operator=(const FakeBroker&) = delete;

  /// A client of this broker; as Client::connect.
  Result<Client> connect(ClientOptions options = {});

  /// Runs jobs of this type, those that wait included.
  void handle(std::string_view type, Handler handler);

  /// Moves the broker's clock.
  void advance(std::chrono::milliseconds time);

  /// Ends a job by hand. False when there is no such job, or it has ended.
  bool end(const JobId& id, const FakeOutcome& outcome);
  /// Lets a job run and says how far it is.
  bool progress(const JobId& id, float value, std::string_view message);

  /// Refuses the next jobs, one by one.
  void refuse(int jobs, ErrorCode code, std::chrono::milliseconds retry_after = {});

  /// Goes away as a killed broker does, and comes back with its jobs and without its sessions.
  void go_away();
  void come_back();

  /// Everything that was ever accepted, oldest first.
  [[nodiscard]] std::vector<FakeJob> jobs() const;
  [[nodiscard]] std::optional<FakeJob> job(const JobId& id) const;
  /// Waits until nothing is due and nothing runs. False when that has not come to pass in time.
  bool settle(std::chrono::milliseconds timeout) const;

 private:
  class Core;
  std::shared_ptr<Core> core_;
};

}  // namespace testing
JOBWIRE_NAMESPACE_END
