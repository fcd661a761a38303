// SPDX-License-Identifier: Apache-2.0
#include "engine_driver.h"

namespace jobwire::core {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class EngineContractsTest : public EngineTest {
 protected:
  static Submission typed(std::uint64_t n, std::uint64_t contract) {
    Submission submission = job(n);
    options_of(submission).contract = contract;
    return submission;
  }
  Serves serving(std::uint64_t contract, std::vector<std::uint64_t> accepts = {},
                 std::string_view version = {}) {
    Serves serves = room(1, 4);
    serves.contract = contract;
    serves.accepts = std::move(accepts);
    serves.version = version;
    return serves;
  }
  /// What is in the way of that job, or nothing.
  std::string obstacle(std::uint64_t n) {
    const Effects out = ask(producer(), {job_id(n)});
    EXPECT_THAT(out.results, SizeIs(1));
    return out.results[0].obstacle ? *out.results[0].obstacle : "";
  }
};

TEST_F(EngineContractsTest, JobGoesToTheWorkerThatWasBuiltWithItsContract) {
  const SessionId other = lone_worker(serving(0xb));
  const SessionId right = lone_worker(serving(0xa));
  submit(producer(), typed(1, 0xa));
  const Effects out = commit();
  ASSERT_THAT(out.dispatches, SizeIs(1));
  EXPECT_EQ(out.dispatches[0].session, right);
  EXPECT_NE(out.dispatches[0].session, other);
}

TEST_F(EngineContractsTest, JobGoesToTheWorkerThatAcceptsItsContract) {
  lone_worker(serving(0xc, {0xb, 0xa}));
  submit(producer(), typed(1, 0xa));
  EXPECT_THAT(commit().dispatches, SizeIs(1));
}

TEST_F(EngineContractsTest, JobWithoutContractGoesToEveryWorkerOfItsType) {
  lone_worker(serving(0xb));
  submit(producer(), job(1));
  EXPECT_THAT(commit().dispatches, SizeIs(1));
}

TEST_F(EngineContractsTest, JobOfANewerContractWaitsUntilAWorkerThatTakesItIsReady) {
  const SessionId old_worker = lone_worker(serving(0xa));
  submit(producer(), typed(1, 0xb));
  EXPECT_THAT(commit().dispatches, IsEmpty());
  EXPECT_EQ(state(1), State::kQueued);
  // What the old worker takes does not wait behind what it does not.
  submit(producer(), typed(2, 0xa));
  const Effects out = commit();
  ASSERT_THAT(out.dispatches, SizeIs(1));
  EXPECT_EQ(out.dispatches[0].job, job_id(2));
  EXPECT_EQ(out.dispatches[0].session, old_worker);

  const SessionId new_worker = lone_worker(serving(0xb, {0xa}));
  ASSERT_THAT(dispatched, SizeIs(1));
  EXPECT_EQ(dispatched[0].job, job_id(1));
  EXPECT_EQ(dispatched[0].session, new_worker);
}

TEST_F(EngineContractsTest, JobWithAContractDoesNotGoToAWorkerThatKnowsOfNone) {
  lone_worker(serving(0));
  submit(producer(), typed(1, 0xa));
  EXPECT_THAT(commit().dispatches, IsEmpty());
  EXPECT_THAT(obstacle(1), HasSubstr("there is 1 worker with no contract"));
}

TEST_F(EngineContractsTest, WorkerThatComesBackWithAnotherContractGetsOnlyItsJobs) {
  const SessionId worker = lone_worker(serving(0xa));
  submit(producer(), {typed(1, 0xa), typed(2, 0xa), typed(3, 0xb)});
  const Effects first = commit();
  ASSERT_THAT(first.dispatches, SizeIs(1));
  Serves again = serving(0xb);
  EXPECT_THAT(ready(worker, again).dispatches, IsEmpty()) << "it has job 1 still";
  const Effects out = report(worker, 1, {success(first.dispatches[0])});
  ASSERT_THAT(out.dispatches, SizeIs(1));
  EXPECT_EQ(out.dispatches[0].job, job_id(3));
}

TEST_F(EngineContractsTest, ContractOutlivesARestartOfTheBroker) {
  Submission waiting = typed(1, 0xb);
  waiting.payload = {};  // nothing to read back first
  submit(producer(), waiting);
  stage();
  JobRecord record = written(1)->job;
  record.queue = "q";  // the names go with the engine
  record.type = "t";
  committed();
  restart();
  ASSERT_TRUE(engine().restore(record, now));
  engine().finish_recovery(now);
  lone_worker(serving(0xa));
  EXPECT_THAT(dispatched, IsEmpty());
  lone_worker(serving(0xb));
  EXPECT_THAT(dispatched, SizeIs(1));
}

TEST_F(EngineContractsTest, StatusSaysWhatIsInTheWay) {
  submit(producer(), typed(1, 0xb));
  settle();
  EXPECT_EQ(obstacle(1), "no worker that is here serves queue q");

  Serves other = serving(0);
  other.types = {"u"};
  lone_worker(other);
  EXPECT_EQ(obstacle(1), "no worker of queue q has type t; there is u");

  const SessionId right = lone_worker(serving(0xc, {0xb}, "2.1"));
  ASSERT_THAT(dispatched, SizeIs(1));
  EXPECT_EQ(obstacle(1), "") << "it runs";
  turn(SessionClosed{right, true});
  EXPECT_EQ(state(1), State::kQueued);

  lone_worker(serving(0xa, {}, "1.9"));
  lone_worker(serving(0xa, {}, "1.9"));
  EXPECT_EQ(obstacle(1),
            "no worker that is here takes contract 000000000000000b of t: there are 2 workers with "
            "contract 000000000000000a (version 1.9); workers built with that contract, or that "
            "accept it, would do: before there was contract 000000000000000c (version 2.1)");

  submit(producer(), typed(2, 0xa));
  settle();
  EXPECT_EQ(obstacle(2), "") << "a worker may run it";
}

TEST_F(EngineContractsTest, OfferThatMakesNoSenseIsRefusedAndChangesNothing) {
  const SessionId worker = open(Role::kWorker);
  const auto refusal = [&](const Serves& serves) {
    const Effects out = refused([&] { return ready(worker, serves); });
    EXPECT_THAT(out.refusals, SizeIs(1));
    return out.refusals.at(0).code;
  };
  EXPECT_EQ(refusal(serving(0, {1})), Code::kInvalidArgument);
  EXPECT_EQ(refusal(serving(1, std::vector<std::uint64_t>(65, 2))), Code::kCreditExceeded);
  EXPECT_EQ(refusal(serving(1, {}, std::string(129, 'v'))), Code::kInvalidArgument);
}

TEST_F(EngineContractsTest, PayloadThatTheEdgeObjectsToIsRefusedWithItsWords) {
  Submission bad = typed(1, 0xa);
  bad.objection = "no request of this method";
  const SessionId session = producer();
  const Effects out = refused([&] { return submit(session, bad); });
  ASSERT_THAT(out.receipts, SizeIs(1));
  EXPECT_EQ(out.receipts[0].code, Code::kInvalidArgument);
  EXPECT_STREQ(out.receipts[0].field, "payload");
  EXPECT_STREQ(out.receipts[0].message, "no request of this method");
}

TEST_F(EngineContractsTest, JobThatWasTakenKeepsItsReceiptWhateverTheEdgeSaysLater) {
  const SessionId session = producer();
  submit(session, typed(1, 0xa));
  settle();
  Submission again = typed(1, 0xa);
  again.objection = "no request of this method";
  const Effects out = submit(session, again);
  ASSERT_THAT(out.receipts, SizeIs(1));
  EXPECT_EQ(out.receipts[0].code, Code::kNone);
  EXPECT_TRUE(out.receipts[0].duplicate);
}

TEST_F(EngineContractsTest, ContractsOfOneTypeAreBounded) {
  config.max_contracts = 2;
  const SessionId session = producer();
  submit(session, {typed(1, 0xa), typed(2, 0xb), typed(3, 0xa)});
  settle();
  const Effects out = refused([&] { return submit(session, typed(4, 0xc)); });
  ASSERT_THAT(out.receipts, SizeIs(1));
  EXPECT_EQ(out.receipts[0].code, Code::kQuotaExceeded);
  EXPECT_STREQ(out.receipts[0].field, "contract");
  Submission other = typed(5, 0xc);
  other.type = "u";
  submit(session, other);
  EXPECT_EQ(state(5), State::kQueued);
}

TEST_F(EngineContractsTest, WhatIsInTheWayNamesAFewContractsAndNotAWholeHistory) {
  for (std::uint64_t contract = 1; contract < 10; ++contract) lone_worker(serving(contract));
  submit(producer(), typed(1, 0xabc));
  settle();
  EXPECT_THAT(obstacle(1), HasSubstr("0000000000000004, and others;"));
  EXPECT_THAT(obstacle(1), Not(HasSubstr("0000000000000005")));
}

// ---- contracts that are put and removed

class EngineHeldContractsTest : public EngineTest {
 protected:
  static ContractAsked put(SessionId session, std::string_view name = "shop",
                           std::uint64_t request = 5) {
    return {session, request, name, Bytes::copy_of(std::string_view("BFBS"))};
  }
  static ContractAsked remove(SessionId session, std::string_view name = "shop") {
    return {session, 6, name, {}};
  }
};

TEST_F(EngineHeldContractsTest, AChangeIsDoneWhenItIsStored) {
  const SessionId o = op();
  EXPECT_EQ(count_all(turn(put(o))), 0U);
  ASSERT_THAT(stage().contracts, SizeIs(1));
  EXPECT_EQ(last_batch.contracts[0].name, "shop");
  EXPECT_EQ(last_batch.contracts[0].schema.view(), "BFBS");
  const Effects out = committed();
  ASSERT_THAT(out.contracts_done, SizeIs(1));
  EXPECT_EQ(out.contracts_done[0].session, o);
  EXPECT_EQ(out.contracts_done[0].request, 5U);
  EXPECT_EQ(out.contracts_done[0].code, Code::kNone);
  EXPECT_EQ(out.contracts_done[0].name, "shop");
  EXPECT_EQ(out.contracts_done[0].schema.view(), "BFBS");
  EXPECT_FALSE(engine().has_batch(now)) << "it is written once";
  turn(remove(o));
  EXPECT_FALSE(stage().contracts.at(0).schema);
  EXPECT_FALSE(committed().contracts_done.at(0).schema);
}

TEST_F(EngineHeldContractsTest, OneChangeAtATimeAndWhatTheStoreCannotTakeIsRefused) {
  const SessionId o = op();
  turn(put(o));
  const auto code = [&](const ContractAsked& asked) {
    const Effects out = refused([&] { return turn(asked); });
    return out.contracts_done.at(0).code;
  };
  EXPECT_EQ(code(put(o, "other", 7)), Code::kWindowFull);
  stage();
  EXPECT_EQ(code(put(o, "other", 7)), Code::kWindowFull) << "the first is on its way";
  committed();
  turn(StoreRoomChanged{true});
  EXPECT_EQ(code(put(o)), Code::kStoreFull);
  turn(remove(o));
  EXPECT_EQ(commit().contracts_done.at(0).code, Code::kNone) << "what makes room goes on";
  turn(StoreRoomChanged{false});
  turn(StoreWentAway{});
  EXPECT_EQ(code(put(o)), Code::kStoreUnavailable);
  turn(StoreCameBack{});
  EXPECT_EQ(refused([&] { return turn(put(SessionId{99})); }).refusals.at(0).code,
            Code::kHelloFirst);
  turn(ShutdownBegun{});
  EXPECT_EQ(code(put(o)), Code::kShuttingDown);
}

TEST_F(EngineHeldContractsTest, ARefusedBatchRefusesTheChangeUnlessItWasForItsNewJobs) {
  const SessionId o = op();
  turn(put(o));
  stage();
  const Effects out = rejected(Code::kStoreUnavailable);
  ASSERT_THAT(out.contracts_done, SizeIs(1));
  EXPECT_EQ(out.contracts_done[0].code, Code::kStoreUnavailable);
  advance(Millis(500));
  turn(put(o));
  stage();
  EXPECT_THAT(rejected(Code::kStoreFull).contracts_done, IsEmpty());
  advance(Millis(500));
  EXPECT_EQ(commit().contracts_done.at(0).code, Code::kNone);
}

TEST_F(EngineHeldContractsTest, ABrokerThatStopsStoresTheChangeFirst) {
  turn(put(op()));
  turn(ShutdownBegun{});
  EXPECT_FALSE(engine().drained());
  commit();
  EXPECT_TRUE(engine().drained());
}

}  // namespace
}  // namespace jobwire::core
