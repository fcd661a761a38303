// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "jobwire/export.h"

JOBWIRE_NAMESPACE_BEGIN

/// One line of a Python traceback.
struct JOBWIRE_EXPORT JobErrorFrame {
  std::string file;
  std::uint32_t line = 0;
  std::string function;
  std::string source;  ///< The source line, when the worker had it.
};

/// An exception behind the one that ended the attempt.
struct JOBWIRE_EXPORT ChainedJobError {
  /// How it led to the next one, in Python's terms: `raise ... from` it, or raised while handling
  /// it.
  enum class Relation { Unspecified, Cause, Context };
  Relation relation = Relation::Unspecified;
  std::string type;
  std::string message;
  std::vector<JobErrorFrame> frames;
};

/// What went wrong in a handler, as Python saw it. A plain value.
struct JOBWIRE_EXPORT JobError {
  std::string type;     ///< Qualified: "builtins.ValueError"; jobwire's own: "jobwire.Timeout".
  std::string message;  ///< str(exception).
  std::vector<JobErrorFrame> frames;   ///< Outermost call first, as Python prints them.
  std::vector<ChainedJobError> chain;  ///< Causes and contexts, nearest first.
  std::vector<std::string> notes;      ///< exception.__notes__
  bool retryable = false;              ///< Whether the attempt might have gone better another time.
  bool truncated = false;              ///< Something was cut to fit the broker's limit.

  /// The traceback in Python's own layout, oldest cause first, ready to print.
  [[nodiscard]] std::string to_string() const;
};

JOBWIRE_NAMESPACE_END
