// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>
#include <utility>
#include <variant>

#include "jobwire/error.h"
#include "jobwire/export.h"

JOBWIRE_NAMESPACE_BEGIN

namespace result_detail {
/// Prints the error to stderr and aborts.
[[noreturn]] JOBWIRE_EXPORT void value_of_error(const Error& error) noexcept;
/// Aborts: error() was called on a success.
[[noreturn]] JOBWIRE_EXPORT void error_of_value() noexcept;
}  // namespace result_detail

/// A value, or the Error that took its place. Nothing here throws.
///
///     if (auto receipt = client.submit(job)) use(*receipt); else complain(receipt.error());
///
/// value() and the operators require has_value(); when that does not hold they print the error and
/// abort, so value() is the right word where a failure ends the program anyway.
template <class T>
class [[nodiscard]] JOBWIRE_EXPORT Result {
 public:
  Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] bool has_value() const noexcept { return content_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  [[nodiscard]] T& value() & {
    require_value();
    return *std::get_if<0>(&content_);
  }
  [[nodiscard]] const T& value() const& {
    require_value();
    return *std::get_if<0>(&content_);
  }
  [[nodiscard]] T&& value() && {
    require_value();
    return std::move(*std::get_if<0>(&content_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  template <class U>
  [[nodiscard]] T value_or(U&& other) const& {
    return has_value() ? value() : static_cast<T>(std::forward<U>(other));
  }

  /// Requires: not has_value().
  [[nodiscard]] const Error& error() const {
    if (has_value()) result_detail::error_of_value();
    return *std::get_if<1>(&content_);
  }

 private:
  void require_value() const {
    if (!has_value()) result_detail::value_of_error(*std::get_if<1>(&content_));
  }

  std::variant<T, Error> content_;
};

/// Done, or the Error that says why not.
template <>
class [[nodiscard]] JOBWIRE_EXPORT Result<void> {
 public:
  Result() = default;
  Result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] bool has_value() const noexcept { return content_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }
  void value() const {
    if (!has_value()) result_detail::value_of_error(*std::get_if<1>(&content_));
  }
  [[nodiscard]] const Error& error() const {
    if (has_value()) result_detail::error_of_value();
    return *std::get_if<1>(&content_);
  }

 private:
  std::variant<std::monostate, Error> content_;
};

using Status = Result<void>;

JOBWIRE_NAMESPACE_END
