// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../golden/golden_files.h"
#include "../golden/golden_set.h"
#include "wire/decoder.h"
#include "wire/encoder.h"
#include "wire/names.h"

namespace jobwire::wire {
namespace {

using golden::Buffer;
using testing::ElementsAre;

const golden::Schema& schema() {
  static const golden::Schema schema{golden::schemas_folder()};
  return schema;
}

const std::vector<golden::Golden>& good_set() {
  static const auto set = golden::golden_messages(schema());
  return set;
}

const golden::Golden& good(const std::string& name) {
  for (const auto& message : good_set()) {
    if (message.name == name) return message;
  }
  ADD_FAILURE() << "no golden message " << name;
  return good_set().front();
}

template <typename CoreId>
CoreId id(int first) {
  CoreId made;
  for (int i = 0; i < 16; ++i)
    made.bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(first + i);
  return made;
}
core::JobId job(int first) { return id<core::JobId>(first); }
core::LeaseToken token(int first) { return id<core::LeaseToken>(first); }
core::Wall wall(std::int64_t ms) { return core::Wall{core::Millis{ms}}; }
std::string text(std::span<const std::uint8_t> bytes) { return {bytes.begin(), bytes.end()}; }

constexpr core::SessionId kSession{7};

Sender sender_of(const std::string& from) {
  using core::Role;
  if (from == "producer") return {ports::Side::kProducers, kSession, Role::kProducer};
  if (from == "operator") return {ports::Side::kProducers, kSession, Role::kOperator};
  if (from == "worker") return {ports::Side::kWorkers, kSession, Role::kWorker};
  if (from == "agent") return {ports::Side::kWorkers, kSession, Role::kAgent};
  if (from == "none_at_workers") return {ports::Side::kWorkers, {}, Role::kNone};
  return {ports::Side::kProducers, {}, Role::kNone};
}

ports::Received received(const Buffer& envelope, const Buffer& blob) {
  return {{}, envelope, blob, !blob.empty(), false};
}

// Decodes a golden message; the decoder lives as long as the test.
class GoldenTest : public testing::Test {
 protected:
  template <typename T>
  const T& decoded(const std::string& name) {
    const golden::Golden& message = good(name);
    const Decoded& answer =
        decoder_.decode(received(message.envelope, message.blob), sender_of(message.from));
    if (const auto* refused = std::get_if<RefusedIn>(&answer)) {
      ADD_FAILURE() << name << " refused: " << name_of(refused->code) << ", " << refused->message;
    }
    return std::get<T>(answer);
  }

  // What the encoder makes of `effects` reads like the golden message, blob included.
  void expect_encoded(const core::Effects& effects, const std::string& name) {
    struct Sink : OutgoingSink {
      void put(const Outgoing& message) override {
        ++messages;
        session = message.session;
        envelope.assign(message.envelope.begin(), message.envelope.end());
        blob.assign(message.blob.begin(), message.blob.end());
      }
      int messages = 0;
      core::SessionId session{};
      Buffer envelope;
      Buffer blob;
    } sink;
    encoder_.encode(effects, sink);
    EXPECT_EQ(sink.messages, 1);
    EXPECT_EQ(sink.session, kSession);
    EXPECT_EQ(schema().text_of(sink.envelope), good(name).text);
    EXPECT_EQ(sink.blob, good(name).blob);
  }

  void expect_text(ByteSpan envelope, const std::string& name) {
    EXPECT_EQ(schema().text_of({envelope.begin(), envelope.end()}), good(name).text);
  }

  Decoder decoder_{ProtocolLimits{}};
  Encoder encoder_{ProtocolLimits{}};
};

TEST(GoldenFiles, AreWhatTheSchemasMakeOfTheSet) {
  const std::string folder = golden::schemas_folder() + "/golden/";
  const auto bad = golden::bad_messages(schema());
  const Buffer index = golden::read_file(folder + "golden.json");
  EXPECT_EQ(std::string(index.begin(), index.end()), golden::index_of(good_set(), bad));
  for (const auto& message : good_set()) {
    EXPECT_EQ(golden::read_file(folder + message.name + ".bin"), message.envelope) << message.name;
    EXPECT_EQ(golden::read_file(folder + message.name + ".blob.bin"), message.blob) << message.name;
  }
  for (const auto& message : bad) {
    if (message.name == "oversized_envelope") continue;
    EXPECT_EQ(golden::read_file(folder + "bad/" + message.name + ".bin"), message.envelope)
        << message.name;
  }
}

TEST(GoldenFiles, EveryBadMessageIsRefusedWithItsCode) {
  Decoder decoder{ProtocolLimits{}};
  for (const auto& message : golden::bad_messages(schema())) {
    const Decoded& answer =
        decoder.decode(received(message.envelope, message.blob), sender_of(message.from));
    const auto* refused = std::get_if<RefusedIn>(&answer);
    ASSERT_TRUE(refused) << message.name << " was taken";
    EXPECT_EQ(name_of(refused->code), message.code) << message.name << ": " << refused->message;
    EXPECT_STRNE(refused->message, "") << message.name;
  }
}

TEST(GoldenFiles, EveryKindHasAGoldenMessage) {
  std::vector<bool> seen(static_cast<std::size_t>(Body::MAX) + 1);
  for (const auto& message : good_set()) {
    seen[static_cast<std::size_t>(GetMessage(message.envelope.data())->body_type())] = true;
  }
  for (std::size_t kind = 1; kind < seen.size(); ++kind) {
    EXPECT_TRUE(seen[kind]) << name_of(static_cast<Body>(kind));
  }
}

TEST_F(GoldenTest, HelloOfEachRole) {
  const auto producer = decoded<HelloIn>("hello_producer");
  EXPECT_EQ(producer.client, "thumbs/1.4");
  EXPECT_EQ(producer.opened.role, core::Role::kProducer);
  EXPECT_EQ(producer.opened.pid, 7U);
  EXPECT_TRUE(producer.opened.host.is_zero());
  const auto worker = decoded<HelloIn>("hello_worker");
  EXPECT_EQ(worker.opened.role, core::Role::kWorker);
  EXPECT_EQ(worker.opened.host, id<core::HostId>(1));
  EXPECT_EQ(worker.opened.host_name, "node-1");
  EXPECT_EQ(worker.opened.worker, core::WorkerNumber{3});
  EXPECT_EQ(worker.opened.session, kSession);
  EXPECT_EQ(decoded<HelloIn>("hello_agent").opened.role, core::Role::kAgent);
}

TEST_F(GoldenTest, GoodbyeAndHeartbeats) {
  EXPECT_EQ(decoded<GoodbyeIn>("goodbye").message, "done");
  const auto producer = decoded<HeartbeatIn>("heartbeat_producer");
  EXPECT_EQ(producer.sequence, 12U);
  EXPECT_TRUE(producer.beat.workers.empty());
  const auto agent = decoded<HeartbeatIn>("heartbeat_agent");
  EXPECT_EQ(agent.sequence, 12U);
  EXPECT_THAT(agent.beat.workers, ElementsAre(core::WorkerNumber{3}, core::WorkerNumber{4}));
  ASSERT_EQ(agent.beat.running.size(), 1U);
  EXPECT_EQ(agent.beat.running[0].token, token(40));
  EXPECT_EQ(agent.beat.running[0].job, job(56));
  EXPECT_EQ(agent.beat.running[0].worker, core::WorkerNumber{3});
  EXPECT_EQ(agent.beat.running[0].started, wall(1700000000123));
  EXPECT_EQ(agent.beat.running[0].attempt, 2);
}

TEST_F(GoldenTest, SubmitWithDefaultsAndWithEverything) {
  const auto submit = decoded<SubmitIn>("submit");
  EXPECT_EQ(submit.request, 42U);
  EXPECT_EQ(submit.good.session, kSession);
  EXPECT_TRUE(submit.bad.empty());
  ASSERT_EQ(submit.good.jobs.size(), 2U);
  const core::Submission& plain = submit.good.jobs[0];
  EXPECT_EQ(plain.id, job(10));
  EXPECT_EQ(plain.queue, "images");
  EXPECT_EQ(plain.type, "thumbnail");
  EXPECT_EQ(text(plain.payload), "hello");
  EXPECT_EQ(plain.encoding, core::Encoding::kUtf8);
  EXPECT_EQ(plain.priority, 4);
  EXPECT_FALSE(plain.watch);
  EXPECT_FALSE(plain.options);
  const core::Submission& full = submit.good.jobs[1];
  EXPECT_EQ(text(full.payload), "123");
  EXPECT_EQ(full.priority, 9);
  EXPECT_EQ(full.timeout_ms, 30000U);
  EXPECT_EQ(full.delay_ms, 5000U);
  EXPECT_EQ(full.not_before_ms, 1700000000000);
  EXPECT_EQ(full.expires_at_ms, 1700000100000);
  EXPECT_TRUE(full.watch);
  EXPECT_TRUE(full.keep_payload);
  ASSERT_TRUE(full.options);
  core::JobOptions options;
  options.headers = {{"trace", "abc"}};
  options.dedup_key = "k";
  options.dedup_window = core::Millis{1000};
  options.contract = 99;
  options.result_ttl = core::Millis{60000};
  options.has_retry = true;
  options.retry = {7,
                   5,
                   2,
                   core::BackoffKind::kListed,
                   core::Millis{10},
                   core::Millis{20},
                   3.0F,
                   false,
                   {core::Millis{1}, core::Millis{2}},
                   {"ValueError", "app.Bad"}};
  EXPECT_EQ(*full.options, options);
}

TEST_F(GoldenTest, QuestionsAndCancels) {
  const auto asked = decoded<core::ResultsAsked>("result_request");
  EXPECT_EQ(asked.request, 43U);
  EXPECT_THAT(asked.ids, ElementsAre(job(10), job(30)));
  EXPECT_TRUE(asked.wait);
  const auto cancel = decoded<core::CancelAsked>("cancel");
  EXPECT_EQ(cancel.request, 44U);
  EXPECT_THAT(cancel.ids, ElementsAre(job(10)));
}

TEST_F(GoldenTest, Ready) {
  const auto ready = decoded<core::WorkerReady>("ready");
  EXPECT_THAT(ready.queues, ElementsAre("images", "mail"));
  ASSERT_EQ(ready.types.size(), 2U);
  EXPECT_EQ(ready.types[0].name, "thumbnail");
  EXPECT_EQ(ready.types[0].contract, 99U);
  EXPECT_THAT(ready.types[0].accepts, ElementsAre(97, 98));
  EXPECT_EQ(ready.types[0].version, "2");
  EXPECT_EQ(ready.types[1].name, "send");
  EXPECT_EQ(ready.slots, 2);
  EXPECT_EQ(ready.credit, 64);
  ASSERT_EQ(ready.held.size(), 2U);
  EXPECT_TRUE(ready.held[0].finished);
  EXPECT_EQ(ready.held[1].token, token(80));
}

TEST_F(GoldenTest, ResultsWithAResultAndAnError) {
  const auto results = decoded<core::ResultsReported>("results");
  EXPECT_EQ(results.sequence, 6U);
  ASSERT_EQ(results.results.size(), 2U);
  const core::ResultReport& ok = results.results[0];
  EXPECT_EQ(ok.token, token(40));
  EXPECT_EQ(ok.job, job(56));
  EXPECT_EQ(ok.outcome, core::Outcome::kSucceeded);
  EXPECT_EQ(ok.encoding, core::Encoding::kJson);
  EXPECT_EQ(ok.run, core::Micros{1500});
  EXPECT_EQ(ok.started, wall(1700000000000));
  EXPECT_EQ(text(ok.payload), "42");
  const core::ResultReport& failed = results.results[1];
  EXPECT_EQ(failed.outcome, core::Outcome::kRaised);
  EXPECT_EQ(failed.error_type, "builtins.ValueError");
  EXPECT_EQ(failed.error_message, "no such größe");
  EXPECT_TRUE(failed.error_retryable);
  EXPECT_EQ(failed.payload.size() + 2, good("results").blob.size());
}

TEST_F(GoldenTest, HandBackWorkerDownAndProgress) {
  EXPECT_THAT(decoded<core::HandedBack>("hand_back").tokens, ElementsAre(token(40), token(80)));
  const auto down = decoded<core::WorkerDown>("worker_down");
  EXPECT_EQ(down.worker, core::WorkerNumber{3});
  EXPECT_EQ(down.end, core::WorkerEnd::kCrashed);
  EXPECT_EQ(down.pid, 4242U);
  EXPECT_EQ(down.signal, 11);
  EXPECT_EQ(down.exit_code, -11);
  EXPECT_EQ(down.running.size(), 1U);
  EXPECT_EQ(down.log_tail, "Segmentation fault");
  const auto progress = decoded<core::ProgressReported>("progress");
  ASSERT_EQ(progress.notes.size(), 1U);
  EXPECT_EQ(progress.notes[0].token, token(40));
  EXPECT_EQ(progress.notes[0].value, 0.5F);
  EXPECT_EQ(progress.notes[0].message, "half");
}

TEST_F(GoldenTest, CheckpointsAreDecodedHandedOnAndAcknowledged) {
  const auto saved = decoded<core::CheckpointsReported>("checkpoints");
  ASSERT_EQ(saved.notes.size(), 1U);
  EXPECT_EQ(saved.notes[0].token, token(40));
  EXPECT_EQ(saved.notes[0].number, 7U);
  EXPECT_EQ(saved.notes[0].encoding, core::Encoding::kJson);
  EXPECT_EQ(text(saved.notes[0].bytes), "[37]");

  core::DispatchOut dispatch;
  dispatch.session = kSession;
  dispatch.token = token(40);
  dispatch.job = job(56);
  dispatch.payload = core::Bytes::copy_of(std::string_view("hello"));
  dispatch.timeout = core::Millis{30000};
  dispatch.type = 1;
  dispatch.attempt = 2;
  dispatch.encoding = core::Encoding::kUtf8;
  dispatch.priority = 4;
  dispatch.checkpoint = {core::Encoding::kJson, core::Bytes::copy_of(std::string_view("[37]"))};
  core::Effects effects;
  effects.dispatches = {dispatch};
  expect_encoded(effects, "dispatch_checkpoint");
  effects = {};
  effects.checkpoint_acks = {{kSession, token(40), 7, core::Code::kNone},
                             {kSession, token(80), 1, core::Code::kStaleLease}};
  expect_encoded(effects, "checkpoint_ack");
}

TEST_F(GoldenTest, MessagesOfTheSession) {
  WelcomeOut welcome;
  welcome.session = core::SessionId{77};
  for (int i = 0; i < 16; ++i)
    welcome.broker[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(200 + i);
  welcome.epoch = 5;
  welcome.durability = core::Durability::kFsynced;
  welcome.now = wall(1700000000000);
  welcome.version = "0.1.0";
  expect_text(encoder_.welcome(welcome), "welcome");
  expect_text(
      encoder_.refused(core::Code::kStoreUnavailable, "Redis is away", 9, core::Millis{500}),
      "refused");
  expect_text(encoder_.goodbye(core::Code::kShuttingDown, "bye"), "goodbye_broker");
  expect_text(encoder_.heartbeat(12), "heartbeat_broker");
  core::Effects effects;
  effects.refusals = {
      {kSession, core::Code::kStoreUnavailable, 9, core::Millis{500}, "Redis is away"}};
  expect_encoded(effects, "refused");
}

TEST_F(GoldenTest, ReceiptsAreEncoded) {
  core::Effects effects;
  effects.receipts = {{kSession, job(10), job(10), core::Code::kNone, core::Millis{0}, true,
                       core::State::kQueued, "", ""},
                      {kSession, job(30), job(30), core::Code::kQueueFull, core::Millis{250}, false,
                       core::State::kNone, "queue", "the queue is full"}};
  expect_encoded(effects, "receipts");
}

TEST_F(GoldenTest, ResultPushIsEncoded) {
  core::ResultOut ok{kSession,
                     43,
                     job(10),
                     core::Known::kFinal,
                     core::State::kSucceeded,
                     core::DeadReason::kNone,
                     core::Encoding::kJson,
                     true,
                     1,
                     wall(1),
                     wall(2),
                     wall(3),
                     core::Micros{900},
                     core::Bytes::copy_of(std::string_view("42")),
                     {},
                     {},
                     {}};
  core::ResultOut dead{kSession,
                       43,
                       job(30),
                       core::Known::kFinal,
                       core::State::kDead,
                       core::DeadReason::kRaised,
                       core::Encoding::kNone,
                       false,
                       4,
                       wall(1),
                       wall(2),
                       wall(4),
                       core::Micros{1000},
                       {},
                       core::Bytes::copy_of(std::span(good("result_push").blob).subspan(2)),
                       {},
                       {}};
  core::Effects effects;
  effects.results = {ok, dead};
  expect_encoded(effects, "result_push");
}

TEST_F(GoldenTest, ResultPushSaysWhatIsInTheWayOfAJobThatWaits) {
  core::ResultOut waiting;
  waiting.session = kSession;
  waiting.request = 45;
  waiting.id = job(10);
  waiting.known = core::Known::kWaiting;
  waiting.state = core::State::kQueued;
  waiting.created = wall(1);
  waiting.obstacle =
      std::make_shared<const std::string>("no worker that is here serves queue images");
  core::Effects effects;
  effects.results = {waiting};
  expect_encoded(effects, "result_push_waiting");
}

TEST_F(GoldenTest, ProgressPushIsEncoded) {
  core::Effects effects;
  effects.progress = {
      {kSession,
       job(10),
       {0.5F, wall(1'700'000'000'000), core::Bytes::copy_of(std::string_view("half"))}}};
  expect_encoded(effects, "progress_push");
}

TEST_F(GoldenTest, DispatchIsEncoded) {
  auto options = std::make_shared<core::JobOptions>();
  options->headers = {{"trace", "abc"}};
  core::Effects effects;
  effects.dispatches = {{kSession,
                         token(40),
                         job(56),
                         core::Bytes::copy_of(std::string_view("hello")),
                         core::Millis{30000},
                         1,
                         1,
                         core::Encoding::kUtf8,
                         4,
                         {},
                         {}},
                        {kSession,
                         token(80),
                         job(96),
                         core::Bytes::copy_of(std::string_view("123")),
                         core::Millis{1000},
                         0,
                         2,
                         core::Encoding::kBytes,
                         9,
                         options,
                         {}}};
  expect_encoded(effects, "dispatch");
}

TEST_F(GoldenTest, AnswersToWorkersAndCancelsAreEncoded) {
  core::Effects effects;
  effects.acks = {{kSession, 5}, {kSession, 6}};
  expect_encoded(effects, "result_ack");
  effects = {};
  effects.lease_refusals = {{kSession, token(40), core::Code::kStaleLease}};
  expect_encoded(effects, "result_ack_refused");
  effects = {};
  effects.recalls = {{kSession, token(40)}};
  expect_encoded(effects, "recall");
  effects = {};
  effects.revokes = {{kSession, token(40)}, {kSession, token(80)}};
  expect_encoded(effects, "revoke");
  effects = {};
  effects.cancel_leases = {{kSession, token(40), core::WorkerNumber{3}, core::Millis{2000}}};
  expect_encoded(effects, "cancel_lease");
  effects = {};
  effects.cancel_replies = {
      {kSession, 44, job(10), core::Code::kAlreadyFinal, core::State::kSucceeded}};
  expect_encoded(effects, "cancel_reply");
}

TEST_F(GoldenTest, QueueCommands) {
  const auto look = decoded<core::QueueAsked>("queue_look");
  EXPECT_EQ(look.session, kSession);
  EXPECT_EQ(look.request, 50U);
  EXPECT_EQ(look.action, core::QueueAction::kLook);
  EXPECT_EQ(look.queue, "");
  EXPECT_EQ(look.after, "images");
  EXPECT_EQ(look.limit, 100U);
  const auto pause = decoded<core::QueueAsked>("queue_pause");
  EXPECT_EQ(pause.action, core::QueueAction::kPause);
  EXPECT_EQ(pause.queue, "images");
  EXPECT_EQ(pause.by, "ada");
  EXPECT_EQ(pause.why, "größer");
  EXPECT_EQ(pause.until_ms, 1700000100000);
  EXPECT_EQ(decoded<core::QueueAsked>("queue_weight").weight, 10U);
}

TEST_F(GoldenTest, QueueRepliesAreEncoded) {
  core::QueueView mail;
  mail.name = "mail";
  mail.settings = {1, true, true, "ada", "disk", wall(1700000000000), wall(1700000100000)};
  mail.scheduled = 1;
  mail.queued = 2;
  mail.running = 3;
  mail.bytes = 600;
  mail.workers = 4;
  mail.dead = 5;
  mail.finished = 6;
  core::QueueView news;
  news.name = "news";
  news.settings.weight = 10;
  core::Effects effects;
  effects.queue_replies = {
      {kSession, 50, core::Code::kNone, "", core::Millis{0}, {mail, news}, true}};
  expect_encoded(effects, "queue_reply");
  effects = {};
  effects.queue_replies = {
      {kSession, 51, core::Code::kStoreUnavailable, "Redis is away", core::Millis{500}, {}, false}};
  expect_encoded(effects, "queue_reply_refused");
}

TEST_F(GoldenTest, AQueueReplyEndsWhereItsEnvelopeWouldBeTooLarge) {
  const std::string why(1024, 'x');
  std::vector<std::string> names;
  for (int i = 0; i < 1000; ++i) names.push_back("queue-" + std::to_string(10'000 + i));
  core::QueueReplyOut reply;
  reply.session = kSession;
  for (const std::string& name : names) {
    core::QueueView view;
    view.name = name;
    view.settings.why = why;
    reply.queues.push_back(view);
  }
  struct Sink : OutgoingSink {
    void put(const Outgoing& message) override {
      ++messages;
      envelope.assign(message.envelope.begin(), message.envelope.end());
    }
    int messages = 0;
    Buffer envelope;
  } sink;
  encoder_.queue_replies(std::span(&reply, 1), sink);
  ASSERT_EQ(sink.messages, 1);
  EXPECT_LE(sink.envelope.size(), kMaxEnvelopeBytes);
  const QueueReply* body = GetMessage(sink.envelope.data())->body_as_QueueReply();
  ASSERT_LT(body->queues()->size(), 1000U);
  ASSERT_TRUE(body->next());
  EXPECT_EQ(body->next()->str(), names[body->queues()->size() - 1]);
}

TEST_F(GoldenTest, ContractCommands) {
  const auto put = decoded<ContractCommandIn>("contract_put");
  EXPECT_EQ(put.session, kSession);
  EXPECT_EQ(put.request, 57U);
  EXPECT_EQ(put.action, ContractAction::Put);
  EXPECT_EQ(put.name, "shop");
  EXPECT_EQ(text(put.schema), "BFBS");
  EXPECT_EQ(put.by, "ada");
  EXPECT_EQ(put.why, "größer");
  const auto list = decoded<ContractCommandIn>("contract_list");
  EXPECT_EQ(list.action, ContractAction::List);
  EXPECT_EQ(list.after, "mail");
}

TEST_F(GoldenTest, ContractRepliesAreEncodedAndEndWhereTheirEnvelopeWouldBeTooLarge) {
  struct Sink : OutgoingSink {
    void put(const Outgoing& message) override {
      envelope.assign(message.envelope.begin(), message.envelope.end());
    }
    Buffer envelope;
  } sink;
  ContractReplyOut reply;
  reply.session = kSession;
  reply.request = 58;
  reply.contracts = {{"shop", 4, {{"Shop.answer", 99}, {"Shop.ask", 100}}}};
  encoder_.contract_reply(reply, sink);
  expect_text(sink.envelope, "contract_reply");
  reply = {
      kSession,          57, core::Code::kInvalidArgument, "contract shop: no rpc_service in it",
      core::Millis{500}, {}};
  encoder_.contract_reply(reply, sink);
  expect_text(sink.envelope, "contract_reply_refused");

  reply = {};
  const ports::HeldContract::Method method{std::string(128, 'm'), 1};
  for (int i = 0; i < 256; ++i) {
    reply.contracts.push_back({"contract-" + std::to_string(1'000 + i), 1U << 20, {500, method}});
  }
  encoder_.contract_reply(reply, sink);
  EXPECT_LE(sink.envelope.size(), kMaxEnvelopeBytes);
  const ContractReply* body = GetMessage(sink.envelope.data())->body_as_ContractReply();
  ASSERT_LT(body->contracts()->size(), 256U);
  EXPECT_EQ(body->next()->str(), reply.contracts[body->contracts()->size() - 1].name);
}

TEST_F(GoldenTest, Sweeps) {
  const auto purge = decoded<core::SweepAsked>("sweep_purge");
  EXPECT_EQ(purge.request, 53U);
  EXPECT_EQ(purge.action, core::SweepAction::kPurge);
  EXPECT_EQ(purge.filter.queue, "images");
  EXPECT_EQ(purge.filter.before, core::Wall{});
  EXPECT_FALSE(purge.dry_run);
  const auto replay = decoded<core::SweepAsked>("sweep_replay");
  EXPECT_EQ(replay.action, core::SweepAction::kReplay);
  EXPECT_EQ(replay.filter.type, "thumbnail");
  EXPECT_EQ(replay.filter.reason, core::DeadReason::kRaised);
  EXPECT_EQ(replay.filter.error, "ValueError");
  EXPECT_EQ(replay.filter.before, wall(1700000000000));
  EXPECT_THAT(replay.filter.ids, ElementsAre(job(10), job(30)));
  EXPECT_EQ(replay.by, "ada");
  EXPECT_EQ(replay.why, "fixed");
  EXPECT_TRUE(replay.dry_run);
  EXPECT_EQ(replay.rate_per_s, 100U);
  EXPECT_EQ(replay.limit, 1000U);
  EXPECT_EQ(replay.to_queue, "again");
}

TEST_F(GoldenTest, SweepReportsAreEncoded) {
  core::SweepReportOut report;
  report.session = kSession;
  report.request = 54;
  report.matched = 7;
  report.done = 5;
  report.failed = 1;
  report.finished = true;
  report.before = wall(1700000000000);
  core::Effects effects;
  effects.sweep_reports = {report};
  expect_encoded(effects, "sweep_report");
  core::SweepReportOut refused;
  refused.session = kSession;
  refused.request = 54;
  refused.code = core::Code::kQuotaExceeded;
  refused.message = "16 sweeps are under way";
  refused.finished = true;
  refused.retry_after = core::Millis{1000};
  effects.sweep_reports = {refused};
  expect_encoded(effects, "sweep_report_refused");
}

TEST_F(GoldenTest, DeadQuery) {
  const golden::Golden message = [] {
    const std::string place = text_of(DeadPlace{"images", {wall(1), job(10)}});
    golden::Golden made = good("dead_query");
    made.envelope =
        schema().message(R"({"body_type": "DeadQuery", "body": {"request": 55, "after": ")" +
                         place + R"(", "limit": 9000, "full": true}})");
    return made;
  }();
  const Decoded& answer = decoder_.decode(received(message.envelope, {}), sender_of("operator"));
  const auto query = std::get<DeadQueryIn>(answer);
  EXPECT_EQ(query.request, 55U);
  EXPECT_EQ(query.after.queue, "images");
  EXPECT_EQ(query.after.place, (core::IndexPlace{wall(1), job(10)}));
  EXPECT_EQ(query.limit, 500U);
  EXPECT_TRUE(query.full);
}

TEST_F(GoldenTest, DeadImportAndDeadPageAreEachOthersInverse) {
  const auto import = decoded<DeadImportIn>("dead_import");
  EXPECT_TRUE(import.bad.empty());
  EXPECT_EQ(import.good.by, "ada");
  ASSERT_EQ(import.good.jobs.size(), 1U);
  const core::Submission& spec = import.good.jobs[0];
  EXPECT_EQ(spec.id, job(10));
  EXPECT_EQ(text(spec.payload), "hello");
  EXPECT_EQ(spec.priority, 9);
  ASSERT_TRUE(spec.options);
  const core::ImportedJob& dead = import.good.imports[0];
  EXPECT_EQ(dead.origin_queue, "photos");
  EXPECT_EQ(dead.reason, core::DeadReason::kRaised);
  EXPECT_EQ(dead.created, wall(1700000000000));
  EXPECT_EQ(dead.died, wall(1700000005000));
  EXPECT_EQ(dead.attempts, 2);
  EXPECT_EQ(dead.crashed, 1);
  EXPECT_EQ(dead.generation, 1U);
  ASSERT_EQ(dead.attempt_list.size(), 1U);
  EXPECT_EQ(dead.attempt_list[0].token, token(40));
  EXPECT_EQ(dead.attempt_list[0].error_type, "builtins.ValueError");

  DeadPageOut page;
  page.session = kSession;
  page.request = 55;
  page.full = true;
  page.next = "images:2";
  ports::StoredJob& stored = page.jobs.emplace_back();
  stored.id = stored.job.id = spec.id;
  stored.queue = spec.queue;
  stored.origin = dead.origin_queue;
  stored.type = spec.type;
  stored.error_type = "builtins.ValueError";
  stored.error_message = "no such größe";
  stored.attempts = dead.attempt_list;
  stored.job.encoding = spec.encoding;
  stored.job.priority = spec.priority;
  stored.job.keep_payload = spec.keep_payload;
  stored.job.timeout = core::Millis(static_cast<std::int64_t>(spec.timeout_ms));
  stored.job.options = spec.options;
  stored.job.payload = core::Bytes::copy_of(spec.payload);
  stored.job.payload_size = 5;
  stored.job.reason = dead.reason;
  stored.job.created = dead.created;
  stored.job.finished = dead.died;
  stored.job.attempts = dead.attempts;
  stored.job.raised = dead.raised;
  stored.job.crashed = dead.crashed;
  stored.job.generation = dead.generation;
  stored.rebind();
  struct Sink : OutgoingSink {
    void put(const Outgoing& message) override {
      envelope.assign(message.envelope.begin(), message.envelope.end());
      blob.assign(message.blob.begin(), message.blob.end());
    }
    Buffer envelope;
    Buffer blob;
  } sink;
  encoder_.dead_page(page, sink);
  EXPECT_EQ(schema().text_of(sink.envelope), good("dead_page").text);
  EXPECT_EQ(sink.blob, good("dead_page").blob);
  DeadPageOut refused;
  refused.session = kSession;
  refused.request = 55;
  refused.code = core::Code::kStoreUnavailable;
  refused.message = "Redis is away";
  refused.retry_after = core::Millis{500};
  encoder_.dead_page(refused, sink);
  EXPECT_EQ(schema().text_of(sink.envelope), good("dead_page_refused").text);
}

}  // namespace
}  // namespace jobwire::wire
