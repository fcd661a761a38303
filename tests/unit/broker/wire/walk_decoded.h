// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <type_traits>

#include "wire/decoder.h"

namespace jobwire::wire {

/// Reads every byte that a decoded message offers, so that a view outside its memory is seen by the
/// sanitizer. Returns a sum, so that nothing of it is optimized away.
class DecodedWalk {
 public:
  std::uint64_t sum(const Decoded& decoded) {
    sum_ = decoded.index();
    std::visit([this](const auto& message) { walk(message); }, decoded);
    return sum_;
  }

 private:
  void bytes(const void* data, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i)
      sum_ = sum_ * 31 + static_cast<const unsigned char*>(data)[i];
  }
  void walk(std::string_view text) { bytes(text.data(), text.size()); }
  void walk(const char* text) { walk(std::string_view(text)); }
  void walk(std::span<const std::uint8_t> blob) { bytes(blob.data(), blob.size()); }
  template <typename T>
  requires std::is_trivially_copyable_v<T>
  void objects(std::span<const T> list) { bytes(list.data(), list.size_bytes()); }
  void walk(const RefusedIn& refused) { walk(refused.message); }
  void walk(const HelloIn& hello) { walk(hello.client), walk(hello.opened.host_name); }
  void walk(const GoodbyeIn& goodbye) { walk(goodbye.message); }
  void walk(const HeartbeatIn& heartbeat) {
    objects(heartbeat.beat.workers), objects(heartbeat.beat.running);
  }
  void walk(const SubmitIn& submit) {
    for (const core::Submission& job : submit.good.jobs) {
      walk(job.queue), walk(job.type), walk(job.payload);
      if (!job.options) continue;
      walk(job.options->dedup_key);
      for (const auto& [key, value] : job.options->headers) walk(key), walk(value);
      for (const auto& name : job.options->retry.fatal) walk(name);
    }
    for (const core::ReceiptOut& refusal : submit.bad) walk(refusal.field), walk(refusal.message);
  }
  void walk(const core::ResultsAsked& asked) { objects(asked.ids); }
  void walk(const core::CancelAsked& asked) { objects(asked.ids); }
  void walk(const core::WorkerReady& ready) {
    for (const std::string_view queue : ready.queues) walk(queue);
    for (const core::TypeOffer& offer : ready.types) {
      walk(offer.name), walk(offer.version), objects(offer.accepts);
    }
    objects(ready.held);
  }
  void walk(const core::ResultsReported& reported) {
    for (const core::ResultReport& report : reported.results) {
      walk(report.payload), walk(report.error_type), walk(report.error_message);
    }
  }
  void walk(const core::HandedBack& back) { objects(back.tokens); }
  void walk(const core::WorkerDown& down) { objects(down.running), walk(down.log_tail); }
  void walk(const core::ProgressReported& progress) {
    for (const core::ProgressNote& note : progress.notes) walk(note.message);
  }

  void walk(const core::CheckpointsReported& reported) {
    for (const core::CheckpointNote& note : reported.notes) walk(note.bytes);
  }

  void walk(const core::JobFilter& filter) {
    walk(std::string_view(filter.queue)), walk(std::string_view(filter.type));
    walk(std::string_view(filter.error)), objects(std::span<const core::JobId>(filter.ids));
  }
  void walk(const core::QueueAsked& asked) {
    walk(asked.queue), walk(asked.by), walk(asked.why), walk(asked.after);
  }
  void walk(const core::SweepAsked& asked) {
    walk(asked.filter), walk(asked.by), walk(asked.why), walk(asked.to_queue);
  }
  void walk(const DeadQueryIn& query) {
    walk(query.filter), walk(std::string_view(query.after.queue));
  }
  void walk(const DeadImportIn& import) {
    for (const core::Submission& job : import.good.jobs)
      walk(job.queue), walk(job.type), walk(job.payload);
    for (const core::ImportedJob& job : import.good.imports) {
      walk(job.origin_queue);
      for (const core::Attempt& attempt : job.attempt_list) {
        walk(std::string_view(attempt.error_type)), walk(std::string_view(attempt.error_message));
        walk(attempt.error.span()), walk(std::string_view(attempt.worker));
      }
    }
    for (const core::ReceiptOut& refusal : import.bad) walk(refusal.field), walk(refusal.message);
  }

  void walk(const ContractCommandIn& command) {
    walk(command.name), walk(command.schema), walk(command.by), walk(command.why);
    walk(command.after);
  }

  std::uint64_t sum_ = 0;
};

}  // namespace jobwire::wire
