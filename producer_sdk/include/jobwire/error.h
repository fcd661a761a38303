// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "jobwire/export.h"

JOBWIRE_NAMESPACE_BEGIN

/// Why a call did not do what it was asked. The list is closed, and each code names what the caller
/// does next; details for people are in Error::message().
enum class ErrorCode {
  InvalidArgument,  ///< A value is out of its range; message() names it. Fix the call.
  TooLarge,         ///< Payload or message over the broker's limit. Send less.
  Conflict,         ///< The id is known for another queue or type. Make a new id.
  Full,             ///< A bound is reached, here, in a queue or in the store. Wait retry_after().
  Unavailable,      ///< No broker, or it takes no new work now. Wait retry_after(), or use another.
  Paused,           ///< The queue is closed for intake. Wait, or ask the operator.
  Timeout,          ///< No answer in time, the outcome is open. Ask, or submit with the same id.
  Stopped,          ///< The caller's stop_token ended the wait; the rest as for Timeout.
  NotPermitted,     ///< This client's key does not allow it. Ask the operator.
  Incompatible,     ///< Broker, client or contract speak different versions. Upgrade one side.
  UnknownJob,       ///< The id was never seen by this broker. Check the id.
  GoneJob,          ///< The job is older than what the broker keeps. Nothing can be done.
  UnknownQueue,     ///< No queue of that name was ever used. Check the name.
  NotFinished,      ///< The job has not ended. Wait for it.
  AlreadyFinal,     ///< The job has ended. Read its result.
  Dropped,          ///< A posted job made room for a newer one, as OverflowPolicy asked.
  SpoolFailed,      ///< The spool file cannot be used; message() says why. See to its disk.
  Closed,           ///< The client was closed. Connect again.
  Internal,         ///< A bug in jobwire. Report it.
};

/// The code's name, for example "Full". Static storage.
JOBWIRE_EXPORT std::string_view to_string(ErrorCode code) noexcept;

/// An error as a value. Cheap to move, safe to copy and to keep.
class JOBWIRE_EXPORT Error {
 public:
  Error(ErrorCode code, std::string message,
        std::chrono::milliseconds retry_after = std::chrono::milliseconds{0})
      : code_(code), retry_after_(retry_after), message_(std::move(message)) {}

  [[nodiscard]] ErrorCode code() const noexcept { return code_; }

  /// One sentence for a person.
  [[nodiscard]] const std::string& message() const noexcept { return message_; }

  /// True when the same call may succeed later. Repeating a submit is safe when the Job carries an
  /// id of its own (Job::id); without one it would be a second job.
  [[nodiscard]] bool retryable() const noexcept;

  /// How long to wait first; zero when nobody knows better than the caller.
  [[nodiscard]] std::chrono::milliseconds retry_after() const noexcept { return retry_after_; }

  /// "Full: queue \"images\" holds 100000 jobs (retry after 250 ms)".
  [[nodiscard]] std::string to_string() const;

 private:
  ErrorCode code_;
  std::chrono::milliseconds retry_after_;
  std::string message_;
};

JOBWIRE_NAMESPACE_END
