// SPDX-License-Identifier: Apache-2.0
#include "watches.h"

#include <algorithm>
#include <utility>

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {
namespace {

std::size_t cost(const JobResult& result) { return sizeof(JobResult) + result.bytes().size(); }

Error too_many() {
  return {ErrorCode::Full, "as many results are awaited as ClientOptions::max_watched allows"};
}

}  // namespace

Watches::Watches(const ClientOptions& options)
    : max_watched_(options.max_watched()),
      max_kept_(options.kept_results()),
      max_kept_bytes_(options.kept_result_bytes()) {}

bool Watches::expect(const JobId& id) {
  const std::lock_guard lock(mutex_);
  if (table_.size() >= max_watched_) return false;
  Watch& watch = *table_.insert(id).first;
  watch.expected = true;
  watch.on_its_way = true;
  return true;
}

bool Watches::attach(std::span<const JobId> ids, const std::shared_ptr<ResultSink>& sink) {
  Answers answers;
  std::vector<std::pair<std::size_t, JobProgress>> known;
  bool questions = false;
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t slot = 0; slot < ids.size(); ++slot) {
      SinkSlot<JobResult> waiting{sink, slot};
      const JobId& id = ids[slot];
      if (closed_) {
        answers.emplace_back(std::move(waiting), close_error_);
        continue;
      }
      if (id.is_nil()) {
        answers.emplace_back(std::move(waiting),
                             Error(ErrorCode::InvalidArgument, "id: the nil id names no job"));
        continue;
      }
      Watch* watch = table_.find(id);
      if (watch != nullptr && watch->arrived) {
        --kept_;
        kept_bytes_ -= cost(*watch->arrived);
        answers.emplace_back(std::move(waiting), std::move(*watch->arrived));
        table_.erase(id);
        continue;
      }
      if (watch == nullptr) {
        if (table_.size() >= max_watched_) {
          answers.emplace_back(std::move(waiting), too_many());
          continue;
        }
        watch = table_.insert(id).first;
      }
      if (!watch->expected && !watch->asked) {
        watch->asked = true;
        questions_.push_back(id);
        questions = true;
      }
      if (watch->progress) known.emplace_back(slot, *watch->progress);
      watch->sinks.push_back(std::move(waiting));
    }
  }
  settle(answers);
  for (const auto& [slot, progress] : known) sink->progress(slot, progress);
  return questions;
}

void Watches::detach(std::span<const JobId> ids, const ResultSink* sink) {
  const std::lock_guard lock(mutex_);
  for (const JobId& id : ids) {
    Watch* watch = id.is_nil() ? nullptr : table_.find(id);
    if (watch == nullptr) continue;
    std::erase_if(watch->sinks, [sink](const auto& waiting) { return waiting.sink.get() == sink; });
    const bool idle = watch->sinks.empty() && !watch->arrived && !watch->followers;
    if (idle && !watch->expected) table_.erase(id);
  }
}

void Watches::accepted(std::span<const Accepted> jobs) {
  const std::lock_guard lock(mutex_);
  for (const Accepted& job : jobs) accept_one(job);
}

void Watches::accept_one(const Accepted& accepted) {
  Watch* watch = table_.find(accepted.id);
  if (watch == nullptr) return;
  const bool was_on_its_way = std::exchange(watch->on_its_way, false);
  if (watch->arrived) return;
  if (accepted.job != accepted.id && !accepted.job.is_nil()) {
    Watch& leader = *table_.insert(accepted.job).first;
    if (!leader.followers) leader.followers = std::make_unique<std::vector<JobId>>();
    auto& followers = *leader.followers;
    if (std::find(followers.begin(), followers.end(), accepted.id) == followers.end()) {
      followers.push_back(accepted.id);
    }
    if (!std::exchange(leader.asked, true)) questions_.push_back(accepted.job);
  } else if (accepted.ask || (was_on_its_way && !watch->expected)) {
    watch->asked = true;
    questions_.push_back(accepted.id);
  }
}

void Watches::settle(Answers& answers) {
  for (auto& [waiting, answer] : answers) waiting.settle(std::move(answer));
}

void Watches::keep(const JobId& id, Watch& watch, JobResult result) {
  if (max_kept_ == 0) return;
  kept_bytes_ += cost(result);
  ++kept_;
  watch.arrived = std::make_unique<JobResult>(std::move(result));
  kept_order_.push_back(id);
}

void Watches::make_room() {
  while (kept_ > 0 && (kept_ > max_kept_ || kept_bytes_ > max_kept_bytes_)) {
    const JobId oldest = kept_order_.front();
    kept_order_.pop_front();
    Watch* watch = table_.find(oldest);
    if (watch == nullptr || !watch->arrived) continue;  // taken since
    --kept_;
    kept_bytes_ -= cost(*watch->arrived);
    table_.erase(oldest);
  }
  if (kept_order_.size() > 2 * kept_ + 1024) {
    std::erase_if(kept_order_, [this](const JobId& id) {
      const Watch* watch = table_.find(id);
      return watch == nullptr || !watch->arrived;
    });
  }
}

void Watches::complete_one(const JobId& id, JobResult result, Answers& answers) {
  Watch* watch = table_.find(id);
  if (watch == nullptr || watch->arrived) return;
  if (watch->followers) {
    const auto followers = std::move(*watch->followers);
    watch->followers.reset();
    for (const JobId& follower : followers) complete_one(follower, result, answers);
    watch = table_.find(id);  // the table has changed
    if (watch == nullptr) return;
  }
  if (watch->sinks.empty()) {
    if (watch->expected) {
      keep(id, *watch, std::move(result));
    } else {
      table_.erase(id);
    }
    return;
  }
  auto sinks = std::move(watch->sinks);
  table_.erase(id);
  for (std::size_t i = 0; i + 1 < sinks.size(); ++i) {
    answers.emplace_back(std::move(sinks[i]), result);
  }
  answers.emplace_back(std::move(sinks.back()), std::move(result));
}

void Watches::complete(std::vector<JobResult> results) {
  Answers answers;
  answers.reserve(results.size());
  {
    const std::lock_guard lock(mutex_);
    for (JobResult& result : results) {
      const JobId id = result.id();
      complete_one(id, std::move(result), answers);
    }
    make_room();
  }
  settle(answers);
}

void Watches::progress(const JobId& id, const JobProgress& progress) {
  std::vector<SinkSlot<JobResult>> waiting;
  {
    const std::lock_guard lock(mutex_);
    const auto gather = [&](const JobId& one) {
      Watch* watch = table_.find(one);
      if (watch == nullptr) return;
      if (watch->progress && watch->progress->at == progress.at &&
          watch->progress->value == progress.value &&
          watch->progress->message == progress.message) {
        return;
      }
      watch->progress = std::make_unique<JobProgress>(progress);
      waiting.insert(waiting.end(), watch->sinks.begin(), watch->sinks.end());
    };
    gather(id);
    const Watch* leader = table_.find(id);
    if (leader != nullptr && leader->followers) {
      for (const JobId& follower : *leader->followers) gather(follower);
    }
  }
  for (const auto& slot : waiting) slot.sink->progress(slot.slot, progress);
}

void Watches::fail(const JobId& id, const Error& error) {
  Answers answers;
  {
    const std::lock_guard lock(mutex_);
    std::vector<JobId> failing{id};
    while (!failing.empty()) {
      const JobId next = failing.back();
      failing.pop_back();
      Watch* watch = table_.find(next);
      if (watch == nullptr || watch->arrived) continue;
      if (watch->followers) {
        failing.insert(failing.end(), watch->followers->begin(), watch->followers->end());
      }
      for (auto& waiting : watch->sinks) answers.emplace_back(std::move(waiting), error);
      table_.erase(next);
    }
  }
  settle(answers);
}

bool Watches::unknown_yet(const JobId& id) {
  const std::lock_guard lock(mutex_);
  const Watch* watch = table_.find(id);
  return watch != nullptr && watch->on_its_way;
}

void Watches::ask_when_accepted(const JobId& id) {
  const std::lock_guard lock(mutex_);
  Watch* watch = table_.find(id);
  if (watch != nullptr) watch->on_its_way = true;
}

std::vector<JobId> Watches::take_questions(std::size_t most) {
  const std::lock_guard lock(mutex_);
  const auto count = static_cast<std::ptrdiff_t>(std::min(most, questions_.size()));
  std::vector<JobId> taken(questions_.begin(), questions_.begin() + count);
  questions_.erase(questions_.begin(), questions_.begin() + count);
  return taken;
}

void Watches::ask_all_again() {
  const std::lock_guard lock(mutex_);
  questions_.clear();
  table_.for_each([this](const JobId& id, Watch& watch) {
    if (watch.arrived || watch.on_its_way) return;
    watch.asked = true;
    questions_.push_back(id);
  });
}

void Watches::close(const Error& error) {
  Answers answers;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    close_error_ = error;
    table_.for_each([&answers, &error](const JobId&, Watch& watch) {
      for (auto& waiting : watch.sinks) answers.emplace_back(std::move(waiting), error);
    });
    table_.clear();
    questions_.clear();
    kept_order_.clear();
    kept_ = 0;
    kept_bytes_ = 0;
  }
  settle(answers);
}

std::size_t Watches::size() const {
  const std::lock_guard lock(mutex_);
  return table_.size();
}

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
