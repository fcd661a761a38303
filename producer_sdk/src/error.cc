// SPDX-License-Identifier: Apache-2.0
#include "jobwire/error.h"

#include <cstdio>
#include <cstdlib>

#include "jobwire/result.h"

JOBWIRE_NAMESPACE_BEGIN

std::string_view to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::InvalidArgument:
      return "InvalidArgument";
    case ErrorCode::TooLarge:
      return "TooLarge";
    case ErrorCode::Conflict:
      return "Conflict";
    case ErrorCode::Full:
      return "Full";
    case ErrorCode::Unavailable:
      return "Unavailable";
    case ErrorCode::Paused:
      return "Paused";
    case ErrorCode::Timeout:
      return "Timeout";
    case ErrorCode::Stopped:
      return "Stopped";
    case ErrorCode::NotPermitted:
      return "NotPermitted";
    case ErrorCode::Incompatible:
      return "Incompatible";
    case ErrorCode::UnknownJob:
      return "UnknownJob";
    case ErrorCode::GoneJob:
      return "GoneJob";
    case ErrorCode::UnknownQueue:
      return "UnknownQueue";
    case ErrorCode::NotFinished:
      return "NotFinished";
    case ErrorCode::AlreadyFinal:
      return "AlreadyFinal";
    case ErrorCode::Dropped:
      return "Dropped";
    case ErrorCode::SpoolFailed:
      return "SpoolFailed";
    case ErrorCode::Closed:
      return "Closed";
    case ErrorCode::Internal:
      return "Internal";
  }
  return "Internal";
}

bool Error::retryable() const noexcept {
  switch (code_) {
    case ErrorCode::Full:
    case ErrorCode::Unavailable:
    case ErrorCode::Paused:
    case ErrorCode::Timeout:
    case ErrorCode::Stopped:
    case ErrorCode::NotFinished:
    case ErrorCode::Dropped:
      return true;
    case ErrorCode::InvalidArgument:
    case ErrorCode::TooLarge:
    case ErrorCode::Conflict:
    case ErrorCode::NotPermitted:
    case ErrorCode::Incompatible:
    case ErrorCode::UnknownJob:
    case ErrorCode::GoneJob:
    case ErrorCode::UnknownQueue:
    case ErrorCode::AlreadyFinal:
    case ErrorCode::SpoolFailed:
    case ErrorCode::Closed:
    case ErrorCode::Internal:
      return false;
  }
  return false;
}

std::string Error::to_string() const {
  std::string text(jobwire::to_string(code_));
  if (!message_.empty()) text.append(": ").append(message_);
  if (retry_after_.count() > 0) {
    text.append(" (retry after ").append(std::to_string(retry_after_.count())).append(" ms)");
  }
  return text;
}

namespace result_detail {

void value_of_error(const Error& error) noexcept {
  std::fprintf(stderr, "jobwire: value() of a failed Result: %s\n", error.to_string().c_str());
  std::abort();
}

void error_of_value() noexcept {
  std::fputs("jobwire: error() of a Result that holds a value\n", stderr);
  std::abort();
}

}  // namespace result_detail

JOBWIRE_NAMESPACE_END
