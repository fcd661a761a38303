// SPDX-License-Identifier: Apache-2.0
// An operator's hand on a live system: operator_live_test.py starts broker, Redis and workers
// (operator_live_app.py) and names the broker in JOBWIRE_ENDPOINT.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <jobwire/operator.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <span>
#include <sstream>
#include <string>
#include <vector>

namespace jobwire {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr auto kLong = 60s;

class Operating : public testing::Test {
 protected:
  static Operator connect() {
    const char* endpoint = std::getenv("JOBWIRE_ENDPOINT");
    return Operator::connect(endpoint ? endpoint : "", ClientOptions().submit_timeout(kLong))
        .value();
  }
  /// Queues are named after the test, so that none sees another's jobs.
  static std::string queue(std::string_view which) {
    return std::string(testing::UnitTest::GetInstance()->current_test_info()->name()) + "/" +
           std::string(which);
  }
  std::vector<JobId> submit(const Job& job, std::size_t count) {
    std::vector<JobId> ids;
    for (const auto& receipt : client_.submit_batch(std::vector<Job>(count, job))) {
      ids.push_back(receipt.value().id);
    }
    return ids;
  }
  /// Jobs that were rejected, in the workers' queue.
  std::vector<JobId> dead(std::size_t count, std::string_view why) {
    const auto ids = submit(Job("refuses", why).queue("operated").watch(), count);
    for (const auto& result : client_.wait_all(ids, kLong)) {
      EXPECT_EQ(result.value().state(), JobState::Dead);
    }
    return ids;
  }
  std::vector<DeadJob> walk(const JobFilter& filter, DeadDetail detail = DeadDetail::Summary) {
    std::vector<DeadJob> found;
    for (const Result<DeadJob>& job : op_.dead(filter, detail)) found.push_back(job.value());
    return found;
  }

  Operator op_ = connect();
  Client& client_ = op_.client();
  const By anna_ = By("anna").why("a test");
};

// ---------------------------------------------------------------- queues

TEST_F(Operating, APausedQueueHandsNothingOutUntilItIsResumed) {
  const auto paused = op_.pause("operated", anna_);
  ASSERT_TRUE(paused) << paused.error().to_string();
  EXPECT_TRUE(paused->paused);
  EXPECT_EQ(paused->by, "anna");
  EXPECT_EQ(paused->why, "a test");
  const JobId id = client_.submit(Job("echo", "x").queue("operated").watch()).value().id;
  EXPECT_EQ(client_.status(id)->state, JobState::Queued);
  EXPECT_EQ(op_.queue("operated")->queued, 1U);
  ASSERT_TRUE(op_.resume("operated", anna_));
  EXPECT_TRUE(client_.wait(id, kLong)->succeeded());
  EXPECT_FALSE(op_.queue("operated")->paused);
}

TEST_F(Operating, AContractHoldsFromItsPutToItsRemoval) {
  std::ifstream file(std::getenv("JOBWIRE_CONTRACT"), std::ios::binary);
  const std::string schema{std::istreambuf_iterator<char>(file), {}};
  const Job bad = Job("Shop.answer", "nonsense").queue("shop");
  ASSERT_TRUE(client_.submit(bad)) << "nobody checks yet";
  const auto held = op_.put_contract("shop", std::as_bytes(std::span(schema)), anna_);
  ASSERT_TRUE(held) << held.error().to_string();
  EXPECT_EQ(held->bytes, schema.size());
  ASSERT_EQ(held->methods.size(), 1U);
  EXPECT_EQ(held->methods[0].type, "Shop.answer");
  const auto refused = client_.submit(bad);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::InvalidArgument);
  EXPECT_THAT(refused.error().message(), HasSubstr("which the contract shop wants"));

  const auto broken = op_.put_contract("shop", std::as_bytes(std::span("BFBS")), anna_);
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code(), ErrorCode::InvalidArgument);
  const auto all = op_.contracts();
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 1U);
  EXPECT_EQ(all->front().methods[0].contract, held->methods[0].contract);

  ASSERT_TRUE(op_.remove_contract("shop", anna_));
  EXPECT_TRUE(op_.remove_contract("shop", anna_)) << "it is removed already";
  EXPECT_TRUE(op_.contracts()->empty());
  EXPECT_TRUE(client_.submit(bad));
}

TEST_F(Operating, APauseWithAnEndLiftsItself) {
  const auto until = std::chrono::system_clock::now() + 500ms;
  ASSERT_TRUE(op_.pause("operated", By("anna").until(until)));
  EXPECT_TRUE(client_.call(Job("echo", "x").queue("operated"), kLong)->succeeded());
}

TEST_F(Operating, ADrainedQueueRefusesIntakeByName) {
  ASSERT_TRUE(op_.drain(queue("q"), anna_));
  EXPECT_EQ(client_.submit(Job("idle").queue(queue("q"))).error().code(), ErrorCode::Paused);
  ASSERT_TRUE(op_.resume(queue("q"), anna_));
  EXPECT_TRUE(client_.submit(Job("idle").queue(queue("q"))));
}

TEST_F(Operating, WeightsAreKeptAndQueuesAreListedInPages) {
  for (const char* which : {"a", "b", "c"}) {
    EXPECT_EQ(op_.set_weight(queue(which), 7, anna_)->weight, 7U);
  }
  std::set<std::string> names;
  std::string after;
  do {
    const auto page = op_.queues(after, 2);
    ASSERT_TRUE(page) << page.error().to_string();
    EXPECT_LE(page->queues.size(), 2U);
    for (const QueueView& view : page->queues) names.insert(view.name);
    after = page->next;
  } while (!after.empty());
  for (const char* which : {"a", "b", "c"}) EXPECT_TRUE(names.contains(queue(which)));
}

TEST_F(Operating, WhatMakesNoSenseIsRefusedByName) {
  EXPECT_EQ(op_.queue("never/used").error().code(), ErrorCode::UnknownQueue);
  EXPECT_EQ(op_.resume("never/used", anna_).error().code(), ErrorCode::UnknownQueue);
  EXPECT_EQ(op_.pause("operated", By("")).error().code(), ErrorCode::InvalidArgument);
  EXPECT_EQ(op_.set_weight("operated", 0, anna_).error().code(), ErrorCode::InvalidArgument);
  EXPECT_EQ(op_.purge({}, anna_).error().code(), ErrorCode::InvalidArgument);
}

// ---------------------------------------------------------------- sweeps

TEST_F(Operating, APurgeCancelsWhatWaitsAfterADryRunThatChangedNothing) {
  const auto filter = JobFilter().queue(queue("q"));
  const auto ids = submit(Job("idle").queue(queue("q")), 500);
  const auto pending = client_.watch(ids.back());
  const auto counted = op_.purge(filter, anna_, SweepOptions().dry_run());
  ASSERT_TRUE(counted) << counted.error().to_string();
  EXPECT_EQ(counted->matched, 500U);
  EXPECT_EQ(counted->done, 0U);
  EXPECT_EQ(op_.queue(queue("q"))->queued, 500U);
  const auto purged = op_.purge(filter, anna_);
  ASSERT_TRUE(purged) << purged.error().to_string();
  EXPECT_EQ(purged->done, 500U);
  EXPECT_TRUE(purged->finished);
  EXPECT_EQ(op_.queue(queue("q"))->queued, 0U);
  EXPECT_EQ(pending.get_for(kLong)->state(), JobState::Cancelled);
}

/// The broker is killed and comes back meanwhile: operator_live_test.py does that once "sweeping"
/// is printed.
TEST_F(Operating, ASweepOutlivesItsBroker) {
  const auto filter = JobFilter().queue(queue("q"));
  const auto ids = submit(Job("idle").queue(queue("q")), 1000);
  bool said = false;
  const auto options = SweepOptions().rate_per_s(250).on_progress([&](const SweepReport& report) {
    if (said || report.done == 0) return;
    said = true;
    std::puts("sweeping");
    std::fflush(stdout);
  });
  const auto purged = op_.purge(filter, anna_, options);
  ASSERT_TRUE(purged) << purged.error().to_string();
  EXPECT_EQ(client_.connection().sessions, 2U);
  EXPECT_EQ(op_.queue(queue("q"))->queued, 0U);
  for (const JobId& id : ids) ASSERT_EQ(client_.status(id)->state, JobState::Cancelled);
}

TEST_F(Operating, AReplayRunsDeadJobsAgainWithTheirAttemptsBeforeThem) {
  const auto ids = dead(20, "replayed");
  const auto filter = JobFilter().queue("operated").error("replayed");
  std::vector<Pending<JobResult>> again;
  const auto report = op_.replay(filter, anna_, SweepOptions().limit(15).rate_per_s(1000));
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->done, 15U);
  // They are rejected once more.
  std::size_t replayed = 0;
  for (int look = 0; look < 3000 && replayed < 15; ++look) {
    replayed = 0;
    for (const DeadJob& job : walk(filter)) replayed += job.generation == 1;
  }
  EXPECT_EQ(replayed, 15U);
  for (const DeadJob& job : walk(filter, DeadDetail::Full)) {
    EXPECT_EQ(job.attempt_list.size(), job.generation + 1);
  }
}

TEST_F(Operating, DroppedJobsAreGone) {
  const auto ids = dead(5, "dropped");
  const auto report = op_.drop(JobFilter().ids({ids[0], ids[1]}), anna_);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->done, 2U);
  EXPECT_EQ(client_.status(ids[0]).error().code(), ErrorCode::GoneJob);
  EXPECT_EQ(client_.status(ids[2])->state, JobState::Dead);
}

// ---------------------------------------------------------------- dead letters

TEST_F(Operating, DeadJobsAreFoundByWhatTheyDiedOf) {
  const auto ids = dead(3, "found");
  const auto found = walk(JobFilter().queue("operated").error("found"), DeadDetail::Full);
  ASSERT_EQ(found.size(), 3U);
  std::set<JobId> found_ids;
  for (const DeadJob& job : found) {
    found_ids.insert(job.id);
    EXPECT_EQ(job.reason, DeadReason::Rejected);
    EXPECT_EQ(job.type, "refuses");
    EXPECT_EQ(job.attempts, 1U);
    EXPECT_EQ(job.job.payload().size(), 5U);
    ASSERT_EQ(job.attempt_list.size(), 1U);
    EXPECT_THAT(job.attempt_list.front().error->message, HasSubstr("found"));
  }
  EXPECT_EQ(found_ids, std::set<JobId>(ids.begin(), ids.end()));
  EXPECT_TRUE(
      walk(JobFilter().queue("operated").error("found").reason(DeadReason::Crashed)).empty());
  EXPECT_TRUE(walk(JobFilter().queue("operated").error("found").type("echo")).empty());
}

TEST_F(Operating, AnExportComesBackAfterADropAndTwiceIsNoMore) {
  const auto ids = dead(10, "exported");
  const auto filter = JobFilter().queue("operated").error("exported");
  std::ostringstream first;
  ASSERT_EQ(op_.export_to(first, filter).value(), 10U);
  ASSERT_EQ(op_.drop(filter, anna_)->done, 10U);
  EXPECT_TRUE(walk(filter).empty());
  std::istringstream in(first.str());
  const auto imported = op_.import_from(in, anna_);
  ASSERT_TRUE(imported) << imported.error().to_string();
  EXPECT_EQ(imported->imported, 10U);
  std::ostringstream second;
  ASSERT_EQ(op_.export_to(second, filter).value(), 10U);
  const auto lines = [](const std::string& text) {
    std::istringstream from(text);
    std::multiset<std::string> all;
    for (std::string line; std::getline(from, line);) all.insert(line);
    return all;
  };
  EXPECT_EQ(lines(second.str()), lines(first.str()));
  std::istringstream once_more(first.str());
  EXPECT_EQ(op_.import_from(once_more, anna_)->known, 10U);
}

// ---- run by dead_exchange_test.py, which has Python do the other half

class Exchanging : public Operating {
 protected:
  const char* file_ = std::getenv("JOBWIRE_EXPORT");
};

TEST_F(Exchanging, DeadJobsAreWrittenToTheFile) {
  std::ofstream out(file_, std::ios::binary);
  const auto count = op_.export_to(out, JobFilter().queue("operated"));
  ASSERT_TRUE(count) << count.error().to_string();
  EXPECT_GT(*count, 0U);
}

TEST_F(Exchanging, DeadJobsAreTakenFromTheFile) {
  std::ifstream in(file_, std::ios::binary);
  const auto report = op_.import_from(in, anna_);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_GT(report->imported, 0U);
  EXPECT_EQ(report->known, 0U);
  EXPECT_TRUE(report->refused.empty());
}

}  // namespace
}  // namespace jobwire
