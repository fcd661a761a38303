// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <utility>

namespace jobwire::ports {

/// An operating failure: something outside this program did not do its part. `retryable` says
/// whether waiting may help.
struct Failure {
  std::string message;
  bool retryable = false;
};

/// A value, or why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}              // NOLINT: a value is a result
  Result(Failure failure) : failure_(std::move(failure)) {}  // NOLINT: so is a failure

  explicit operator bool() const { return value_.has_value(); }
  /// Requires: the result holds a value.
  T& operator*() {
    assert(value_);
    return *value_;
  }
  T* operator->() {
    assert(value_);
    return &*value_;
  }
  const Failure& failure() const { return failure_; }

 private:
  std::optional<T> value_;
  Failure failure_;
};

/// Done, or why not.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Failure failure) : failure_(std::move(failure)) {}  // NOLINT: a failure is a status
  explicit operator bool() const { return !failure_; }
  const Failure& failure() const { return *failure_; }

 private:
  std::optional<Failure> failure_;
};

}  // namespace jobwire::ports
