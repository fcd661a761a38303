// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/read_link.h"

#include <algorithm>
#include <cassert>
#include <random>
#include <utility>

#include "adapters/redis/server_check.h"
#include "adapters/redis/stored_job_reader.h"

namespace jobwire::redis {

ReadLink::ReadLink(const RedisOptions& options, const Keys& keys)
    : options_(options),
      keys_(keys),
      connection_(options.endpoint),
      backoff_(options.backoff_first, options.backoff_most, std::random_device{}()) {}

bool ReadLink::ask(ports::ReadRequest request) {
  if (ended_ || questions_.size() >= options_.most_reads) return false;
  questions_.push_back({std::move(request), 0, {}});
  if (greeted_) ask_more();
  return true;
}

void ReadLink::poll(core::Steady now, std::vector<ports::StoreEvent>& events) {
  now_ = now;
  if (ended_) return;
  events_ = &events;
  if (until_is_fresh_) until_ = now + options_.reply_timeout;
  until_is_fresh_ = false;
  if (connection_.closed() && now >= until_) start();
  if (!connection_.closed()) {
    const bool alive = connection_.pump([this](const Reply& reply) { return on_reply(reply); });
    if (!alive) {
      lost();
    } else if (connection_.open() && !greeted_ && login_left_ == 0) {
      greet();
    }
    const bool waiting = !greeted_ || under_way_ > 0;
    if (!connection_.closed() && waiting && now >= until_) lost();
  }
  if (greeted_) ask_more();
  events_ = nullptr;
}

void ReadLink::start() {
  until_ = now_ + options_.connect_timeout;
  login_left_ = 0;
  if (!connection_.start()) return lost();
  if (connection_.open()) greet();
}

void ReadLink::greet() {
  CommandBuffer out;
  login_left_ = write_login(options_.endpoint, out);
  until_ = now_ + options_.reply_timeout;
  greeted_ = login_left_ == 0;
  if (greeted_) {
    backoff_.reset();
    return;
  }
  sending_ = out.take();
  connection_.send(sending_);
}

std::size_t ReadLink::window() const {
  return std::clamp<std::size_t>(options_.read_window_bytes / usual_bytes_, 1,
                                 options_.read_window);
}

void ReadLink::ask_more() {
  if (!connection_.sent()) return;
  CommandBuffer out;
  out.reuse(std::move(sending_));
  // Replies to small answers arrive in crowds, and new commands need not trickle after them.
  const std::size_t most = window();
  while (asked_whole_ < questions_.size() && under_way_ < most) {
    Question& question = questions_[asked_whole_];
    const auto& ids = question.request.ids;
    while (question.asked < ids.size() && under_way_ < most) {
      ask_job(keys_, ids[question.asked++], question.request.what, out);
      ++under_way_;
    }
    if (question.asked < ids.size()) break;
    ++asked_whole_;
  }
  // A question about nothing is answered at once.
  while (events_ && !questions_.empty() && questions_.front().request.ids.empty()) {
    events_->push_back(ports::ReadDone{questions_.front().request.tag, {}});
    questions_.pop_front();
    --asked_whole_;
  }
  sending_ = out.take();
  if (sending_.empty()) return;
  connection_.send(sending_);
  until_is_fresh_ = true;
  until_ = now_ + options_.reply_timeout;
}

bool ReadLink::on_reply(const Reply& reply) {
  if (!greeted_) {
    if (reply.is_error()) {
      lost();
      return false;
    }
    greeted_ = --login_left_ == 0;
    if (greeted_) backoff_.reset();
    return true;
  }
  if (under_way_ == 0 || (reply.is_error() && !reply.text().starts_with("WRONGTYPE"))) {
    lost();
    return false;
  }
  --under_way_;
  usual_bytes_ = std::max(usual_bytes_ - usual_bytes_ / 8, reply.bytes() + 1);
  until_ = now_ + options_.reply_timeout;
  Question& question = questions_.front();
  ports::StoredJob& job = question.jobs.emplace_back();
  job.id = question.request.ids[question.jobs.size() - 1];
  job.job.id = job.id;
  if (read_job(reply, question.request.what, job) == ReadOutcome::kUnreadable && options_.log)
    options_.log("the fields of job " + core::to_string(job.id) + " cannot be read");
  if (question.jobs.size() < question.request.ids.size()) return true;
  events_->push_back(ports::ReadDone{question.request.tag, std::move(question.jobs)});
  questions_.pop_front();
  --asked_whole_;
  return true;
}

void ReadLink::lost() {
  connection_.close();
  greeted_ = false;
  login_left_ = 0;
  under_way_ = 0;
  asked_whole_ = 0;
  for (Question& question : questions_) {
    question.asked = 0;
    question.jobs.clear();
  }
  until_ = now_ + backoff_.next();
}

void ReadLink::end() {
  lost();
  questions_.clear();
  ended_ = true;
}

ports::Status ReadLink::call(std::string_view bytes, std::size_t replies,
                             const std::function<void(const Reply&)>& on_reply) {
  assert(questions_.empty());
  const auto failure = [this] {
    greeted_ = false;
    return ports::Failure{connection_.error(), !connection_.hopeless()};
  };
  if (connection_.closed()) {
    CommandBuffer out;
    const std::size_t login = write_login(options_.endpoint, out);
    const std::string hello = out.take();
    std::string error;
    const auto take = [&error](const Reply& reply) {
      if (reply.is_error()) error = reply.text();
    };
    if (!connection_.connect(options_.connect_timeout)) return failure();
    if (!connection_.call(hello, login, options_.reply_timeout, take)) return failure();
    if (!error.empty()) {
      connection_.close();
      return failure_of(options_.endpoint, error);
    }
    greeted_ = true;
  }
  if (!connection_.call(bytes, replies, options_.reply_timeout, on_reply)) return failure();
  return {};
}

void ReadLink::descriptors(std::vector<pollfd>& out) const {
  if (!connection_.closed()) out.push_back(connection_.descriptor());
}

std::optional<core::Steady> ReadLink::deadline() const {
  if (ended_) return std::nullopt;
  if (connection_.more()) return now_;
  if (connection_.closed() || !greeted_ || under_way_ > 0) return until_;
  if (!questions_.empty()) return now_;
  return std::nullopt;
}

}  // namespace jobwire::redis
