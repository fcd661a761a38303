// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jobwire/encoding.h"
#include "jobwire/export.h"
#include "jobwire/job_id.h"
#include "jobwire/retry_policy.h"

JOBWIRE_NAMESPACE_BEGIN

/// A contiguous run of one-byte elements that is not text: std::vector<std::uint8_t>,
/// std::span<std::byte>, flatbuffers::DetachedBuffer's span, ...
template <class R>
concept ByteRange = std::ranges::contiguous_range<const R> && std::ranges::sized_range<const R> &&
    (std::same_as<std::ranges::range_value_t<const R>, std::byte> ||
     std::same_as<std::ranges::range_value_t<const R>, std::uint8_t>);

/// Work to be done: which handler, in which queue, on which bytes, and under which rules.
///
///     Job("thumbnail", photo).queue("images").timeout(30s).priority(7)
///
/// Only the type is required. A Job is a value: setters change it and return it, copies share the
/// payload (which never changes), and the same Job may be submitted many times. Each submit is a
/// new job unless id() is set. Setters check nothing; submitting answers InvalidArgument with the
/// name of the field that is out of range.
class JOBWIRE_EXPORT Job {
 public:
  using Milliseconds = std::chrono::milliseconds;
  using Time = std::chrono::system_clock::time_point;

  /// A job without payload for the handler named `type`: `[A-Za-z0-9][A-Za-z0-9_./-]*`, at most
  /// 128.
  explicit Job(std::string_view type) : type_(type) {}
  /// A payload of plain bytes, copied.
  template <ByteRange R>
  Job(std::string_view type, const R& bytes) : type_(type) {
    this->bytes(bytes);
  }
  /// A payload of text, copied.
  Job(std::string_view type, std::string_view text) : type_(type) { this->text(text); }
  Job(std::string_view type, const char* text) : Job(type, std::string_view(text)) {}

  /// Plain bytes; a handler takes them as `bytes` or `memoryview`. Copies.
  template <ByteRange R>
  Job& bytes(const R& range) {
    return copy(std::as_bytes(std::span(range)), Encoding::Bytes);
  }
  /// UTF-8 text; a handler takes it as `str`. Copies.
  Job& text(std::string_view utf8) { return copy(as_bytes(utf8), Encoding::Utf8); }
  /// One JSON value; a handler takes it as dict, dataclass, ... Copies.
  Job& json(std::string_view utf8) { return copy(as_bytes(utf8), Encoding::Json); }
  /// A finished FlatBuffers buffer. Copies.
  template <ByteRange R>
  Job& flatbuffer(const R& range) {
    return copy(std::as_bytes(std::span(range)), Encoding::FlatBuffer);
  }
  /// Bytes that stay where they are: nothing is copied on the way to the socket, and the last owner
  /// to let go runs the shared_ptr's deleter, on any thread. Requires: they do not change until
  /// then.
  Job& payload(std::shared_ptr<const std::byte[]> data, std::size_t size, Encoding encoding);
  /// The same for a buffer of any kind, a mapped file or a pool's block: `release` runs once, on
  /// any thread, when no copy of this job and no send needs the bytes any more. It must not call
  /// the client.
  Job& payload(std::span<const std::byte> bytes, std::function<void()> release, Encoding encoding);

  /// The line to wait in; "default" when not said. Named like a type.
  Job& queue(std::string_view name);
  /// An id of the caller's own, so that this job can be submitted again without running twice.
  Job& id(const JobId& id);
  /// 0 to 9, 9 first within its queue; 4 when not said.
  Job& priority(int priority);
  /// One attempt's run time: 1 ms to 7 days. The broker's default otherwise.
  Job& timeout(Milliseconds timeout);
  /// Not before so long after the broker has it; at most 366 days.
  Job& delay(Milliseconds delay);
  /// Not before this time. With a delay, the later of both counts.
  Job& not_before(Time time);
  /// The latest start; a job that is still waiting then becomes Expired.
  Job& expires_at(Time time);
  /// How long the finished job and its result are kept; at most 366 days.
  Job& result_ttl(Milliseconds ttl);
  Job& retry(RetryPolicy policy);
  /// Within `window`, jobs with the same key are one job: the later ones get the first one's
  /// receipt. At most 128 bytes.
  Job& dedup_key(std::string_view key, Milliseconds window);
  /// Carried along for the handler and for people. At most 32, 8 KiB together.
  Job& header(std::string_view key, std::string_view value);
  /// Have the result pushed here as soon as the job ends, so that a later wait() costs no question.
  Job& watch(bool watch = true);
  /// Keep the payload with the finished job instead of deleting it at the end.
  Job& keep_payload(bool keep = true);
  /// Hash of the contract that the payload is made by: only workers that take it get the job. What
  /// `jobwire gen` writes sets it; 0 is none.
  Job& contract(std::uint64_t hash);

  [[nodiscard]] const std::string& type() const noexcept { return type_; }
  [[nodiscard]] const std::string& queue() const noexcept { return queue_; }
  [[nodiscard]] const std::optional<JobId>& id() const noexcept { return id_; }
  [[nodiscard]] Encoding encoding() const noexcept { return encoding_; }
  [[nodiscard]] std::span<const std::byte> payload() const noexcept {
    return {payload_.get(), payload_size_};
  }
  [[nodiscard]] const std::shared_ptr<const std::byte[]>& shared_payload() const noexcept {
    return payload_;
  }
  [[nodiscard]] int priority() const noexcept { return priority_; }
  [[nodiscard]] std::optional<Milliseconds> timeout() const noexcept { return timeout_; }
  [[nodiscard]] std::optional<Milliseconds> delay() const noexcept { return delay_; }
  [[nodiscard]] std::optional<Time> not_before() const noexcept { return not_before_; }
  [[nodiscard]] std::optional<Time> expires_at() const noexcept { return expires_at_; }
  [[nodiscard]] std::optional<Milliseconds> result_ttl() const noexcept { return result_ttl_; }
  [[nodiscard]] const std::shared_ptr<const RetryPolicy>& retry() const noexcept { return retry_; }
  [[nodiscard]] const std::string& dedup_key() const noexcept { return dedup_key_; }
  [[nodiscard]] Milliseconds dedup_window() const noexcept { return dedup_window_; }
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& headers() const noexcept {
    return headers_;
  }
  [[nodiscard]] bool is_watched() const noexcept { return watch_; }
  [[nodiscard]] bool keeps_payload() const noexcept { return keep_payload_; }
  [[nodiscard]] std::uint64_t contract() const noexcept { return contract_; }

 private:
  static std::span<const std::byte> as_bytes(std::string_view text) noexcept {
    return std::as_bytes(std::span(text));
  }
  Job& copy(std::span<const std::byte> bytes, Encoding encoding);

  std::string type_;
  std::string queue_ = "default";
  std::optional<JobId> id_;
  std::shared_ptr<const std::byte[]> payload_;
  std::size_t payload_size_ = 0;
  Encoding encoding_ = Encoding::Bytes;
  int priority_ = 4;
  bool watch_ = false;
  bool keep_payload_ = false;
  std::optional<Milliseconds> timeout_;
  std::optional<Milliseconds> delay_;
  std::optional<Time> not_before_;
  std::optional<Time> expires_at_;
  std::optional<Milliseconds> result_ttl_;
  std::shared_ptr<const RetryPolicy> retry_;
  std::uint64_t contract_ = 0;
  std::string dedup_key_;
  Milliseconds dedup_window_{0};
  std::vector<std::pair<std::string, std::string>> headers_;
};

JOBWIRE_NAMESPACE_END
