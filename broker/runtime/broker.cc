// SPDX-License-Identifier: Apache-2.0
#include "runtime/broker.h"

#include <algorithm>
#include <cassert>
#include <utility>
#include <variant>

#include "wire/names.h"

namespace jobwire::runtime {
namespace {

constexpr core::Micros kLongestWait{500'000};
constexpr core::Micros kShutdownStep{5'000};
constexpr core::Millis kReadAgain{100};
/// Results may be large, and those of one read come together.
constexpr std::size_t kIdsPerRead = 8;
constexpr std::size_t kMaxWaitingReads = 100'000;

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <typename... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

wire::ProtocolLimits limits_of(const BrokerConfig& config) {
  wire::ProtocolLimits limits = config.limits;
  limits.window_jobs = config.engine.window_jobs;
  limits.window_bytes = config.engine.window_bytes;
  limits.session_timeout_ms = static_cast<std::uint32_t>(config.engine.session_timeout.count());
  limits.heartbeat_ms = static_cast<std::uint32_t>(config.engine.heartbeat.count());
  return limits;
}

}  // namespace

Broker::Broker(const BrokerConfig& config, ports::Store& store, ports::Transport& transport,
               const ports::Clock& clock, ports::Log& log, const std::array<std::uint8_t, 16>& id,
               std::uint64_t seed)
    : config_(config),
      store_(store),
      transport_(transport),
      clock_(clock),
      log_(log),
      contracts_(log),
      id_(id),
      seed_(seed),
      decoder_(limits_of(config)),
      encoder_(limits_of(config)),
      dead_(store) {}

ports::Status Broker::recover() {
  auto opened = store_.open();
  if (!opened) return opened.failure();
  opened_ = *opened;
  engine_.emplace(config_.engine, seed_, opened_.epoch, opened_.last_sequence);
  if (ports::Status status = contracts_.recover(store_); !status) return status;
  const core::Now start = clock_.now();
  recovery_began_ = start.steady;
  recovered_jobs_ = recovered_finals_ = senseless_jobs_ = 0;
  recovering_ = true;
  for (bool serve = false; recovering_ && !serve;) {
    auto all_running = read_page(start);
    if (!all_running) return all_running.failure();
    serve = *all_running && clock_.now().steady - start.steady >= config_.read_before_serving;
  }
  for (bool last = false; !last;) {
    auto page = store_.recover_finals();
    if (!page) return page.failure();
    for (const ports::RecoveredFinal& job : page->jobs) {
      engine_->restore_final(job.id, job.queue, job.state, job.finished, job.goes);
    }
    recovered_finals_ += page->jobs.size();
    last = page->last;
  }
  auto queues = store_.recover_queues();
  if (!queues) return queues.failure();
  for (const ports::RecoveredQueue& queue : *queues)
    engine_->restore_queue(queue.queue, queue.settings, start);
  auto dedups = store_.recover_dedups();
  if (!dedups) return dedups.failure();
  for (const ports::RecoveredDedup& dedup : *dedups)
    engine_->restore_dedup(dedup.key, dedup.job, dedup.left, start);
  auto gone_before = store_.recover_gone_before();
  if (!gone_before) return gone_before.failure();
  engine_->restore_gone_before(*gone_before);
  auto types = store_.recover_types();
  if (!types) return types.failure();
  for (const ports::RecoveredType& type : *types)
    engine_->restore_type({type.type, type.timeout, type.retry});
  auto hosts = store_.recover_hosts();
  if (!hosts) return hosts.failure();
  for (const core::HostId& host : *hosts) engine_->restore_host(host);
  const core::Now now = clock_.now();
  engine_->finish_recovery(now);
  if (!recovering_) tell_recovered(now);
  return {};
}

bool Broker::restore(ports::StoredJob& job, core::Now now) {
  job.rebind();
  if (!engine_->restore(job.job, now)) return false;
  if (job.checkpoint) engine_->restore_checkpoint(job.id, job.checkpoint);
  return true;
}

ports::Result<bool> Broker::read_page(core::Now now) {
  auto page = store_.recover_jobs();
  if (!page) return page.failure();
  for (ports::StoredJob& job : page->jobs) {
    ++(restore(job, now) ? recovered_jobs_ : senseless_jobs_);
  }
  recovering_ = !page->last;
  return page->all_running;
}

void Broker::read_on(core::Now now) {
  if (store_away_ || now.steady < read_again_at_) return;
  if (auto read = read_page(now); !read) {
    log_.write(ports::Level::kWarning, "recovery", "cannot read on: " + read.failure().message);
    read_again_at_ = now.steady + kReadAgain;
    if (!read.failure().retryable) finish(End::kDiverged, read.failure().message);
  }
  if (!recovering_) tell_recovered(clock_.now());
}

bool Broker::know(std::span<const core::HeldLease> leases, core::Now now) {
  std::vector<core::JobId> unknown;
  for (const core::HeldLease& lease : leases) {
    if (!engine_->state_of(lease.job)) unknown.push_back(lease.job);
  }
  if (unknown.empty()) return true;
  auto page = store_.recover_some(unknown);
  if (!page) return false;
  for (ports::StoredJob& job : page->jobs) {
    if (restore(job, now)) ++recovered_jobs_;
  }
  return true;
}

void Broker::tell_recovered(core::Now now) {
  const auto took = std::chrono::duration_cast<core::Millis>(now.steady - recovery_began_).count();
  log_.write(ports::Level::kInfo, "",
             "recovered " + std::to_string(recovered_jobs_) + " waiting and " +
                 std::to_string(recovered_finals_) + " finished jobs in " + std::to_string(took) +
                 " ms from " + opened_.description + ", epoch " + std::to_string(opened_.epoch));
  if (senseless_jobs_ > 0) {
    log_.write(
        ports::Level::kWarning, "",
        std::to_string(senseless_jobs_) + " jobs in the store make no sense and were left alone");
  }
}

void Broker::use(ports::Contracts& contracts,
                 std::optional<std::vector<ports::ContractFile>> deployed) {
  contracts_.use(contracts, std::move(deployed));
}

core::Micros Broker::patience(core::Now now) const {
  if (more_to_read_ || !broken_.empty()) return core::Micros{0};
  if (recovering_ && !store_away_ && now.steady >= read_again_at_) return core::Micros{0};
  if (store_.ready() && engine_->has_batch(now)) return core::Micros{0};
  core::Micros wait = shutting_down_ ? kShutdownStep : kLongestWait;
  const auto until = [&](std::optional<core::Steady> moment) {
    if (moment) wait = std::min(wait, std::max(core::Micros{0}, *moment - now.steady));
  };
  until(engine_->next_deadline());
  until(store_.deadline());
  return wait;
}

void Broker::turn() {
  descriptors_.clear();
  store_.descriptors(descriptors_);
  transport_.wait(patience(clock_.now()), descriptors_);
  const core::Now now = clock_.now();
  take_store_events(now);
  if (end_ != End::kRunning) return;
  std::vector<core::SessionId> broken;
  broken.swap(broken_);
  for (const core::SessionId session : broken) close(session, false, now);
  tell_slow_readers();
  more_to_read_ = false;
  // Workers first: results free what producers wait for.
  receive(ports::Side::kWorkers, now);
  if (recovering_) {
    read_on(now);
  } else {
    receive(ports::Side::kProducers, now);
  }
  engine_->end_turn(now, effects_);
  if (store_.ready() && engine_->has_batch(now)) {
    const core::Batch& batch = engine_->stage(now);
    ++counters_.batches;
    counters_.written_jobs += batch.jobs.size();
    store_.commit(batch);
  }
  execute();
  std::vector<core::RefusalOut> unanswered = start_reads();
  effects_.clear();
  effects_.refusals = std::move(unanswered);
  if (shutting_down_) check_shutdown(now);
}

void Broker::receive(ports::Side side, core::Now now) {
  ports::Received message;
  for (std::uint32_t i = 0; i < config_.messages_per_turn; ++i) {
    if (!transport_.receive(side, message)) return;
    ++counters_.messages;
    handle(message, now);
  }
  more_to_read_ = true;
}

void Broker::handle(const ports::Received& message, core::Now now) {
  wire::Sender sender;
  sender.side = message.peer.side;
  if (const auto known = session_of_.find(message.peer); known != session_of_.end()) {
    sender.session = known->second;
    sender.role = sessions_.at(known->second).role;
  }
  const auto feed = [&](const auto& event) {
    if (recovering_ && !know_all_of(event, now)) {
      // It greets anew, and says again what it holds.
      close(sender.session, false, now);
      return send_to(message.peer, encoder_.refused(core::Code::kHelloFirst, "not known yet"));
    }
    engine_->apply(event, now, effects_);
  };
  std::visit(
      Overloaded{
          [&](const wire::RefusedIn& refused) { handle_refused(message, refused); },
          [&](const wire::HelloIn& hello) { greet(message, hello, now); },
          [&](const wire::GoodbyeIn&) { close(sender.session, true, now); },
          [&](const wire::HeartbeatIn& beat) {
            feed(beat.beat);
            deliver(sender.session, encoder_.heartbeat(beat.sequence), {});
          },
          [&](const wire::SubmitIn& submit) {
            effects_.receipts.insert(effects_.receipts.end(), submit.bad.begin(), submit.bad.end());
            if (submit.good.jobs.empty()) return;
            core::Submitted judged = submit.good;
            contracts_.judge(judged);
            feed(judged);
          },
          [&](const wire::DeadQueryIn& query) { ask_for_dead(query); },
          [&](const wire::ContractCommandIn& command) {
            contracts_.take(command, *engine_, now, effects_);
          },
          [&](const wire::DeadImportIn& import) {
            effects_.receipts.insert(effects_.receipts.end(), import.bad.begin(), import.bad.end());
            if (!import.good.jobs.empty()) feed(import.good);
          },
          [&](const auto& event) { feed(event); },
      },
      decoder_.decode(message, sender));
}

void Broker::handle_refused(const ports::Received& message, const wire::RefusedIn& refused) {
  ++counters_.refused_messages;
  // A peer that was not greeted yet is normal after a restart; the others are worth a line.
  if (refused.code != core::Code::kHelloFirst) {
    log_.write(
        ports::Level::kWarning, "refused-message",
        "refused a message: " + std::string(wire::name_of(refused.code)) + ", " + refused.message);
  }
  send_to(message.peer, encoder_.refused(refused.code, refused.message, refused.request));
}

void Broker::greet(const ports::Received& message, const wire::HelloIn& hello, core::Now now) {
  if (const auto known = session_of_.find(message.peer); known != session_of_.end()) {
    const Session& old = sessions_.at(known->second);
    // A worker or an agent is known again by its host; for the others the old session ends here.
    if (old.role == core::Role::kProducer || old.role == core::Role::kOperator ||
        old.stands_alone) {
      close(known->second, true, now);
    } else {
      forget_session(known->second);
    }
  } else if (sessions_.size() >= config_.max_sessions) {
    ++counters_.refused_messages;
    log_.write(ports::Level::kWarning, "sessions",
               "refused a peer: " + std::to_string(sessions_.size()) + " sessions are open");
    send_to(message.peer, encoder_.refused(core::Code::kQuotaExceeded, "too many sessions", 0,
                                           core::Millis(1'000)));
    return;
  }
  const core::SessionId id{++last_session_};
  Session session;
  session.peer = message.peer;
  session.role = hello.opened.role;
  session.stands_alone = hello.opened.role == core::Role::kWorker && hello.opened.host.is_zero();
  sessions_.emplace(id, session);
  session_of_[message.peer] = id;
  core::SessionOpened opened = hello.opened;
  opened.session = id;
  engine_->apply(opened, now, effects_);
  wire::WelcomeOut welcome;
  welcome.session = id;
  welcome.broker = id_;
  welcome.epoch = opened_.epoch;
  welcome.durability = opened_.durability;
  welcome.replicas = opened_.replicas;
  welcome.now = now.wall;
  welcome.version = config_.version;
  deliver(id, encoder_.welcome(welcome), {});
  log_.write(ports::Level::kDebug, "",
             "session " + std::to_string(last_session_) + ": " + std::string(hello.client));
}

void Broker::take_store_events(core::Now now) {
  store_events_.clear();
  store_.poll(now.steady, store_events_);
  for (ports::StoreEvent& event : store_events_) {
    std::visit(
        Overloaded{
            [&](const ports::Committed& done) {
              engine_->apply(core::BatchCommitted{done.sequence}, now, effects_);
            },
            [&](const ports::BatchRefused& refused) {
              log_.write(ports::Level::kWarning, "batch-refused",
                         "the store refused a batch: " + refused.message);
              engine_->apply(core::BatchRejected{refused.sequence, refused.code}, now, effects_);
            },
            [&](const ports::StoreAway& away) {
              store_away_ = true;
              log_.write(ports::Level::kWarning, "store-away",
                         "the store is away: " + away.message);
              engine_->apply(core::StoreWentAway{}, now, effects_);
            },
            [&](const ports::StoreBack& back) {
              store_away_ = false;
              store_away_ = false;
              std::string text = "the store is back";
              if (back.repaired > 0)
                text +=
                    "; it had lost " + std::to_string(back.repaired) + " batches, written again";
              log_.write(ports::Level::kWarning, "", text);
              engine_->apply(core::StoreCameBack{}, now, effects_);
              // Whatever was asked before it went is asked again: an answer that comes twice finds
              // no question.
              for (auto& [tag, read] : reads_) waiting_reads_.push_back(std::move(read));
              reads_.clear();
              dead_.ask_again();
            },
            [&](const ports::StoreRoom& room) {
              log_.write(ports::Level::kWarning, "store-room",
                         (room.scarce ? "no new jobs are taken, the store runs short of memory: "
                                      : "new jobs are taken again, the store has memory: ") +
                             room.message);
              engine_->apply(core::StoreRoomChanged{room.scarce}, now, effects_);
            },
            [&](const ports::Fenced& fenced) { finish(End::kFenced, fenced.message); },
            [&](const ports::StoreDiverged& diverged) { finish(End::kDiverged, diverged.message); },
            [&](ports::ReadDone& done) { take_read(std::move(done), now); },
            [&](ports::ScanDone& done) {
              dead_.take(done, [&](const core::DeadScanned& scanned) {
                engine_->apply(scanned, now, effects_);
              });
            },
        },
        event);
  }
}

void Broker::take_read(ports::ReadDone done, core::Now now) {
  const auto feed = [&](const core::DeadScanned& scanned) {
    engine_->apply(scanned, now, effects_);
  };
  if (dead_.take(done, feed)) return;
  const auto found = reads_.find(done.tag);
  if (found == reads_.end()) return;
  const Read read = std::move(found->second);
  reads_.erase(found);
  if (read.questions.empty()) {
    std::vector<core::PayloadLoaded> payloads;
    payloads.reserve(done.jobs.size());
    for (const ports::StoredJob& job : done.jobs)
      payloads.push_back({job.id, job.found, job.job.payload});
    engine_->apply(core::PayloadsLoaded{payloads}, now, effects_);
    return;
  }
  for (std::size_t i = 0; i < done.jobs.size() && i < read.questions.size(); ++i) {
    const ports::StoredJob& job = done.jobs[i];
    core::ResultOut result;
    result.session = read.questions[i].session;
    result.request = read.questions[i].request;
    result.id = job.id;
    result.known = job.found ? core::Known::kFinal : core::Known::kGone;
    if (job.found) {
      const core::JobRecord& record = job.job;
      // Mostly final. But the id may have gone and come again since the question.
      if (!core::is_final(record.state)) {
        result.known =
            record.state == core::State::kRunning ? core::Known::kRunning : core::Known::kWaiting;
      }
      result.state = record.state;
      result.reason = record.reason;
      result.encoding = record.result_encoding;
      result.attempts = record.attempts;
      result.created = record.created;
      result.started = record.started;
      result.finished = record.finished;
      result.run = record.run;
      result.result = record.result;
      if (record.state != core::State::kSucceeded && (job.error || !job.error_type.empty())) {
        result.error = job.error;
        auto words = std::make_shared<core::ErrorText>();
        words->type = job.error_type;
        words->message = job.error_message;
        result.error_text = std::move(words);
      }
    }
    effects_.results.push_back(std::move(result));
  }
}

void Broker::ask_for_dead(const wire::DeadQueryIn& query) {
  if (store_away_) {
    wire::DeadPageOut page;
    page.session = query.session;
    page.request = query.request;
    page.code = core::Code::kStoreUnavailable;
    page.message = "the store is away";
    page.retry_after = core::Millis(1'000);
    dead_.pages().push_back(std::move(page));
    return;
  }
  std::vector<std::string> queues;
  engine_->queue_names(queues);
  std::sort(queues.begin(), queues.end());
  dead_.ask(query, queues);
}

void Broker::ask_waiting() {
  for (; !waiting_reads_.empty(); waiting_reads_.pop_front()) {
    Read& read = waiting_reads_.front();
    read.request.tag = ++last_tag_;
    if (!store_.read(read.request)) return;
    reads_.emplace(read.request.tag, std::move(read));
  }
}

std::vector<core::RefusalOut> Broker::start_reads() {
  std::vector<core::RefusalOut> refused;
  for (core::PayloadReadOut& payloads : effects_.payload_reads) {
    waiting_reads_.push_back(
        {{0, std::move(payloads.ids), ports::ReadRequest::What::kPayload}, {}});
  }
  Read results;
  for (const core::ResultReadOut& wanted : effects_.result_reads) {
    if (waiting_reads_.size() >= kMaxWaitingReads) {
      refused.push_back({wanted.session, core::Code::kStoreUnavailable, wanted.request,
                         core::Millis(1'000), "too many questions wait for the store"});
      continue;
    }
    results.request.ids.push_back(wanted.id);
    results.questions.push_back({wanted.session, wanted.request});
    if (results.request.ids.size() == kIdsPerRead)
      waiting_reads_.push_back(std::exchange(results, Read{}));
  }
  if (!results.request.ids.empty()) waiting_reads_.push_back(std::move(results));
  ask_waiting();
  dead_.start();
  for (core::DeadScanOut& scan : effects_.dead_scans) dead_.ask(std::move(scan));
  return refused;
}

void Broker::execute() {
  for (const core::LogOut& line : effects_.logs) {
    const bool warning = line.severity == core::Severity::kWarning;
    log_.write(warning ? ports::Level::kWarning : ports::Level::kInfo, warning ? "engine" : "",
               line.text);
  }
  encoder_.encode(effects_, *this);
  for (const wire::DeadPageOut& page : dead_.pages()) encoder_.dead_page(page, *this);
  dead_.pages().clear();
  // After the receipts: what they object to is said in the words of the contracts before.
  for (const core::ContractDoneOut& done : effects_.contracts_done) contracts_.take(done);
  for (const wire::ContractReplyOut& reply : contracts_.replies())
    encoder_.contract_reply(reply, *this);
  contracts_.replies().clear();
  for (const core::SessionDropOut& drop : effects_.session_drops) {
    if (drop.code != core::Code::kNone) {
      deliver(drop.session, encoder_.refused(drop.code, "the session has ended"), {});
    }
    forget_session(drop.session);
  }
}

void Broker::put(const wire::Outgoing& message) {
  deliver(message.session, message.envelope, message.blob);
}

void Broker::deliver(core::SessionId id, wire::ByteSpan envelope, wire::ByteSpan blob) {
  const auto session = sessions_.find(id);
  if (session == sessions_.end()) return;
  switch (transport_.send(session->second.peer, envelope, blob)) {
    case ports::Sent::kYes:
      return;
    case ports::Sent::kFull:
      ++counters_.slow_readers;
      log_.write(ports::Level::kWarning, "slow-reader",
                 "closed a session whose peer does not read");
      if (std::find(slow_readers_.begin(), slow_readers_.end(), session->second.peer) ==
          slow_readers_.end()) {
        slow_readers_.push_back(session->second.peer);
      }
      break;
    case ports::Sent::kGone:
      ++counters_.undeliverable;
      break;
  }
  broken_.push_back(id);
}

void Broker::tell_slow_readers() {
  std::erase_if(slow_readers_, [&](ports::PeerId peer) {
    if (session_of_.contains(peer)) return true;  // it has greeted anew
    const auto envelope = encoder_.refused(core::Code::kSlowReader,
                                           "the session was closed: its messages were not read");
    return transport_.send(peer, envelope, {}) != ports::Sent::kFull;
  });
}

void Broker::send_to(ports::PeerId peer, wire::ByteSpan envelope) {
  if (transport_.send(peer, envelope, {}) != ports::Sent::kYes) ++counters_.undeliverable;
}

void Broker::close(core::SessionId session, bool polite, core::Now now) {
  if (!sessions_.contains(session)) return;
  engine_->apply(core::SessionClosed{session, polite}, now, effects_);
  forget_session(session);
}

void Broker::forget_session(core::SessionId id) {
  const auto session = sessions_.find(id);
  if (session == sessions_.end()) return;
  const auto peer = session_of_.find(session->second.peer);
  if (peer != session_of_.end() && peer->second == id) session_of_.erase(peer);
  sessions_.erase(session);
}

void Broker::begin_shutdown() {
  if (shutting_down_) return;
  shutting_down_ = true;
  const core::Now now = clock_.now();
  shutdown_until_ = now.steady + config_.shutdown_deadline;
  engine_->apply(core::ShutdownBegun{}, now, effects_);
  log_.write(ports::Level::kInfo, "",
             "stopping: no new jobs are taken, what was taken is being stored");
}

void Broker::check_shutdown(core::Now now) {
  const bool drained = engine_->drained();
  if (!drained && now.steady < shutdown_until_) return;
  for (const auto& [id, session] : sessions_) {
    transport_.send(session.peer,
                    encoder_.goodbye(core::Code::kShuttingDown, "the broker is stopping"), {});
  }
  if (drained) {
    finish(End::kDrained, "everything that was taken is stored");
  } else {
    finish(End::kTimedOut, "the store did not take everything in time");
  }
}

void Broker::finish(End end, std::string reason) {
  if (end_ != End::kRunning) return;
  end_ = end;
  end_reason_ = std::move(reason);
}

}  // namespace jobwire::runtime
