// SPDX-License-Identifier: Apache-2.0
#include "io_loop.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {
namespace {

using std::chrono::milliseconds;

// Messages read, or sent, before the other direction has its turn.
constexpr int kMessagesPerTurn = 32;
// Payloads gathered into one message; a larger one travels alone.
constexpr std::size_t kBlobBytes = 4U << 20;
// What an envelope holds besides jobs.
constexpr std::size_t kEnvelopeRoom = kMaxEnvelopeBytes - 4096;
// Deadlines, resends and retries are looked after this often, while there are any.
constexpr milliseconds kSweep{50};
constexpr milliseconds kConnectPatience{4'000};
constexpr milliseconds kFirstHello{1'000};
constexpr milliseconds kSlowestHello{5'000};
constexpr int kHellosPerConnection = 3;
constexpr milliseconds kRetryDefault{100};
constexpr milliseconds kRetryLongest{5'000};
constexpr milliseconds kResendLongest{60'000};
constexpr milliseconds kGoodbyeLinger{100};
constexpr char kVersion[] = " jobwire-cpp/0.1";

// An id is made of bits from the kernel's random source.
std::uint64_t random_seed() {
  std::uint64_t seed;
  std::memcpy(&seed, JobId::make().bytes().data() + 8, sizeof seed);
  return seed;
}

template <class T>
std::size_t count_of(const T* vector) {
  return vector ? vector->size() : 0;
}

std::string refusal_text(const wire::Receipts& receipts, std::size_t index) {
  std::string text;
  for (std::size_t r = 0; r < count_of(receipts.refusals()); ++r) {
    const auto* detail = receipts.refusals()->Get(static_cast<flatbuffers::uoffset_t>(r));
    if (detail->index() != index) continue;
    if (count_of(detail->field()) > 0) text = detail->field()->str() + ": ";
    if (detail->message()) text += detail->message()->str();
    break;
  }
  return text;
}

/// The request that a message answers; 0 for one that answers none.
std::uint64_t number_of(const wire::Message& message) {
  if (const auto* push = message.body_as_ResultPush()) return push->request();
  if (const auto* reply = message.body_as_CancelReply()) return reply->request();
  if (const auto* reply = message.body_as_QueueReply()) return reply->request();
  if (const auto* report = message.body_as_SweepReport()) return report->request();
  if (const auto* page = message.body_as_DeadPage()) return page->request();
  if (const auto* reply = message.body_as_ContractReply()) return reply->request();
  return 0;
}

}  // namespace

IoLoop::IoLoop(Exchange& exchange, std::unique_ptr<Link> link)
    : exchange_(exchange),
      link_(std::move(link)),
      reconnect_(exchange.endpoints.size(), random_seed()) {}

void IoLoop::stop() {
  stop_.store(true, std::memory_order_release);
  exchange_.waker.wake();
}

// Nothing to do twice in a row, once before and once after telling the callers: only then sleep.
// Whoever came in between has either been seen or rings the bell.
void IoLoop::run() {
  while (!stop_.load(std::memory_order_acquire)) {
    now_ = Clock::now();
    bool busy = drain_events();
    busy = drain_messages() || busy;
    if (state_ == State::Open) {
      busy = send_requests() || busy;
      busy = send_jobs() || busy;
    }
    tick();
    if (busy) {
      if (std::exchange(armed_, false)) exchange_.waker.awake();
    } else if (!std::exchange(armed_, true)) {
      exchange_.waker.prepare(state_ == State::Open && !blocked_ && !window_full_);
    } else {
      sleep();
      exchange_.waker.awake();
      armed_ = false;
    }
  }
  if (state_ == State::Open) {
    link_->linger(kGoodbyeLinger);
    send(outbound_.goodbye());
  }
  exchange_.phase.closed();
  link_.reset();
}

void IoLoop::sleep() {
  TimePoint until = now_ + kLongestWait;
  const bool sweeps = !in_flight_.empty() || !delayed_.empty() || !asked_.empty() ||
                      !unasked_.empty() || ask_again_ != TimePoint::max() ||
                      exchange_.backlog.has_waiting();
  if (sweeps) until = std::min(until, next_sweep_);
  if (state_ == State::Open) until = std::min(until, next_heartbeat_);
  if (state_ == State::Resting) until = std::min(until, next_attempt_);
  if (state_ == State::Connecting || state_ == State::Greeting) {
    until = std::min(until, next_hello_);
  }
  link_->wait(until, exchange_.waker.fd(), blocked_);
}

bool IoLoop::drain_events() {
  bool any = false;
  for (Link::Event event = link_->next_event(); event != Link::Event::None;
       event = link_->next_event()) {
    any = true;
    if (event == Link::Event::Up) {
      unanswered_hellos_ = 0;
      greet();
    } else {
      unanswered();
      break;
    }
  }
  return any;
}

bool IoLoop::drain_messages() {
  Link::Message message;
  int count = 0;
  while (count < kMessagesPerTurn && link_->receive(message)) {
    ++count;
    const wire::Message* read = message.frames <= 2 ? inbound_.open(message.envelope) : nullptr;
    if (read) {
      handle(*read, message.blob);
    } else {
      malformed();
    }
  }
  return count > 0;
}

bool IoLoop::send(std::span<const std::uint8_t> envelope, const Blob& blob) {
  blocked_ = !link_->send(envelope, blob);
  if (!blocked_) next_heartbeat_ = now_ + limits_.heartbeat;
  return !blocked_;
}

// ---------------------------------------------------------------- the session

void IoLoop::attempt() {
  const std::string& endpoint = exchange_.endpoints[reconnect_.endpoint()];
  exchange_.phase.tries(endpoint);
  state_ = State::Connecting;
  next_hello_ = now_ + kConnectPatience;
  if (!link_->connect(endpoint)) unanswered();
}

void IoLoop::unanswered() {
  refusals_ = 0;
  give_up_endpoint();
  exchange_.phase.unanswered();
}

void IoLoop::give_up_endpoint() {
  lose_session(State::Resting);
  link_->disconnect();
  blocked_ = false;
  next_attempt_ = now_ + reconnect_.failed();
}

void IoLoop::greet() {
  lose_session(State::Greeting);
  if (send(outbound_.hello(exchange_.options.name() + kVersion, exchange_.operates))) {
    next_hello_ = now_ + std::min(kSlowestHello, kFirstHello * (1 << unanswered_hellos_));
    ++unanswered_hellos_;
  } else {
    next_hello_ = now_ + kFirstHello;
  }
  blocked_ = false;
}

void IoLoop::lose_session(State state) {
  if (state_ == State::Open) exchange_.phase.lost();
  state_ = state;
  next_hello_ = now_ + kFirstHello;
  requeue_in_flight();
  // Answers to what was asked will not come: ask again.
  for (auto& [number, request] : asked_) unasked_.push_back(std::move(request));
  asked_.clear();
  fences_.clear();
}

void IoLoop::handle(const wire::Welcome& welcome) {
  if (state_ != State::Greeting && state_ != State::Open) return;
  const JobId broker = welcome.broker() ? from_wire(*welcome.broker()) : JobId();
  // A second answer to a repeated Hello may be for the same session; then nothing has changed.
  if (state_ == State::Open && welcome.session() == session_ && broker == broker_) return;
  if (state_ == State::Open) lose_session(State::Greeting);
  if (broker != broker_) exchange_.counters.brokers.add();
  broker_ = broker;
  session_ = welcome.session();
  durability_ = from_wire(welcome.durability());
  limits_ = {};
  if (const wire::Limits* told = welcome.limits()) {
    const auto take = [](auto value, std::size_t& limit) {
      if (value > 0) limit = static_cast<std::size_t>(value);
    };
    take(told->max_jobs_per_message(), limits_.jobs_per_message);
    take(told->max_message_bytes(), limits_.message_bytes);
    take(told->window_jobs(), limits_.window_jobs);
    take(told->window_bytes(), limits_.window_bytes);
    if (told->max_payload_bytes() > 0) {
      exchange_.max_payload_bytes.store(told->max_payload_bytes(), std::memory_order_relaxed);
    }
    if (told->session_timeout_ms() > 0) {
      limits_.heartbeat = milliseconds(std::max(1U, told->session_timeout_ms() / 3));
    }
  }
  state_ = State::Open;
  reconnect_.succeeded();
  refusals_ = 0;
  unanswered_hellos_ = 0;
  next_heartbeat_ = now_ + limits_.heartbeat;
  exchange_.counters.sessions.add();
  exchange_.watches.ask_all_again();
  exchange_.phase.open();
}

void IoLoop::tick() {
  if (state_ == State::Open) {
    if (now_ >= next_heartbeat_) send(outbound_.heartbeat(++heartbeats_));
  } else if (state_ == State::Resting) {
    if (now_ >= next_attempt_) attempt();
  } else if (now_ >= next_hello_) {
    // Nobody there, or a peer that is there and does not answer.
    if (state_ == State::Connecting || unanswered_hellos_ >= kHellosPerConnection) {
      unanswered();
    } else {
      greet();
    }
  }
  if (now_ >= next_sweep_) {
    next_sweep_ = now_ + kSweep;
    sweep();
  }
}

// ---------------------------------------------------------------- sending

bool IoLoop::send_requests() {
  for (auto& request : exchange_.requests.take()) unasked_.push_back(std::move(request));
  bool any = false;
  std::size_t sent = 0;
  for (; sent < unasked_.size(); ++sent) {
    const std::uint64_t number = ++last_request_;
    request_builder_.Clear();
    Blob blob;
    unasked_[sent]->write(number, request_builder_, blob);
    if (!send({request_builder_.GetBufferPointer(), request_builder_.GetSize()}, blob)) break;
    asked_.emplace(number, std::move(unasked_[sent]));
    any = true;
  }
  unasked_.erase(unasked_.begin(), unasked_.begin() + static_cast<std::ptrdiff_t>(sent));
  for (int i = 0; i < kMessagesPerTurn && link_->writable(); ++i) {
    const auto ids = exchange_.watches.take_questions(limits_.jobs_per_message);
    if (ids.empty()) break;
    // A send that fails here means that the connection just went, and after it all are asked again.
    send(outbound_.result_request(++last_request_, ids, true));
    any = true;
  }
  return any;
}

bool IoLoop::send_jobs() {
  bool any = false;
  for (int i = 0; i < kMessagesPerTurn; ++i) {
    blocked_ = !link_->writable();
    window_full_ = in_flight_.size() >= limits_.window_jobs;
    if (blocked_ || window_full_) break;
    MessageRoom room;
    room.jobs = std::min(limits_.jobs_per_message, limits_.window_jobs - in_flight_.size());
    room.payload_bytes = std::min(kBlobBytes, limits_.message_bytes);
    room.envelope_bytes = kEnvelopeRoom;
    room.window_bytes = limits_.window_bytes - std::min(limits_.window_bytes, in_flight_bytes_);
    room.window_idle = in_flight_.empty();
    EntryList batch = exchange_.backlog.take(room);
    if (batch.empty()) {
      window_full_ = !in_flight_.empty() && exchange_.backlog.has_waiting();
      break;
    }
    any = true;
    for (auto entry = batch.begin(); entry != batch.end();) {
      const auto next = std::next(entry);
      if (in_flight_ids_.insert(entry->id).second) {
        *in_flight_ids_.find(entry->id) = entry;
      } else {  // the same id twice at once: one after the other
        entry->due = now_ + kSweep;
        delayed_.splice(delayed_.end(), batch, entry);
      }
      entry = next;
    }
    if (batch.empty()) continue;
    const std::uint64_t request = ++last_request_;
    Blob blob;
    const auto envelope = outbound_.submit(request, batch, blob);
    if (!send(envelope, blob)) {
      for (const Entry& entry : batch) in_flight_ids_.erase(entry.id);
      exchange_.backlog.put_back(std::move(batch));
      break;
    }
    exchange_.counters.messages.add();
    for (Entry& entry : batch) {
      entry.request = request;
      entry.sent_at = now_;
      if (entry.sends++ > 0) exchange_.counters.resent.add();
      in_flight_bytes_ += entry.bytes();
      exchange_.tell(JobEvent::Kind::Sent, entry);
    }
    in_flight_.splice(in_flight_.end(), batch);
  }
  return any;
}

void IoLoop::land(InFlight entry, EntryList& list) {
  in_flight_ids_.erase(entry->id);
  in_flight_bytes_ -= entry->bytes();
  list.splice(list.end(), in_flight_, entry);
}

void IoLoop::requeue_in_flight() {
  if (in_flight_.empty()) return;
  in_flight_ids_.clear();
  in_flight_bytes_ = 0;
  exchange_.backlog.put_back(std::move(in_flight_));
  in_flight_.clear();
  window_full_ = false;
}

// ---------------------------------------------------------------- settling

Error IoLoop::late_error(bool sent) const {
  if (sent) {
    return {ErrorCode::Timeout,
            "no answer from the broker in time; it may have it, the same id may be sent again"};
  }
  const Connection connection = exchange_.phase.connection();
  if (connection.error) return *connection.error;
  return {ErrorCode::Unavailable, "no session with a broker at " + connection.endpoint};
}

void IoLoop::give_up(Entry& entry, const Error& error, JobEvent::Kind kind) {
  exchange_.tell(kind, entry, &error);
  if (entry.job.is_watched()) exchange_.watches.fail(entry.id, error);
  if (!entry.posted()) {
    receipts_.emplace_back(std::move(entry.receipt), error);
  } else if (exchange_.options.on_lost()) {
    exchange_.options.on_lost()(entry.id, error);
  }
}

void IoLoop::give_up_late(Entry& entry) {
  exchange_.counters.expired.add();
  if (entry.last_refusal) {
    give_up(entry, *entry.last_refusal);
  } else if (entry.sends == 0) {
    give_up(entry, late_error(false));
  } else {
    // The job may live: whoever waits for its result goes on waiting, and the broker is asked.
    if (entry.job.is_watched()) accepted_.push_back({entry.id, entry.id, true});
    const Error error = late_error(true);
    exchange_.tell(JobEvent::Kind::GivenUp, entry, &error);
    receipts_.emplace_back(std::move(entry.receipt), error);
  }
}

void IoLoop::accept(Entry& entry, const wire::ReceiptHead& head) {
  exchange_.counters.receipted.add();
  exchange_.tell(JobEvent::Kind::Receipted, entry);
  const JobId job = from_wire(head.job());
  if (entry.job.is_watched() || defers_) {
    accepted_.push_back({entry.id, job, head.duplicate() || entry.sends > 1});
  }
  if (entry.posted()) return;
  Receipt receipt;
  receipt.id = job.is_nil() ? entry.id : job;
  receipt.duplicate = head.duplicate();
  receipt.state = from_wire(head.state());
  receipt.durability = durability_;
  receipts_.emplace_back(std::move(entry.receipt), receipt);
}

void IoLoop::strike(const EntryList& done) {
  if (!exchange_.spool) return;
  struck_.clear();
  for (const Entry& entry : done) {
    if (entry.spooled) struck_.push_back(entry.id);
  }
  if (!struck_.empty()) exchange_.spool->remove(struck_);
}

void IoLoop::settle(EntryList done) {
  exchange_.watches.accepted(accepted_);
  accepted_.clear();
  // First the room, then the word: who hears of a receipt finds its place in the backlog free.
  strike(done);
  exchange_.backlog.forget(std::move(done));
  for (auto& [waiting, answer] : receipts_) waiting.settle(std::move(answer));
  receipts_.clear();
}

void IoLoop::refuse(EntryList& list, wire::Code code, std::string message,
                    std::uint32_t retry_after_ms) {
  Entry& entry = list.back();
  // Nobody stands behind a posted job who could wait for its queue to open again.
  const bool again = passes(code) || (entry.posted() && code == wire::Code::QueuePaused);
  Error error = refusal(code, std::move(message), retry_after_ms);
  if (again) {
    const milliseconds pause =
        retry_after_ms == 0 ? kRetryDefault : std::min(milliseconds(retry_after_ms), kRetryLongest);
    if (now_ + pause < entry.deadline) {
      exchange_.counters.retried.add();
      entry.due = now_ + pause;
      entry.last_refusal = std::make_unique<Error>(std::move(error));
      entry.sends = 0;  // what comes is not a resend: the broker does not have it
      delayed_.splice(delayed_.end(), list, std::prev(list.end()));
      return;
    }
  }
  exchange_.counters.refused.add();
  give_up(entry, error, JobEvent::Kind::Refused);
}

void IoLoop::handle(const wire::Receipts& receipts) {
  const auto* heads = receipts.heads();
  EntryList done;
  for (std::size_t i = 0; i < count_of(heads); ++i) {
    const wire::ReceiptHead& head = *heads->Get(static_cast<flatbuffers::uoffset_t>(i));
    const bool accepted = head.code() == wire::Code::Unspecified;
    std::string message = accepted ? std::string() : refusal_text(receipts, i);
    InFlight* found = in_flight_ids_.find(from_wire(head.id()));
    if (!found) {  // settled before, and this answers a resend; or an import's
      const Error error = refusal(head.code(), std::move(message), head.retry_after_ms());
      offer_receipt(head, accepted ? nullptr : &error);
      continue;
    }
    land(*found, done);
    if (accepted) {
      accept(done.back(), head);
      continue;
    }
    refuse(done, head.code(), std::move(message), head.retry_after_ms());
  }
  settle(std::move(done));
}

void IoLoop::handle(const wire::Refused& refused) {
  const wire::Code code = refused.code();
  std::string message = refused.message() ? refused.message()->str() : std::string();
  if (state_ != State::Open) {
    // Old messages are still answered with HelloFirst; Welcome or a refusal of Hello follows.
    if (code == wire::Code::HelloFirst || state_ != State::Greeting) return;
    unanswered_hellos_ = 0;
    const std::size_t endpoints = exchange_.endpoints.size();
    refusals_ = std::min(refusals_ + 1, endpoints);
    exchange_.phase.refused(refusal(code, std::move(message), refused.retry_after_ms()),
                            refusals_ == endpoints);
    if (endpoints > 1) return give_up_endpoint();
    next_hello_ =
        now_ + std::clamp(milliseconds(refused.retry_after_ms()), kFirstHello, kSlowestHello);
    return;
  }
  if (code == wire::Code::HelloFirst || code == wire::Code::SlowReader) {
    greet();
    return;
  }
  if (const auto asked = asked_.find(refused.request()); asked != asked_.end()) {
    asked->second->fail(refusal(code, std::move(message), refused.retry_after_ms()));
    asked_.erase(asked);
    return;
  }
  EntryList done;
  for (auto entry = in_flight_.begin(); entry != in_flight_.end();) {
    const auto next = std::next(entry);
    if (entry->request == refused.request() && refused.request() != 0) {
      land(entry, done);
      refuse(done, code, message, refused.retry_after_ms());
    }
    entry = next;
  }
  if (done.empty() && delayed_.empty()) {
    // It was a request for results, or could not be read: ask again, not too soon.
    ask_again_ = now_ + std::max(kFirstHello, milliseconds(refused.retry_after_ms()));
  }
  settle(std::move(done));
}

bool IoLoop::holds(const JobId& id) {
  if (in_flight_ids_.find(id)) return true;
  const auto is_it = [&id](const Entry& entry) { return entry.id == id; };
  return std::any_of(delayed_.begin(), delayed_.end(), is_it) || exchange_.backlog.holds(id);
}

void IoLoop::handle(const wire::ResultPush& push, std::span<const std::byte> blob) {
  const auto* views = push.results();
  std::vector<std::pair<JobId, Result<JobResult>>> answers;
  answers.reserve(count_of(views));
  for (std::size_t i = 0; i < count_of(views); ++i) {
    const wire::ResultView& view = *views->Get(static_cast<flatbuffers::uoffset_t>(i));
    auto answer = read_result(view, blob);
    if (!answer) {
      malformed();
      return;
    }
    answers.emplace_back(from_wire(view.id()), std::move(*answer));
  }
  std::vector<JobResult> results;
  results.reserve(answers.size());
  for (auto& [id, answer] : answers) {
    if (answer) {
      if (is_final(answer->state())) results.push_back(std::move(*answer));
    } else if (answer.error().code() == ErrorCode::UnknownJob &&
               exchange_.watches.unknown_yet(id)) {
      continue;
    } else if (answer.error().code() == ErrorCode::UnknownJob && holds(id)) {
      defers_ = true;
      exchange_.watches.ask_when_accepted(id);
    } else {
      exchange_.watches.fail(id, answer.error());
    }
  }
  exchange_.counters.results.add(results.size());
  for (const JobResult& result : results) exchange_.tell_ended(result.status());
  exchange_.watches.complete(std::move(results));
}

bool IoLoop::answer(std::uint64_t number, const Reply& reply) {
  const auto asked = asked_.find(number);
  if (asked == asked_.end()) return false;
  switch (asked->second->read(reply)) {
    case Request::Read::Done:
      asked_.erase(asked);
      break;
    case Request::Read::More:
      break;
    case Request::Read::Fence:
      fences_.push_back({++heartbeats_, number});
      send(outbound_.heartbeat(heartbeats_));
      break;
    case Request::Read::Malformed:
      malformed();
      break;
  }
  return true;
}

void IoLoop::pass_fences(std::uint64_t heartbeat) {
  std::erase_if(fences_, [&](const Fence& fence) {
    if (fence.heartbeat > heartbeat) return false;
    if (const auto asked = asked_.find(fence.number); asked != asked_.end()) {
      asked->second->done();
      asked_.erase(asked);
    }
    return true;
  });
}

void IoLoop::handle(const wire::ProgressPush& push, std::span<const std::byte> blob) {
  for (std::size_t i = 0; i < count_of(push.views()); ++i) {
    const wire::ProgressView& view = *push.views()->Get(static_cast<flatbuffers::uoffset_t>(i));
    const std::size_t offset = view.message_offset();
    const std::size_t size = view.message_size();
    if (size > 0 && (offset > blob.size() || size > blob.size() - offset)) return malformed();
    JobProgress progress;
    progress.value = view.value();
    if (size > 0) {
      progress.message.assign(reinterpret_cast<const char*>(blob.data()) + offset, size);
    }
    progress.at = to_time(view.at_ms());
    const JobId id = from_wire(view.id());
    for (const auto& [number, request] : asked_) request->progress(id, progress);
    exchange_.watches.progress(id, progress);
  }
}

void IoLoop::offer_receipt(const wire::ReceiptHead& head, const Error* refusal) {
  for (auto asked = asked_.begin(); asked != asked_.end(); ++asked) {
    if (!asked->second->receipt(head, refusal)) continue;
    if (asked->second->complete()) asked_.erase(asked);
    return;
  }
}

void IoLoop::handle(const wire::Message& message, std::span<const std::byte> blob) {
  if (const std::uint64_t number = number_of(message); number != 0) {
    if (answer(number, {message, inbound_.bytes(), blob})) return;
  }
  switch (message.body_type()) {
    case wire::Body::Welcome:
      if (const auto* welcome = message.body_as_Welcome()) return handle(*welcome);
      break;
    case wire::Body::Refused:
      if (const auto* refused = message.body_as_Refused()) return handle(*refused);
      break;
    case wire::Body::Receipts:
      if (const auto* receipts = message.body_as_Receipts()) return handle(*receipts);
      break;
    case wire::Body::ResultPush:
      if (const auto* push = message.body_as_ResultPush()) return handle(*push, blob);
      break;
    case wire::Body::CancelReply:  // to somebody who no longer waits
    case wire::Body::QueueReply:
    case wire::Body::SweepReport:
    case wire::Body::DeadPage:
    case wire::Body::ContractReply:
      return;
    case wire::Body::ProgressPush:
      if (const auto* push = message.body_as_ProgressPush()) return handle(*push, blob);
      break;
    case wire::Body::Heartbeat:
      if (const auto* echo = message.body_as_Heartbeat()) return pass_fences(echo->sequence());
      break;
    case wire::Body::Goodbye:  // it is leaving: whoever comes next, here or elsewhere, is greeted
      if (exchange_.endpoints.size() > 1) return give_up_endpoint();
      unanswered_hellos_ = 0;
      return lose_session(State::Greeting);
    default:  // what a newer broker may say, or what is not for producers
      break;
  }
  malformed();
}

// ---------------------------------------------------------------- time

void IoLoop::sweep() {
  EntryList done = exchange_.backlog.take_expired(now_);
  for (Entry& entry : done) give_up_late(entry);
  EntryList again;
  for (auto entry = delayed_.begin(); entry != delayed_.end();) {
    const auto next = std::next(entry);
    if (entry->deadline <= now_) {
      give_up_late(*entry);
      done.splice(done.end(), delayed_, entry);
    } else if (entry->due <= now_) {
      again.splice(again.end(), delayed_, entry);
    }
    entry = next;
  }
  for (auto entry = in_flight_.begin(); entry != in_flight_.end();) {
    const auto next = std::next(entry);
    const auto patience = std::min<milliseconds>(
        kResendLongest, exchange_.options.resend_after() * (1 << std::min(entry->sends - 1, 8U)));
    if (entry->deadline <= now_) {
      give_up_late(*entry);
      land(entry, done);
    } else if (entry->sent_at + patience <= now_) {
      land(entry, again);
    }
    entry = next;
  }
  if (!again.empty()) exchange_.backlog.put_back(std::move(again));
  settle(std::move(done));

  if (state_ != State::Open) {
    for (auto& request : exchange_.requests.take()) unasked_.push_back(std::move(request));
  }
  std::erase_if(unasked_, [this](const auto& request) {
    if (request->deadline() > now_) return false;
    request->fail(late_error(false));
    return true;
  });
  std::erase_if(asked_, [this](const auto& asked) {
    if (asked.second->deadline() > now_) return false;
    asked.second->fail(late_error(true));
    return true;
  });
  if (now_ >= ask_again_) {
    ask_again_ = TimePoint::max();
    exchange_.watches.ask_all_again();
  }
}

EntryList IoLoop::take_unsettled() {
  EntryList all;
  all.splice(all.end(), in_flight_);
  all.splice(all.end(), delayed_);
  return all;
}

std::vector<std::shared_ptr<Request>> IoLoop::take_unanswered() {
  auto all = std::move(unasked_);
  for (auto& [number, request] : asked_) all.push_back(std::move(request));
  asked_.clear();
  return all;
}

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
