// SPDX-License-Identifier: Apache-2.0
#include "runtime/dead_reader.h"

#include <algorithm>
#include <utility>

namespace jobwire::runtime {
namespace {

/// Apart from the tags of others who ask the same store.
constexpr std::uint64_t kTagBit = std::uint64_t{1} << 63;
constexpr std::size_t kMaxQuestions = 64;
constexpr std::uint32_t kScanAtOnce = 256;
/// Entries looked at for one page: a filter that fits little must not keep its asker waiting.
constexpr std::size_t kLooksPerPage = 5'000;
/// Payloads of one full page: it is read whole before it is sent.
constexpr std::size_t kFullPageBytes = 8U << 20;

}  // namespace

void DeadReader::ask(const wire::DeadQueryIn& asked, const std::vector<std::string>& queues) {
  Query query;
  query.asked = asked;
  if (asked_.size() + waiting_.size() >= kMaxQuestions)
    return refuse(query, core::Code::kStoreUnavailable, "too many questions wait for the store");
  const std::string& first = asked.after.queue;
  if (!asked.filter.ids.empty()) {
    const std::vector<core::JobId>& ids = asked.filter.ids;
    auto at = ids.begin();
    if (!first.empty()) {
      at = std::find(ids.begin(), ids.end(), asked.after.place.id);
      if (at != ids.end()) ++at;
    }
    const auto count = std::min<std::ptrdiff_t>(ids.end() - at, asked.limit);
    ports::ReadRequest read{0, {at, at + count}, ports::ReadRequest::What::kHead};
    return go({std::move(read), std::move(query)});
  }
  for (auto name = queues.rbegin(); name != queues.rend(); ++name) {
    if (*name < first || (!asked.filter.queue.empty() && *name != asked.filter.queue)) continue;
    query.queues.push_back(*name);
  }
  if (!query.queues.empty() && query.queues.back() == first) query.place = asked.after.place;
  walk_on(std::move(query));
}

void DeadReader::ask(core::DeadScanOut scan) {
  Request request;
  if (scan.ids.empty()) {
    request = ports::ScanRequest{0, scan.queue, core::State::kDead, scan.after, scan.limit};
  } else {
    request = ports::ReadRequest{0, scan.ids, ports::ReadRequest::What::kHead};
  }
  go({std::move(request), std::move(scan)});
}

void DeadReader::go(Step step) {
  const std::uint64_t tag = ++last_tag_ | kTagBit;
  std::visit([&](auto& request) { request.tag = tag; }, step.request);
  if (give(step.request)) {
    asked_.emplace(tag, std::move(step));
  } else {
    waiting_.push_back(std::move(step));
  }
}

bool DeadReader::give(const Request& request) {
  if (const auto* scan = std::get_if<ports::ScanRequest>(&request)) return store_.scan(*scan);
  return store_.read(std::get<ports::ReadRequest>(request));
}

void DeadReader::start() {
  std::vector<Step> waiting;
  waiting.swap(waiting_);
  for (Step& step : waiting) go(std::move(step));
}

void DeadReader::ask_again() {
  for (auto& [tag, step] : asked_) waiting_.push_back(std::move(step));
  asked_.clear();
  // In the order in which they were asked, whatever the table makes of it.
  std::sort(waiting_.begin(), waiting_.end(), [](const Step& a, const Step& b) {
    const auto tag = [](const auto& request) { return request.tag; };
    return std::visit(tag, a.request) < std::visit(tag, b.request);
  });
}

void DeadReader::walk_on(Query query) {
  if (query.queues.empty()) return finish_walk(std::move(query));
  ports::ScanRequest scan{0, query.queues.back(), core::State::kDead, query.place, kScanAtOnce};
  go({std::move(scan), std::move(query)});
}

void DeadReader::finish_walk(Query query) {
  if (!query.asked.full || query.found.empty()) {
    std::deque<ports::StoredJob> jobs;
    jobs.swap(query.found);
    return answer(query, std::move(jobs));
  }
  ports::ReadRequest read{0, {}, ports::ReadRequest::What::kWhole};
  std::size_t bytes = 0;
  for (const ports::StoredJob& job : query.found) {
    if (!read.ids.empty() && bytes + job.job.payload_size > kFullPageBytes) {
      const ports::StoredJob& last = query.found[read.ids.size() - 1];
      query.next = wire::text_of({last.queue, {last.job.finished, last.id}});
      break;
    }
    bytes += job.job.payload_size;
    read.ids.push_back(job.id);
  }
  query.reading = true;
  go({std::move(read), std::move(query)});
}

bool DeadReader::take(ports::ScanDone& done, const Feed& feed) {
  const auto found = asked_.find(done.tag);
  if (found == asked_.end()) return false;
  Owner owner = std::move(found->second.owner);
  asked_.erase(found);
  if (const auto* sweep = std::get_if<core::DeadScanOut>(&owner)) {
    feed_sweep(*sweep, done.jobs, done.end, done.last, feed);
    return true;
  }
  Query query = std::move(std::get<Query>(owner));
  for (ports::StoredJob& job : done.jobs) {
    query.place = {job.job.finished, job.id};
    job.rebind();
    if (core::fits(query.asked.filter, {job.job, job.error_type, job.error_message}))
      query.found.push_back(std::move(job));
    ++query.looked;
    if (query.found.size() < query.asked.limit) continue;
    query.next = wire::text_of({query.queues.back(), query.place});
    finish_walk(std::move(query));
    return true;
  }
  query.place = done.end;
  if (done.last) {
    query.place = {};
    query.queues.pop_back();
  } else if (query.looked >= kLooksPerPage) {
    query.next = wire::text_of({query.queues.back(), query.place});
    finish_walk(std::move(query));
    return true;
  }
  walk_on(std::move(query));
  return true;
}

bool DeadReader::take(ports::ReadDone& done, const Feed& feed) {
  const auto found = asked_.find(done.tag);
  if (found == asked_.end()) return false;
  Owner owner = std::move(found->second.owner);
  asked_.erase(found);
  const core::JobId last = done.jobs.empty() ? core::JobId{} : done.jobs.back().id;
  std::erase_if(done.jobs, [](const ports::StoredJob& job) {
    return !job.found || job.job.state != core::State::kDead;
  });
  for (ports::StoredJob& job : done.jobs) job.rebind();
  if (const auto* sweep = std::get_if<core::DeadScanOut>(&owner)) {
    feed_sweep(*sweep, done.jobs, {}, true, feed);
    return true;
  }
  Query query = std::move(std::get<Query>(owner));
  if (query.reading) {
    answer(query, std::move(done.jobs));
    return true;
  }
  // By their ids.
  const std::vector<core::JobId>& ids = query.asked.filter.ids;
  if (!ids.empty() && last != ids.back() && !last.is_zero())
    query.next = wire::text_of({"-", {{}, last}});
  for (ports::StoredJob& job : done.jobs) {
    if (core::fits(query.asked.filter, {job.job, job.error_type, job.error_message}))
      query.found.push_back(std::move(job));
  }
  finish_walk(std::move(query));
  return true;
}

void DeadReader::answer(Query& query, std::deque<ports::StoredJob> jobs) {
  wire::DeadPageOut page;
  page.session = query.asked.session;
  page.request = query.asked.request;
  page.jobs = std::move(jobs);
  for (ports::StoredJob& job : page.jobs) job.rebind();
  page.next = std::move(query.next);
  page.full = query.asked.full;
  pages_.push_back(std::move(page));
}

void DeadReader::refuse(const Query& query, core::Code code, const char* message) {
  wire::DeadPageOut page;
  page.session = query.asked.session;
  page.request = query.asked.request;
  page.code = code;
  page.message = message;
  page.retry_after = core::Millis(1'000);
  pages_.push_back(std::move(page));
}

void DeadReader::feed_sweep(const core::DeadScanOut& scan, std::deque<ports::StoredJob>& jobs,
                            core::IndexPlace end, bool last, const Feed& feed) {
  std::vector<core::DeadView> views;
  views.reserve(jobs.size());
  for (ports::StoredJob& job : jobs) {
    job.rebind();
    views.push_back({job.job, job.error_type, job.error_message});
  }
  feed({scan.sweep, views, end, last});
}

}  // namespace jobwire::runtime
