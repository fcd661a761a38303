// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/read_link.h"

#include <algorithm>
#include <cassert>
#include <random>
#include <utility>

#include "adapters/redis/index_scan.h"
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
  questions_.emplace_back().request = std::move(request);
  if (greeted_) ask_more();
  return true;
}

bool ReadLink::ask(ports::ScanRequest request) {
  if (ended_ || questions_.size() >= options_.most_reads) return false;
  Question& question = questions_.emplace_back();
  question.request = {request.tag, {}, ports::ReadRequest::What::kHead};
  question.scan = std::move(request);
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
    if (question.scan && !question.listed) {
      if (question.listing) break;
      list(question, out);
      ++under_way_;
      break;
    }
    const auto& ids = question.request.ids;
    while (question.asked < ids.size() && under_way_ < most) {
      ask_job(keys_, ids[question.asked++], question.request.what, out);
      ++under_way_;
    }
    if (question.asked < ids.size()) break;
    ++asked_whole_;
  }
  // A question about nothing is answered at once.
  while (events_ && asked_whole_ > 0 && questions_.front().request.ids.empty()) finish_front();
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
  if (question.scan && !question.listed) {
    take_list(question, reply);
    return true;
  }
  ports::StoredJob& job = question.jobs.emplace_back();
  job.id = question.request.ids[question.jobs.size() - 1];
  job.job.id = job.id;
  if (read_job(reply, question.request.what, job) == ReadOutcome::kUnreadable && options_.log)
    options_.log("the fields of job " + core::to_string(job.id) + " cannot be read");
  if (question.jobs.size() < question.request.ids.size()) return true;
  finish_front();
  return true;
}

void ReadLink::finish_front() {
  Question& question = questions_.front();
  if (question.scan) {
    ports::ScanDone done;
    done.tag = question.request.tag;
    done.last = question.last;
    done.end = question.request.ids.empty()
                   ? question.scan->after
                   : core::IndexPlace{question.times.back(), question.request.ids.back()};
    // The index and the hashes were read one after the other.
    std::erase_if(question.jobs, [&](const ports::StoredJob& job) {
      return !job.found || job.job.state != question.scan->state ||
             job.queue != question.scan->queue;
    });
    done.jobs = std::move(question.jobs);
    for (ports::StoredJob& job : done.jobs) job.rebind();
    events_->push_back(std::move(done));
  } else {
    events_->push_back(ports::ReadDone{question.request.tag, std::move(question.jobs)});
  }
  questions_.pop_front();
  --asked_whole_;
}

void ReadLink::list(Question& question, CommandBuffer& out) const {
  const ports::ScanRequest& scan = *question.scan;
  question.listing = true;
  out.next("ZRANGE", 9);
  out.arg(keys_.index_of(scan.queue, scan.state));
  out.number(scan.after.time.time_since_epoch().count());
  out.arg("+inf");
  out.arg("BYSCORE");
  out.arg("LIMIT");
  out.number(question.passed);
  out.number(scan.limit);
  out.arg("WITHSCORES");
}

void ReadLink::take_list(Question& question, const Reply& reply) const {
  const ports::ScanRequest& scan = *question.scan;
  const std::size_t entries = reply.is_array() ? reply.size() / 2 : 0;
  for (std::size_t i = 1; i + 1 < reply.size(); i += 2) {
    core::IndexPlace place;
    place.time = read_score(reply.text(i + 1));
    // Within one time the index is in the order of the ids' texts, which is that of the ids.
    if (!core::parse_job_id(reply.text(i), place.id) || place <= scan.after) continue;
    question.request.ids.push_back(place.id);
    question.times.push_back(place.time);
  }
  question.listing = false;
  question.last = entries < scan.limit;
  // A page's worth of entries of one time, all seen before: further on.
  question.passed += entries;
  question.listed = question.last || !question.request.ids.empty();
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
    if (!question.scan) continue;
    question.listed = question.listing = question.last = false;
    question.passed = 0;
    question.request.ids.clear();
    question.times.clear();
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
  // It may have been idle for long: finds out whether Redis has closed it.
  if (!connection_.closed()) connection_.pump([](const Reply&) { return true; });
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
