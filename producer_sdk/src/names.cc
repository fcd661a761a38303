// SPDX-License-Identifier: Apache-2.0
// The names of the public enumerators.
#include "jobwire/connection.h"
#include "jobwire/dead_job.h"
#include "jobwire/encoding.h"
#include "jobwire/hooks.h"
#include "jobwire/job_state.h"
#include "jobwire/receipt.h"

JOBWIRE_NAMESPACE_BEGIN

std::string_view to_string(ConnectionState state) noexcept {
  switch (state) {
    case ConnectionState::Connecting:
      return "Connecting";
    case ConnectionState::Open:
      return "Open";
    case ConnectionState::Refused:
      return "Refused";
    case ConnectionState::Closed:
      return "Closed";
  }
  return "Connecting";
}

std::string_view to_string(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::Debug:
      return "Debug";
    case LogLevel::Info:
      return "Info";
    case LogLevel::Warning:
      return "Warning";
    case LogLevel::Error:
      return "Error";
  }
  return "Error";
}

std::string_view to_string(JobEvent::Kind kind) noexcept {
  switch (kind) {
    case JobEvent::Kind::Sent:
      return "Sent";
    case JobEvent::Kind::Receipted:
      return "Receipted";
    case JobEvent::Kind::Refused:
      return "Refused";
    case JobEvent::Kind::GivenUp:
      return "GivenUp";
    case JobEvent::Kind::Ended:
      return "Ended";
  }
  return "Sent";
}

std::string_view to_string(AttemptOutcome outcome) noexcept {
  switch (outcome) {
    case AttemptOutcome::Unspecified:
      return "Unspecified";
    case AttemptOutcome::Succeeded:
      return "Succeeded";
    case AttemptOutcome::Raised:
      return "Raised";
    case AttemptOutcome::Rejected:
      return "Rejected";
    case AttemptOutcome::RetryAsked:
      return "RetryAsked";
    case AttemptOutcome::TimedOut:
      return "TimedOut";
    case AttemptOutcome::Crashed:
      return "Crashed";
    case AttemptOutcome::Cancelled:
      return "Cancelled";
    case AttemptOutcome::HandedBack:
      return "HandedBack";
    case AttemptOutcome::Lost:
      return "Lost";
  }
  return "Unspecified";
}

std::string_view to_string(JobState state) noexcept {
  switch (state) {
    case JobState::Unspecified:
      return "Unspecified";
    case JobState::Scheduled:
      return "Scheduled";
    case JobState::Queued:
      return "Queued";
    case JobState::Running:
      return "Running";
    case JobState::Succeeded:
      return "Succeeded";
    case JobState::Dead:
      return "Dead";
    case JobState::Expired:
      return "Expired";
    case JobState::Cancelled:
      return "Cancelled";
  }
  return "Unspecified";
}

std::string_view to_string(DeadReason reason) noexcept {
  switch (reason) {
    case DeadReason::Unspecified:
      return "Unspecified";
    case DeadReason::Raised:
      return "Raised";
    case DeadReason::TimedOut:
      return "TimedOut";
    case DeadReason::Crashed:
      return "Crashed";
    case DeadReason::Rejected:
      return "Rejected";
  }
  return "Unspecified";
}

std::string_view to_string(Encoding encoding) noexcept {
  switch (encoding) {
    case Encoding::Bytes:
      return "Bytes";
    case Encoding::Utf8:
      return "Utf8";
    case Encoding::Json:
      return "Json";
    case Encoding::FlatBuffer:
      return "FlatBuffer";
    case Encoding::Npy:
      return "Npy";
  }
  return "Bytes";
}

std::string_view to_string(Durability durability) noexcept {
  switch (durability) {
    case Durability::Unspecified:
      return "Unspecified";
    case Durability::Memory:
      return "Memory";
    case Durability::Stored:
      return "Stored";
    case Durability::Fsynced:
      return "Fsynced";
    case Durability::Replicated:
      return "Replicated";
  }
  return "Unspecified";
}

JOBWIRE_NAMESPACE_END
