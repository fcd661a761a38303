// SPDX-License-Identifier: Apache-2.0
// What an operator's calls say to the broker, and what they make of its answers.
#include "jobwire/operator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "scripted_broker.h"

namespace jobwire {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing_detail::eventually;
using testing_detail::make_job_error;
using testing_detail::ScriptedBroker;
using testing_detail::to_envelope;
using Answer = ScriptedBroker::Answer;
using Answers = std::vector<Answer>;
using Builder = flatbuffers::FlatBufferBuilder;

constexpr auto kLong = 60s;

ClientOptions patient() { return ClientOptions().submit_timeout(kLong).connect_timeout(kLong); }

class OperatorTest : public testing::Test {
 protected:
  /// Before a test reads what its script wrote down on the broker's thread, and before that goes.
  void sync() { static_cast<void>(broker_.jobs()); }

  ScriptedBroker broker_;
  Operator op_ = Operator::connect(broker_.endpoint(), patient()).value();
};

TEST_F(OperatorTest, GreetsAsOperatorAndMaySubmitToo) {
  EXPECT_EQ(broker_.role(), wire::Role::Operator);
  EXPECT_TRUE(op_.client().submit(Job("resize")));
  sync();
}

// ---------------------------------------------------------------- queues

Answer queue_reply(std::uint64_t request, std::string_view name, std::string_view by = "",
                   std::string_view next = "") {
  Builder builder;
  const auto queue = builder.CreateString(name);
  const auto who = builder.CreateString(by);
  const auto why = builder.CreateString("disk full");
  const auto view = wire::CreateQueueView(builder, queue, 7, true, false, who, why, 1'000, 2'000, 1,
                                          2, 3, 4, 5, 6, 8);
  const auto list = builder.CreateVector(&view, 1);
  const auto after = next.empty() ? 0 : builder.CreateString(next);
  return {to_envelope(builder, wire::CreateQueueReply(builder, request, wire::Code::Unspecified, 0,
                                                      list, after)),
          ""};
}

TEST_F(OperatorTest, PauseSaysWhoWhyAndUntilAndReturnsTheQueueAsItIs) {
  std::string by;
  std::string why;
  std::int64_t until = 0;
  auto action = wire::QueueAction::Unspecified;
  broker_.on_operator([&](const wire::Message& message, std::string_view) -> Answers {
    const auto& command = *message.body_as_QueueCommand();
    action = command.action();
    by = command.by()->str();
    why = command.why()->str();
    until = command.until_ms();
    return {queue_reply(command.request(), command.queue()->str(), by)};
  });
  const auto view = op_.pause(
      "images", By("anna").why("disk full").until(By::Time(std::chrono::milliseconds(5000))));
  ASSERT_TRUE(view) << view.error().to_string();
  sync();
  EXPECT_EQ(action, wire::QueueAction::Pause);
  EXPECT_EQ(by, "anna");
  EXPECT_EQ(why, "disk full");
  EXPECT_EQ(until, 5000);
  EXPECT_EQ(view->name, "images");
  EXPECT_EQ(view->weight, 7U);
  EXPECT_TRUE(view->paused);
  EXPECT_FALSE(view->draining);
  EXPECT_EQ(view->by, "anna");
  EXPECT_EQ(view->why, "disk full");
  EXPECT_EQ(view->since.time_since_epoch(), 1s);
  EXPECT_EQ(view->until.time_since_epoch(), 2s);
  EXPECT_EQ(view->scheduled, 1U);
  EXPECT_EQ(view->queued, 2U);
  EXPECT_EQ(view->running, 3U);
  EXPECT_EQ(view->bytes, 4U);
  EXPECT_EQ(view->workers, 5U);
  EXPECT_EQ(view->dead, 6U);
  EXPECT_EQ(view->finished, 8U);
  sync();
}

TEST_F(OperatorTest, EachVerbIsItsActionAndQueuesComeInPages) {
  std::vector<wire::QueueAction> actions;
  std::vector<std::uint32_t> weights;
  broker_.on_operator([&](const wire::Message& message, std::string_view) -> Answers {
    const auto& command = *message.body_as_QueueCommand();
    actions.push_back(command.action());
    weights.push_back(command.weight());
    const bool second = command.after() && command.after()->str() == "a";
    return {queue_reply(command.request(), second ? "b" : "a", "", second ? "" : "a")};
  });
  ASSERT_TRUE(op_.drain("q", By("anna")));
  ASSERT_TRUE(op_.resume("q", By("anna")));
  ASSERT_TRUE(op_.set_weight("q", 9, By("anna")));
  ASSERT_TRUE(op_.queue("q"));
  sync();
  EXPECT_THAT(actions, testing::ElementsAre(wire::QueueAction::Drain, wire::QueueAction::Resume,
                                            wire::QueueAction::SetWeight, wire::QueueAction::Look));
  EXPECT_THAT(weights, testing::ElementsAre(0, 0, 9, 0));
  sync();
  const auto first = op_.queues({}, 1);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->next, "a");
  const auto second = op_.queues(first->next, 1);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->queues.front().name, "b");
  EXPECT_EQ(second->next, "");
  sync();
}

TEST_F(OperatorTest, ARefusalIsAnErrorWithItsCodeAndText) {
  broker_.on_operator([](const wire::Message& message, std::string_view) -> Answers {
    Builder builder;
    const auto text = builder.CreateString("no queue \"x\"");
    return {{to_envelope(builder,
                         wire::CreateQueueReply(builder, message.body_as_QueueCommand()->request(),
                                                wire::Code::UnknownQueue, text)),
             ""}};
  });
  const auto view = op_.resume("x", By("anna"));
  ASSERT_FALSE(view);
  EXPECT_EQ(view.error().code(), ErrorCode::UnknownQueue);
  EXPECT_THAT(view.error().message(), HasSubstr("no queue \"x\""));
  EXPECT_EQ(op_.pause("", By("anna")).error().code(), ErrorCode::InvalidArgument);
  sync();
}

TEST_F(OperatorTest, ACommandIsSentAgainToTheBrokerThatComesBack) {
  std::atomic<int> commands{0};
  broker_.on_operator([&](const wire::Message& message, std::string_view) -> Answers {
    if (++commands == 1) return {};  // lost with its broker
    return {queue_reply(message.body_as_QueueCommand()->request(), "q")};
  });
  std::jthread restarts([&] {
    EXPECT_TRUE(eventually([&] { return commands == 1; }));
    broker_.go_away();
    broker_.come_back();
  });
  EXPECT_TRUE(op_.pause("q", By("anna")));
  EXPECT_EQ(commands, 2);
  sync();
}

// ---------------------------------------------------------------- contracts

TEST_F(OperatorTest, ContractsArePutListedPageByPageAndRemoved) {
  std::vector<std::string> said;
  broker_.on_operator([&](const wire::Message& message, std::string_view blob) -> Answers {
    const auto& command = *message.body_as_ContractCommand();
    const auto text = [](const flatbuffers::String* word) { return word ? word->str() : ""; };
    said.push_back(wire::EnumNameContractAction(command.action()) + (" " + text(command.name())) +
                   " " + text(command.by()) + " " + text(command.why()) + " " +
                   std::string(blob.substr(command.schema_offset(), command.schema_size())));
    Builder builder;
    const bool second = command.after() != nullptr;
    const auto type = builder.CreateString("Shop.answer");
    const auto method = wire::CreateContractMethod(builder, type, 99);
    const auto methods = builder.CreateVector(&method, 1);
    const auto name = builder.CreateString(second ? "b" : "a");
    const auto view = wire::CreateContractView(builder, name, 4, methods);
    const auto views = builder.CreateVector(&view, 1);
    const auto next = command.action() == wire::ContractAction::List && !second
                          ? builder.CreateString("a")
                          : flatbuffers::Offset<flatbuffers::String>();
    return {
        {to_envelope(builder, wire::CreateContractReply(builder, command.request(),
                                                        wire::Code::Unspecified, 0, views, next)),
         ""}};
  });
  const auto schema = std::as_bytes(std::span("BFBS", 4));
  const auto put = op_.put_contract("shop", schema, By("anna").why("new"));
  ASSERT_TRUE(put) << put.error().to_string();
  EXPECT_EQ(put->name, "a");
  EXPECT_EQ(put->bytes, 4U);
  ASSERT_EQ(put->methods.size(), 1U);
  EXPECT_EQ(put->methods[0].type, "Shop.answer");
  EXPECT_EQ(put->methods[0].contract, 99U);
  const auto all = op_.contracts();
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ((*all)[1].name, "b");
  EXPECT_TRUE(op_.remove_contract("shop", By("anna")));
  sync();
  EXPECT_THAT(said, testing::ElementsAre("Put shop anna new BFBS", "List    ", "List    ",
                                         "Remove shop anna  "));
}

TEST_F(OperatorTest, AContractThatIsRefusedIsAnErrorWithItsText) {
  broker_.on_operator([](const wire::Message& message, std::string_view) -> Answers {
    Builder builder;
    const auto text = builder.CreateString("no rpc_service in it");
    return {{to_envelope(builder, wire::CreateContractReply(
                                      builder, message.body_as_ContractCommand()->request(),
                                      wire::Code::InvalidArgument, text)),
             ""}};
  });
  const auto put = op_.put_contract("shop", {}, By("anna"));
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code(), ErrorCode::InvalidArgument);
  EXPECT_THAT(put.error().message(), HasSubstr("no rpc_service"));
  EXPECT_FALSE(op_.remove_contract("shop", By("anna")));
  sync();
}

// ---------------------------------------------------------------- sweeps

Answer sweep_report(std::uint64_t request, std::uint64_t matched, std::uint64_t done, bool finished,
                    std::int64_t before_ms) {
  Builder builder;
  return {to_envelope(builder,
                      wire::CreateSweepReport(builder, request, wire::Code::Unspecified, 0, matched,
                                              done, matched - done, finished, before_ms)),
          ""};
}

TEST_F(OperatorTest, AReplaySaysWhatItMeansAndTellsHowFarItIs) {
  broker_.on_operator([](const wire::Message& message, std::string_view) -> Answers {
    const wire::Sweep& sweep = *message.body_as_Sweep();
    EXPECT_EQ(sweep.action(), wire::SweepAction::Replay);
    EXPECT_EQ(sweep.by()->str(), "anna");
    EXPECT_EQ(sweep.why()->str(), "fixed");
    EXPECT_TRUE(sweep.dry_run());
    EXPECT_EQ(sweep.rate_per_s(), 100U);
    EXPECT_EQ(sweep.limit(), 50U);
    EXPECT_EQ(sweep.to_queue()->str(), "later");
    const wire::JobFilter& filter = *sweep.filter();
    EXPECT_EQ(filter.queue()->str(), "images");
    EXPECT_EQ(filter.type()->str(), "resize");
    EXPECT_EQ(filter.reason(), wire::DeadReason::Crashed);
    EXPECT_EQ(filter.error()->str(), "MemoryError");
    EXPECT_EQ(filter.before_ms(), 9'000);
    EXPECT_EQ(filter.ids()->size(), 2U);
    return {sweep_report(sweep.request(), 0, 0, false, 9'000),
            sweep_report(sweep.request(), 3, 2, true, 9'000)};
  });
  const auto filter = JobFilter()
                          .queue("images")
                          .type("resize")
                          .reason(DeadReason::Crashed)
                          .error("MemoryError")
                          .before(JobFilter::Time(9s))
                          .ids({JobId::make(), JobId::make()});
  const auto options = SweepOptions().dry_run().rate_per_s(100).limit(50).to_queue("later");
  const auto report = op_.replay(filter, By("anna").why("fixed"), options);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->matched, 3U);
  EXPECT_EQ(report->done, 2U);
  EXPECT_EQ(report->failed, 1U);
  EXPECT_TRUE(report->finished);
  sync();
}

TEST_F(OperatorTest, ASweepGoesOnWithTheBrokerThatComesBackAndKeepsItsTimeAndItsCounts) {
  std::mutex mutex;
  std::vector<std::int64_t> before;
  std::vector<std::uint64_t> limits;
  broker_.on_operator([&](const wire::Message& message, std::string_view) -> Answers {
    const std::lock_guard lock(mutex);
    const wire::Sweep& sweep = *message.body_as_Sweep();
    before.push_back(sweep.filter()->before_ms());
    limits.push_back(sweep.limit());
    if (before.size() == 1) return {sweep_report(sweep.request(), 10, 10, false, 777)};
    return {sweep_report(sweep.request(), 5, 5, true, 777)};
  });
  std::vector<std::uint64_t> progress;
  const auto options = SweepOptions().limit(100).on_progress([&](const SweepReport& report) {
    progress.push_back(report.done);
    broker_.go_away();
    broker_.come_back();
  });
  const auto report = op_.purge(JobFilter().queue("q"), By("anna"), options);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->matched, 15U);
  EXPECT_EQ(report->done, 15U);
  sync();
  EXPECT_EQ(before, (std::vector<std::int64_t>{0, 777}));
  EXPECT_EQ(limits, (std::vector<std::uint64_t>{100, 90}));
  EXPECT_EQ(progress, (std::vector<std::uint64_t>{10}));
  sync();
}

TEST_F(OperatorTest, ASweepThatIsRefusedOrSilentOrStoppedSaysSo) {
  broker_.on_operator([](const wire::Message& message, std::string_view) -> Answers {
    Builder builder;
    return {
        {to_envelope(builder, wire::CreateSweepReport(builder, message.body_as_Sweep()->request(),
                                                      wire::Code::QuotaExceeded, 0, 0, 0, 0, true)),
         ""}};
  });
  EXPECT_EQ(op_.drop({}, By("anna")).error().code(), ErrorCode::Full);

  broker_.on_operator([](const wire::Message&, std::string_view) -> Answers { return {}; });
  Operator hasty =
      Operator::connect(broker_.endpoint(), ClientOptions().submit_timeout(100ms)).value();
  EXPECT_EQ(hasty.drop({}, By("anna")).error().code(), ErrorCode::Timeout);

  std::jthread sweeping([&](std::stop_token stop) {
    EXPECT_EQ(op_.drop({}, By("anna"), {}, stop).error().code(), ErrorCode::Stopped);
  });
  sweeping.request_stop();
  sync();
}

// ---------------------------------------------------------------- dead letters

struct DeadLetter {
  JobId id = JobId::make();
  std::string payload = "photo";
  std::string error = make_job_error("builtins.ValueError", "bad size");
};

flatbuffers::Offset<wire::DeadJob> write_dead(Builder& builder, const DeadLetter& letter,
                                              std::size_t at) {
  const wire::Id id(flatbuffers::span<const std::uint8_t, 16>(letter.id.bytes().data(), 16));
  const std::vector<flatbuffers::Offset<wire::Header>> headers = {
      wire::CreateHeaderDirect(builder, "trace", "1-2-3")};
  const std::vector<std::uint32_t> rests = {10, 20};
  const std::vector<flatbuffers::Offset<flatbuffers::String>> fatal = {
      builder.CreateString("KeyError")};
  const auto retry = wire::CreateRetryPolicyDirect(builder, 3, 2, wire::Backoff::Listed, 0, 0, 2.0F,
                                                   &rests, true, &fatal, 4);
  const auto spec = wire::CreateJobSpecDirect(
      builder, &id, "images", "resize", static_cast<std::uint32_t>(at),
      static_cast<std::uint32_t>(letter.payload.size()), wire::Encoding::Json, 7, 30'000, 0, 0,
      123'000, 456'000, retry, "key-1", 60'000, &headers, 0xFEDCBA9876543210U, false, true);
  const std::vector<flatbuffers::Offset<wire::DeadAttempt>> attempts = {
      wire::CreateDeadAttemptDirect(builder, 1, 2, &id, "worker-3", "host-b", 1'000, 2'000,
                                    wire::Outcome::Raised, 900,
                                    static_cast<std::uint32_t>(at + letter.payload.size()),
                                    static_cast<std::uint32_t>(letter.error.size()))};
  return wire::CreateDeadJobDirect(builder, spec, "origin", wire::DeadReason::Raised,
                                   "builtins.ValueError", "bad size", 500, 2'000, 4, 3, 1, 0, 2,
                                   static_cast<std::uint32_t>(letter.payload.size()), &attempts);
}

/// Answers DeadQuery with these, one a page.
Answers dead_pages(const wire::DeadQuery& query, const std::vector<DeadLetter>& letters) {
  const std::size_t at = query.after() ? std::stoul(query.after()->str()) : 0;
  Builder builder;
  const std::string blob = "skipped" + letters[at].payload + letters[at].error;
  const auto job = write_dead(builder, letters[at], 7);
  const auto jobs = builder.CreateVector(&job, 1);
  const auto next = at + 1 < letters.size() ? builder.CreateString(std::to_string(at + 1))
                                            : flatbuffers::Offset<flatbuffers::String>();
  return {{to_envelope(builder, wire::CreateDeadPage(builder, query.request(),
                                                     wire::Code::Unspecified, 0, jobs, next)),
           blob}};
}

TEST_F(OperatorTest, DeadJobsAreWalkedPageByPageWithAllThatIsKnownOfThem) {
  const std::vector<DeadLetter> letters(3);
  broker_.on_operator([&](const wire::Message& message, std::string_view) {
    return dead_pages(*message.body_as_DeadQuery(), letters);
  });
  std::vector<DeadJob> dead;
  for (const Result<DeadJob>& job : op_.dead({}, DeadDetail::Full)) {
    ASSERT_TRUE(job) << job.error().to_string();
    dead.push_back(*job);
  }
  ASSERT_EQ(dead.size(), 3U);
  const DeadJob& first = dead.front();
  EXPECT_EQ(first.id, letters.front().id);
  EXPECT_EQ(first.queue, "images");
  EXPECT_EQ(first.origin_queue, "origin");
  EXPECT_EQ(first.type, "resize");
  EXPECT_EQ(first.reason, DeadReason::Raised);
  EXPECT_EQ(first.error_type, "builtins.ValueError");
  EXPECT_EQ(first.error_message, "bad size");
  EXPECT_EQ(first.created.time_since_epoch(), 500ms);
  EXPECT_EQ(first.died.time_since_epoch(), 2s);
  EXPECT_EQ(first.attempts, 4U);
  EXPECT_EQ(first.raised, 3U);
  EXPECT_EQ(first.timed_out, 1U);
  EXPECT_EQ(first.crashed, 0U);
  EXPECT_EQ(first.generation, 2U);
  EXPECT_EQ(first.payload_bytes, 5U);
  const Job& job = first.job;
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(job.payload().data()), job.payload().size()),
            "photo");
  EXPECT_EQ(job.encoding(), Encoding::Json);
  EXPECT_EQ(job.priority(), 7);
  EXPECT_EQ(job.timeout(), 30s);
  EXPECT_EQ(job.expires_at()->time_since_epoch(), 123s);
  EXPECT_EQ(job.result_ttl(), 456s);
  EXPECT_EQ(job.dedup_key(), "key-1");
  EXPECT_EQ(job.dedup_window(), 60s);
  EXPECT_EQ(job.headers().front().second, "1-2-3");
  EXPECT_TRUE(job.keeps_payload());
  EXPECT_EQ(job.retry()->attempts(), 3);
  EXPECT_EQ(job.retry()->rests(), (std::vector<std::chrono::milliseconds>{10ms, 20ms}));
  EXPECT_EQ(job.retry()->fatal().front(), "KeyError");
  ASSERT_EQ(first.attempt_list.size(), 1U);
  const DeadAttempt& attempt = first.attempt_list.front();
  EXPECT_EQ(attempt.number, 1U);
  EXPECT_EQ(attempt.generation, 2U);
  EXPECT_EQ(attempt.worker, "worker-3");
  EXPECT_EQ(attempt.host, "host-b");
  EXPECT_EQ(attempt.outcome, AttemptOutcome::Raised);
  EXPECT_EQ(attempt.run_time, 900us);
  EXPECT_EQ(attempt.error->message, "bad size");
  EXPECT_EQ(attempt.error->frames.size(), 2U);
  sync();
}

TEST_F(OperatorTest, AWalkEndsAfterAnError) {
  broker_.on_operator([](const wire::Message& message, std::string_view) -> Answers {
    Builder builder;
    return {
        {to_envelope(builder, wire::CreateDeadPage(builder, message.body_as_DeadQuery()->request(),
                                                   wire::Code::StoreUnavailable)),
         ""}};
  });
  int steps = 0;
  for (const Result<DeadJob>& job : op_.dead({})) {
    EXPECT_EQ(job.error().code(), ErrorCode::Unavailable);
    ++steps;
  }
  EXPECT_EQ(steps, 1);
  sync();
}

Answer receipts_for(const wire::DeadImport& import) {
  std::vector<wire::ReceiptHead> heads;
  for (const wire::DeadJob* dead : *import.jobs()) {
    // The first is new, the second was known, the third is refused.
    const std::size_t at = heads.size();
    heads.emplace_back(*dead->job()->id(), *dead->job()->id(), 0,
                       at == 2 ? wire::Code::GoneJob : wire::Code::Unspecified, at == 1,
                       wire::State::Dead);
  }
  Builder builder;
  const auto list = builder.CreateVectorOfStructs(heads);
  return {to_envelope(builder, wire::CreateReceipts(builder, list)), ""};
}

TEST_F(OperatorTest, AnExportComesBackByImportAsItWas) {
  std::vector<DeadLetter> letters(3);
  letters[1].payload = std::string("\0\xFF\x80\n\"", 5);
  letters[2].payload = "";
  std::string imported_by;
  broker_.on_operator([&](const wire::Message& message, std::string_view) {
    return dead_pages(*message.body_as_DeadQuery(), letters);
  });
  std::ostringstream exported;
  ASSERT_EQ(op_.export_to(exported).value(), 3U);
  const std::string text = exported.str();
  EXPECT_THAT(text, HasSubstr("{\"jobwire\":1,\"job\":{\"id\":\"" + letters[0].id.to_string() +
                              "\",\"queue\":\"images\",\"type\":\"resize\",\"encoding\":\"Json\""));
  EXPECT_THAT(text, HasSubstr("\"payload\":\"cGhvdG8=\""));

  broker_.on_operator([&](const wire::Message& message, std::string_view blob) -> Answers {
    const wire::DeadImport& import = *message.body_as_DeadImport();
    imported_by = import.by()->str();
    for (std::size_t i = 0; i < letters.size(); ++i) {
      const wire::DeadJob& dead = *import.jobs()->Get(static_cast<flatbuffers::uoffset_t>(i));
      const wire::JobSpec& spec = *dead.job();
      EXPECT_EQ(blob.substr(spec.payload_offset(), spec.payload_size()), letters[i].payload);
      EXPECT_EQ(spec.contract(), 0xFEDCBA9876543210U);
      EXPECT_EQ(spec.priority(), 7);
      EXPECT_EQ(spec.timeout_ms(), 30'000U);
      EXPECT_EQ(spec.expires_at_ms(), 123'000);
      EXPECT_EQ(spec.result_ttl_ms(), 456'000U);
      EXPECT_EQ(spec.dedup_key()->str(), "key-1");
      EXPECT_EQ(spec.dedup_window_ms(), 60'000U);
      EXPECT_EQ(spec.headers()->Get(0)->value()->str(), "1-2-3");
      EXPECT_TRUE(spec.keep_payload());
      EXPECT_EQ(spec.retry()->attempts(), 3);
      EXPECT_EQ(spec.retry()->crashes(), 2);
      EXPECT_EQ(spec.retry()->timeouts(), 4);
      EXPECT_EQ(spec.retry()->backoff(), wire::Backoff::Listed);
      EXPECT_EQ(spec.retry()->listed_ms()->Get(1), 20U);
      EXPECT_TRUE(spec.retry()->no_jitter());
      EXPECT_EQ(spec.retry()->fatal()->Get(0)->str(), "KeyError");
      EXPECT_EQ(dead.origin_queue()->str(), "origin");
      EXPECT_EQ(dead.reason(), wire::DeadReason::Raised);
      EXPECT_EQ(dead.error_type()->str(), "builtins.ValueError");
      EXPECT_EQ(dead.created_ms(), 500);
      EXPECT_EQ(dead.died_ms(), 2'000);
      EXPECT_EQ(dead.attempts(), 4U);
      EXPECT_EQ(dead.generation(), 2U);
      const wire::DeadAttempt& attempt = *dead.attempt_list()->Get(0);
      EXPECT_EQ(attempt.number(), 1U);
      EXPECT_EQ(attempt.worker()->str(), "worker-3");
      EXPECT_EQ(attempt.run_us(), 900U);
      EXPECT_EQ(attempt.outcome(), wire::Outcome::Raised);
      EXPECT_EQ(blob.substr(attempt.error_offset(), attempt.error_size()), letters[i].error);
    }
    return {receipts_for(import)};
  });
  std::istringstream in(text);
  const auto report = op_.import_from(in, By("anna"));
  ASSERT_TRUE(report) << report.error().to_string();
  sync();
  EXPECT_EQ(imported_by, "anna");
  EXPECT_EQ(report->imported, 1U);
  EXPECT_EQ(report->known, 1U);
  ASSERT_EQ(report->refused.size(), 1U);
  EXPECT_EQ(report->refused.front().first, 3U);
  EXPECT_EQ(report->refused.front().second.code(), ErrorCode::GoneJob);
  sync();
}

TEST_F(OperatorTest, ALineThatIsNoDeadJobIsNamedAndThoseBeforeItAreImported) {
  const std::vector<DeadLetter> letters(1);
  broker_.on_operator([&](const wire::Message& message, std::string_view) -> Answers {
    if (const auto* import = message.body_as_DeadImport()) return {receipts_for(*import)};
    return dead_pages(*message.body_as_DeadQuery(), letters);
  });
  std::ostringstream exported;
  ASSERT_TRUE(op_.export_to(exported));
  const std::string good = exported.str();
  for (const std::string bad : {"{", "[]", "{\"jobwire\":2}", "{\"jobwire\":1}",
                                "{\"jobwire\":1,\"job\":{\"id\":\"x\"}}"}) {
    std::istringstream in(good + "\n" + bad + "\n");
    const auto report = op_.import_from(in, By("anna"));
    ASSERT_FALSE(report) << bad;
    EXPECT_EQ(report.error().code(), ErrorCode::InvalidArgument);
    EXPECT_THAT(report.error().message(), HasSubstr("line 3: "));
  }
  sync();
}

TEST_F(OperatorTest, AStreamThatFailsEndsTheExport) {
  const std::vector<DeadLetter> letters(1);
  broker_.on_operator([&](const wire::Message& message, std::string_view) {
    return dead_pages(*message.body_as_DeadQuery(), letters);
  });
  std::ostringstream out;
  out.setstate(std::ios::badbit);
  EXPECT_EQ(op_.export_to(out).error().code(), ErrorCode::InvalidArgument);
  sync();
}

}  // namespace
}  // namespace jobwire
