// SPDX-License-Identifier: Apache-2.0
#include "store_rig.h"

#include <gtest/gtest.h>
#include <poll.h>

namespace jobwire::testing {
namespace {

template <typename... Ts>
struct Overload : Ts... {
  using Ts::operator()...;
};
template <typename... Ts>
Overload(Ts...) -> Overload<Ts...>;

std::string ms(core::Wall time) { return std::to_string(time.time_since_epoch().count()); }

}  // namespace

core::Steady steady_now() {
  const auto time = std::chrono::steady_clock::now().time_since_epoch();
  return core::Steady(std::chrono::duration_cast<core::Micros>(time));
}

ports::StoreOpened Driver::open() {
  const core::Steady end = steady_now() + core::Millis(10'000);
  for (;;) {
    auto opened = store_->open();
    if (opened) return std::move(*opened);
    if (!opened.failure().retryable || steady_now() > end) {
      ADD_FAILURE() << opened.failure().message;
      return {};
    }
    ::poll(nullptr, 0, 5);
  }
}

void Driver::poll() {
  store_->poll(steady_now(), events_);
  std::erase_if(events_, [this](const ports::StoreEvent& event) {
    const auto* room = std::get_if<ports::StoreRoom>(&event);
    if (room) scarce_ = room->scarce;
    return room != nullptr;
  });
}

void Driver::until(const std::string& what, const std::function<bool()>& done) {
  const core::Steady end = steady_now() + core::Millis(10'000);
  for (;;) {
    poll();
    if (done()) return;
    if (steady_now() > end) {
      FAIL() << "waited for " << what << "; events so far: " << events();
    }
    std::vector<pollfd> fds;
    store_->descriptors(fds);
    core::Micros wait{1'000};
    if (const auto deadline = store_->deadline())
      wait = std::clamp(*deadline - steady_now(), core::Micros(0), core::Micros(50'000));
    const timespec time{0, static_cast<long>(wait.count()) * 1000};
    ::ppoll(fds.data(), fds.size(), &time, nullptr);
  }
}

void Driver::commit(const core::Batch& batch) {
  ASSERT_TRUE(store_->ready());
  store_->commit(batch);
  const auto committed = next<ports::Committed>("batch " + std::to_string(batch.sequence));
  EXPECT_EQ(committed.sequence, batch.sequence);
}

std::string Driver::events() const {
  std::string text;
  for (const ports::StoreEvent& event : events_) {
    if (!text.empty()) text += ", ";
    text += std::visit(
        Overload{
            [](const ports::Committed& e) { return "Committed " + std::to_string(e.sequence); },
            [](const ports::BatchRefused& e) {
              return "BatchRefused " + std::to_string(e.sequence) + " (" + e.message + ")";
            },
            [](const ports::StoreAway& e) { return "StoreAway (" + e.message + ")"; },
            [](const ports::StoreBack& e) { return "StoreBack " + std::to_string(e.repaired); },
            [](const ports::Fenced& e) { return "Fenced (" + e.message + ")"; },
            [](const ports::StoreDiverged& e) { return "StoreDiverged (" + e.message + ")"; },
            [](const ports::ScanDone&) { return std::string("ScanDone"); },
            [](const ports::ReadDone& e) { return "ReadDone " + std::to_string(e.tag); },
            [](const ports::StoreRoom&) { return std::string("StoreRoom"); },
        },
        event);
  }
  return text;
}

std::deque<ports::StoredJob> Driver::read(std::vector<core::JobId> ids,
                                          ports::ReadRequest::What what) {
  EXPECT_TRUE(store_->read({++tag_, std::move(ids), what}));
  auto done = next<ports::ReadDone>("an answer");
  EXPECT_EQ(done.tag, tag_);
  return std::move(done.jobs);
}

ports::ScanDone Driver::scan(std::string queue, core::State state, core::IndexPlace after,
                             std::uint32_t limit) {
  const std::uint64_t tag = ++tag_;
  const ports::ScanRequest request{tag, std::move(queue), state, after, limit};
  until("a scan to be taken", [&] { return store_->scan(request); });
  ports::ScanDone done = next<ports::ScanDone>("the answer to a scan");
  EXPECT_EQ(done.tag, tag);
  return done;
}

std::map<std::string, std::string> Driver::everything() {
  std::map<std::string, std::string> all;
  std::vector<core::JobId> ids;
  for (bool last = false; !last;) {
    auto page = store_->recover_jobs();
    EXPECT_TRUE(static_cast<bool>(page));
    if (!page) return all;
    for (const auto& job : page->jobs) ids.push_back(job.id);
    last = page->last;
  }
  for (bool last = false; !last;) {
    auto page = store_->recover_finals();
    EXPECT_TRUE(static_cast<bool>(page));
    if (!page) return all;
    for (const auto& job : page->jobs) {
      ids.push_back(job.id);
      all["final " + core::to_string(job.id)] =
          job.queue + " " + std::string(core::name_of(job.state)) + " " + ms(job.finished);
    }
    last = page->last;
  }
  auto dedups = store_->recover_dedups();
  for (const auto& dedup : *dedups) all["dedup " + dedup.key] = core::to_string(dedup.job);
  auto queues = store_->recover_queues();
  for (const auto& [queue, settings] : *queues) {
    if (settings == core::QueueSettings{}) continue;
    all["queue " + queue] = std::to_string(settings.weight) + (settings.paused ? " paused" : "") +
                            (settings.draining ? " draining" : "") + " by=" + settings.by +
                            " why=" + settings.why + " since=" + ms(settings.since) +
                            " until=" + ms(settings.until);
  }
  auto hosts = store_->recover_hosts();
  for (const auto& host : *hosts) all["host " + core::to_hex(host.bytes)] = "here";
  if (ids.empty()) return all;
  for (const auto& job : read(ids, ports::ReadRequest::What::kEverything))
    all["job " + core::to_string(job.id)] = describe(job);
  return all;
}

std::string describe(const ports::StoredJob& stored) {
  const core::JobRecord& job = stored.job;
  std::string text = stored.found ? std::string(core::name_of(job.state)) : "not found";
  const auto add = [&text](const std::string& name, const std::string& value) {
    text += " " + name + "=" + value;
  };
  const auto number = [&](const std::string& name, auto value) {
    if (value != 0) add(name, std::to_string(value));
  };
  if (!job.queue.empty()) add("queue", std::string(job.queue));
  if (!job.origin.empty()) add("origin", std::string(job.origin));
  if (!job.type.empty()) add("type", std::string(job.type));
  number("encoding", static_cast<int>(job.encoding));
  add("priority", std::to_string(job.priority));
  if (job.keep_payload) add("keep", "yes");
  number("size", job.payload_size);
  if (job.payload) add("payload", "'" + std::string(job.payload.view()) + "'");
  number("timeout", job.timeout.count());
  number("created", job.created.time_since_epoch().count());
  number("due", job.due.time_since_epoch().count());
  number("expires", job.expires.time_since_epoch().count());
  number("attempts", job.attempts);
  number("raised", job.raised);
  number("timed_out", job.timed_out);
  number("crashed", job.crashed);
  number("generation", job.generation);
  if (job.options) {
    add("dedup", job.options->dedup_key);
    number("window", job.options->dedup_window.count());
    number("contract", job.options->contract);
    number("ttl", job.options->result_ttl.count());
    for (const auto& [name, value] : job.options->headers) add("header:" + name, value);
    if (job.options->has_retry) number("retries", job.options->retry.attempts);
  }
  if (!job.token.is_zero()) add("token", core::to_hex(job.token.bytes));
  if (!job.worker.empty()) add("worker", std::string(job.worker));
  number("started", job.started.time_since_epoch().count());
  number("finished", job.finished.time_since_epoch().count());
  number("run", job.run.count());
  number("reason", static_cast<int>(job.reason));
  number("result_encoding", static_cast<int>(job.result_encoding));
  if (job.result) add("result", "'" + std::string(job.result.view()) + "'");
  if (stored.checkpoint) {
    number("checkpoint_encoding", static_cast<int>(stored.checkpoint.encoding));
    add("checkpoint", "'" + std::string(stored.checkpoint.bytes.view()) + "'");
  }
  if (stored.progress.at != core::Wall{}) {
    number("progress", stored.progress.value);
    add("progress_message", "'" + std::string(stored.progress.message.view()) + "'");
    number("progress_at", stored.progress.at.time_since_epoch().count());
  }
  if (stored.error) add("error", "'" + std::string(stored.error.view()) + "'");
  if (!stored.error_type.empty()) add("error_type", stored.error_type);
  if (!stored.error_message.empty()) add("error_message", stored.error_message);
  return text;
}

core::JobId id(std::uint64_t number) {
  core::JobId id;
  id.bytes = {0x01, 0x90, 0xa6, 0xf2, 0, 0, 0x70, 0, 0x80};
  id.bytes[14] = static_cast<std::uint8_t>(number >> 8);
  id.bytes[15] = static_cast<std::uint8_t>(number);
  return id;
}

core::Wall wall(std::int64_t ms) { return core::Wall(core::Millis(ms)); }

core::Batch batch(std::uint64_t sequence) {
  core::Batch batch;
  batch.sequence = sequence;
  batch.now = wall(1'000);
  return batch;
}

core::JobWrite queued(std::uint64_t number) {
  core::JobWrite write;
  write.job.id = id(number);
  write.job.queue = "images";
  write.job.type = "thumbnail";
  write.job.state = core::State::kQueued;
  write.job.encoding = core::Encoding::kJson;
  write.job.payload = core::Bytes::copy_of("payload " + std::to_string(number));
  write.job.payload_size = static_cast<std::uint32_t>(write.job.payload.size());
  write.job.created = wall(1'000 + static_cast<std::int64_t>(number));
  return write;
}

core::JobWrite changed(const core::JobWrite& before, core::State state) {
  core::JobWrite write;
  write.stored = before.job.state;
  write.job = before.job;
  write.job.state = state;
  write.job.payload = {};
  return write;
}

}  // namespace jobwire::testing
