// SPDX-License-Identifier: Apache-2.0
#include "jobwire/job.h"

#include <utility>

#include "byte_block.h"

JOBWIRE_NAMESPACE_BEGIN

Job& Job::copy(std::span<const std::byte> bytes, Encoding encoding) {
  payload_ = client_detail::copy_bytes(bytes);
  payload_size_ = bytes.size();
  encoding_ = encoding;
  return *this;
}

Job& Job::payload(std::shared_ptr<const std::byte[]> data, std::size_t size, Encoding encoding) {
  payload_ = std::move(data);
  payload_size_ = size;
  encoding_ = encoding;
  return *this;
}

Job& Job::payload(std::span<const std::byte> bytes, std::function<void()> release,
                  Encoding encoding) {
  std::shared_ptr<const std::byte[]> owner(
      bytes.data(), [release = std::move(release)](const std::byte*) { release(); });
  return payload(std::move(owner), bytes.size(), encoding);
}

Job& Job::queue(std::string_view name) {
  queue_ = name;
  return *this;
}

Job& Job::id(const JobId& id) {
  id_ = id;
  return *this;
}

Job& Job::priority(int priority) {
  priority_ = priority;
  return *this;
}

Job& Job::timeout(Milliseconds timeout) {
  timeout_ = timeout;
  return *this;
}

Job& Job::delay(Milliseconds delay) {
  delay_ = delay;
  return *this;
}

Job& Job::not_before(Time time) {
  not_before_ = time;
  return *this;
}

Job& Job::expires_at(Time time) {
  expires_at_ = time;
  return *this;
}

Job& Job::result_ttl(Milliseconds ttl) {
  result_ttl_ = ttl;
  return *this;
}

Job& Job::retry(RetryPolicy policy) {
  retry_ = std::make_shared<const RetryPolicy>(std::move(policy));
  return *this;
}

Job& Job::dedup_key(std::string_view key, Milliseconds window) {
  dedup_key_ = key;
  dedup_window_ = window;
  return *this;
}

Job& Job::header(std::string_view key, std::string_view value) {
  headers_.emplace_back(key, value);
  return *this;
}

Job& Job::watch(bool watch) {
  watch_ = watch;
  return *this;
}

Job& Job::keep_payload(bool keep) {
  keep_payload_ = keep;
  return *this;
}

Job& Job::contract(std::uint64_t hash) {
  contract_ = hash;
  return *this;
}

JOBWIRE_NAMESPACE_END
