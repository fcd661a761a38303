// SPDX-License-Identifier: Apache-2.0
// What operators set on queues.
#include "engine_driver.h"

namespace jobwire::core {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class EngineControlTest : public EngineTest {
 protected:
  static QueueAsked command(QueueAction action, std::string_view queue = "q") {
    QueueAsked asked;
    asked.request = 5;
    asked.action = action;
    asked.queue = queue;
    if (action != QueueAction::kLook) asked.by = "ada";
    return asked;
  }
  Effects send(SessionId session, QueueAsked asked) {
    asked.session = session;
    return turn(asked);
  }
  /// Sends it and commits.
  Effects done(SessionId session, const QueueAsked& asked) {
    send(session, asked);
    return commit();
  }
  QueueView look(SessionId session, std::string_view queue = "q") {
    const Effects out = send(session, command(QueueAction::kLook, queue));
    EXPECT_EQ(out.queue_replies.size(), 1U);
    EXPECT_EQ(out.queue_replies.at(0).queues.size(), 1U);
    return out.queue_replies.at(0).queues.at(0);
  }
};

TEST_F(EngineControlTest, PauseIsAnsweredWhenItIsStoredAndHoldsFromThen) {
  const SessionId p = producer();
  const SessionId o = op();
  QueueAsked pause = command(QueueAction::kPause);
  pause.why = "disk";
  EXPECT_EQ(count_all(send(o, pause)), 0U);
  ASSERT_THAT(stage().settings, SizeIs(1));
  EXPECT_EQ(last_batch.settings[0].queue, "q");
  const QueueSettings stored = last_batch.settings[0].settings;
  EXPECT_EQ(stored, (QueueSettings{1, true, false, "ada", "disk", now.wall, {}}));
  const Effects out = committed();
  ASSERT_THAT(out.queue_replies, SizeIs(1));
  EXPECT_EQ(out.queue_replies[0].session, o);
  EXPECT_EQ(out.queue_replies[0].request, 5U);
  EXPECT_EQ(out.queue_replies[0].code, Code::kNone);
  ASSERT_THAT(out.queue_replies[0].queues, SizeIs(1));
  EXPECT_EQ(out.queue_replies[0].queues[0].settings, stored);
  lone_worker(4, 4);
  stored_jobs(p, 1, 3);
  EXPECT_EQ(engine().counts().leases, 0U);
  EXPECT_EQ(look(o).queued, 3U);
}

TEST_F(EngineControlTest, ResumeHandsOutWhatWaited) {
  const SessionId p = producer();
  const SessionId o = op();
  done(o, command(QueueAction::kPause));
  lone_worker(4, 4);
  stored_jobs(p, 1, 3);
  const Effects out = done(o, command(QueueAction::kResume));
  EXPECT_THAT(out.dispatches, SizeIs(3));
  EXPECT_EQ(look(o).settings, QueueSettings{});
}

TEST_F(EngineControlTest, StatusOfAJobThatWaitsSaysThatItsQueueIsPaused) {
  const SessionId p = producer();
  const SessionId o = op();
  lone_worker(4, 4);
  QueueAsked pause = command(QueueAction::kPause);
  pause.why = "disk";
  done(o, pause);
  stored_jobs(p, 1, 1);
  const Effects out = ask(p, {job_id(1)});
  ASSERT_THAT(out.results, SizeIs(1));
  ASSERT_TRUE(out.results[0].obstacle);
  EXPECT_EQ(*out.results[0].obstacle, "queue q is paused by ada: disk");
}

TEST_F(EngineControlTest, PauseRecallsWhatHasNotBegunAndLetsTheRestRun) {
  const SessionId p = producer();
  const SessionId o = op();
  stored_jobs(p, 1, 2);
  const SessionId w = lone_worker(2, 2);
  ASSERT_THAT(dispatched, SizeIs(2));
  const Effects out = done(o, command(QueueAction::kPause));
  ASSERT_THAT(out.recalls, SizeIs(2));
  EXPECT_THAT(out.dispatches, IsEmpty());
  // It has begun the first, and gives the second back, as it was asked to.
  hand_back(w, {dispatched[1].token});
  EXPECT_EQ(state(2), State::kQueued);
  EXPECT_EQ(state(1), State::kRunning);
  report(w, 1, {success(dispatched[0])});
  settle();
  EXPECT_EQ(state(1), State::kSucceeded);
  EXPECT_EQ(engine().counts().leases, 0U);
  const Effects resumed = done(o, command(QueueAction::kResume));
  EXPECT_THAT(resumed.dispatches, SizeIs(1)) << "it was asked for, so the worker gets more";
}

TEST_F(EngineControlTest, APausedQueueDoesNotHoldUpOthers) {
  const SessionId p = producer();
  const SessionId o = op();
  done(o, command(QueueAction::kPause));
  Submission other = job(9);
  other.queue = "r";
  stored_jobs(p, 1, 3);
  submit(p, other);
  settle();
  Serves both = room(1, 1);
  both.queues = {"q", "r"};
  lone_worker(both);
  ASSERT_THAT(dispatched, SizeIs(1));
  EXPECT_EQ(dispatched[0].job, job_id(9));
}

TEST_F(EngineControlTest, DrainRefusesIntakeAndFinishesWhatIsThere) {
  const SessionId p = producer();
  const SessionId o = op();
  stored_jobs(p, 1, 1);
  QueueAsked drain = command(QueueAction::kDrain);
  drain.until_ms = (now.wall + Millis(30'000)).time_since_epoch().count();
  done(o, drain);
  const Effects out = refused([&] { return submit(p, job(2)); });
  ASSERT_THAT(out.receipts, SizeIs(1));
  EXPECT_EQ(out.receipts[0].code, Code::kQueuePaused);
  EXPECT_EQ(out.receipts[0].retry_after, Millis(30'000));
  // What is known keeps its receipt.
  const Effects again = submit(p, job(1));
  EXPECT_EQ(again.receipts.at(0).code, Code::kNone);
  lone_worker();
  EXPECT_THAT(dispatched, SizeIs(1));
}

TEST_F(EngineControlTest, DrainWithoutAnEndNamesNoTime) {
  const SessionId p = producer();
  done(op(), command(QueueAction::kDrain));
  EXPECT_EQ(submit(p, job(2)).receipts.at(0).retry_after, Millis(0));
}

TEST_F(EngineControlTest, UntilLiftsByItselfAndTheStoreLearnsOfIt) {
  const SessionId p = producer();
  const SessionId o = op();
  QueueAsked pause = command(QueueAction::kPause);
  pause.until_ms = (now.wall + Millis(10'000)).time_since_epoch().count();
  done(o, pause);
  lone_worker();
  stored_jobs(p, 1, 1);
  EXPECT_THAT(advance(Millis(9'999)).dispatches, IsEmpty());
  EXPECT_TRUE(look(o).settings.paused);
  const Effects out = advance(Millis(101));
  EXPECT_THAT(out.dispatches, SizeIs(1));
  EXPECT_FALSE(look(o).settings.paused);
  stage();
  ASSERT_THAT(last_batch.settings, SizeIs(1));
  EXPECT_EQ(last_batch.settings[0].settings, QueueSettings{});
  EXPECT_THAT(committed().queue_replies, IsEmpty());
}

TEST_F(EngineControlTest, TheEngineWakesForTheEndOfAPause) {
  QueueAsked pause = command(QueueAction::kPause);
  pause.until_ms = (now.wall + Millis(10'000)).time_since_epoch().count();
  done(op(), pause);
  advance(Millis(9'990));
  ASSERT_TRUE(engine().next_deadline());
  EXPECT_LE(*engine().next_deadline(), now.steady + Millis(100));
}

TEST_F(EngineControlTest, SettingsSurviveARestart) {
  QueueSettings settings;
  settings.weight = 7;
  settings.paused = true;
  settings.by = "ada";
  settings.since = now.wall;
  restart().restore_queue("q", settings, now);
  engine().finish_recovery(now);
  const SessionId o = op();
  EXPECT_EQ(look(o).settings, settings);
  const SessionId p = producer();
  lone_worker();
  stored_jobs(p, 1, 1);
  EXPECT_EQ(engine().counts().leases, 0U);
}

TEST_F(EngineControlTest, APauseWhoseTimePassedDuringARestartIsOver) {
  QueueSettings settings;
  settings.paused = settings.draining = true;
  settings.until = now.wall;
  restart().restore_queue("q", settings, now);
  engine().finish_recovery(now);
  EXPECT_EQ(look(op()).settings, QueueSettings{});
}

TEST_F(EngineControlTest, AQueueThatNobodyUsedCanBeSet) {
  const SessionId o = op();
  QueueAsked weight = command(QueueAction::kSetWeight, "new");
  weight.weight = 1'000;
  const Effects out = done(o, weight);
  EXPECT_EQ(out.queue_replies.at(0).queues.at(0).settings.weight, 1'000U);
  EXPECT_EQ(look(o, "new").settings.weight, 1'000U);
}

TEST_F(EngineControlTest, CommandsOnOneQueueTakeEffectInTheirOrder) {
  const SessionId o = op();
  QueueAsked weight = command(QueueAction::kSetWeight);
  weight.weight = 9;
  send(o, command(QueueAction::kPause));
  send(o, weight);
  send(o, command(QueueAction::kDrain));
  const Effects out = commit();
  ASSERT_THAT(out.queue_replies, SizeIs(3));
  const QueueSettings settings = look(o).settings;
  EXPECT_EQ(settings.weight, 9U);
  EXPECT_TRUE(settings.paused);
  EXPECT_TRUE(settings.draining);
}

TEST_F(EngineControlTest, AQueueThatACommandIsAboutToMakeIsKnownToTheNext) {
  const SessionId o = op();
  send(o, command(QueueAction::kPause, "new"));
  send(o, command(QueueAction::kResume, "new"));
  stage();
  EXPECT_EQ(count_all(send(o, command(QueueAction::kResume, "new"))), 0U);
  const Effects out = committed();
  ASSERT_THAT(out.queue_replies, SizeIs(2));
  EXPECT_EQ(out.queue_replies[1].code, Code::kNone);
  EXPECT_FALSE(look(o, "new").settings.paused);
}

TEST_F(EngineControlTest, ACommandThatTheStoreRefusesChangesNothing) {
  const SessionId o = op();
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  const QueueView before = look(o);
  send(o, command(QueueAction::kPause));
  stage();
  const Effects out = rejected(Code::kStoreUnavailable);
  ASSERT_THAT(out.queue_replies, SizeIs(1));
  EXPECT_EQ(out.queue_replies[0].code, Code::kStoreUnavailable);
  EXPECT_GT(out.queue_replies[0].retry_after, Millis(0));
  EXPECT_EQ(look(o).settings, before.settings);
  lone_worker();
  EXPECT_THAT(dispatched, SizeIs(1));
  advance(Millis(1'000));
  settle();
  EXPECT_EQ(look(o).settings, before.settings);
}

TEST_F(EngineControlTest, AFullStoreTakesACommandWithoutTheNewJobsOfItsBatch) {
  const SessionId o = op();
  const SessionId p = producer();
  submit(p, job(1));
  send(o, command(QueueAction::kPause));
  ASSERT_THAT(stage().jobs, SizeIs(1));
  EXPECT_THAT(rejected(Code::kStoreFull).queue_replies, IsEmpty());
  advance(Millis(300));
  EXPECT_THAT(stage().jobs, IsEmpty());
  EXPECT_EQ(committed().queue_replies.at(0).code, Code::kNone);
  EXPECT_TRUE(look(o).settings.paused);
}

TEST_F(EngineControlTest, WhileTheStoreIsAwayCommandsAreRefusedAndLooksAnswered) {
  const SessionId o = op();
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  apply(StoreWentAway{});
  const Effects out = refused([&] { return send(o, command(QueueAction::kPause)); });
  EXPECT_EQ(out.queue_replies.at(0).code, Code::kStoreUnavailable);
  EXPECT_EQ(look(o).queued, 1U);
}

TEST_F(EngineControlTest, EveryRefusalNamesItsReasonAndChangesNothing) {
  config.max_queues = 1;
  const SessionId o = op();
  const SessionId p = producer();
  stored_jobs(p, 1, 1);
  struct Case {
    const char* what;
    Code code;
    QueueAsked asked;
  };
  std::vector<Case> cases;
  const auto add = [&](const char* what, Code code, QueueAsked asked, auto change) {
    change(asked);
    cases.push_back({what, code, asked});
  };
  const std::string long_by(129, 'x');
  const std::string long_why(1'025, 'x');
  const std::int64_t today = now.wall.time_since_epoch().count();
  add("no name", Code::kInvalidName, command(QueueAction::kPause, "a b"), [](auto&) {});
  add("nobody", Code::kInvalidArgument, command(QueueAction::kPause), [](auto& a) { a.by = ""; });
  add("long by", Code::kInvalidArgument, command(QueueAction::kPause),
      [&](auto& a) { a.by = long_by; });
  add("long why", Code::kInvalidArgument, command(QueueAction::kPause),
      [&](auto& a) { a.why = long_why; });
  add("passed", Code::kInvalidArgument, command(QueueAction::kPause),
      [&](auto& a) { a.until_ms = today; });
  add("negative", Code::kInvalidArgument, command(QueueAction::kDrain),
      [&](auto& a) { a.until_ms = -1; });
  add("far", Code::kInvalidArgument, command(QueueAction::kDrain),
      [&](auto& a) { a.until_ms = today + 367LL * 24 * 3'600'000; });
  add("until of a resume", Code::kInvalidArgument, command(QueueAction::kResume),
      [&](auto& a) { a.until_ms = today + 1'000; });
  add("no weight", Code::kInvalidArgument, command(QueueAction::kSetWeight), [](auto&) {});
  add("heavy", Code::kInvalidArgument, command(QueueAction::kSetWeight),
      [](auto& a) { a.weight = 1'001; });
  add("unknown resume", Code::kUnknownQueue, command(QueueAction::kResume, "r"), [](auto&) {});
  add("unknown look", Code::kUnknownQueue, command(QueueAction::kLook, "r"), [](auto&) {});
  add("one too many", Code::kQuotaExceeded, command(QueueAction::kPause, "r"), [](auto&) {});
  const QueueView before = look(o);
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    const Effects out = refused([&] { return send(o, c.asked); });
    ASSERT_THAT(out.queue_replies, SizeIs(1));
    EXPECT_EQ(out.queue_replies[0].code, c.code);
    EXPECT_EQ(out.queue_replies[0].request, 5U);
    EXPECT_THAT(out.queue_replies[0].queues, IsEmpty());
    EXPECT_NE(out.queue_replies[0].message, std::string());
    EXPECT_EQ(look(o).settings, before.settings);
  }
}

TEST_F(EngineControlTest, ACommandWithoutASessionIsRefused) {
  const Effects out = refused([&] { return send(SessionId{99}, command(QueueAction::kPause)); });
  EXPECT_EQ(out.refusals.at(0).code, Code::kHelloFirst);
}

TEST_F(EngineControlTest, ALookCountsWhatIsThere) {
  const SessionId p = producer();
  const SessionId o = op();
  stored_jobs(p, 1, 4);
  Submission later = job(5);
  later.delay_ms = 60'000;
  submit(p, later);
  const SessionId w = lone_worker(2, 2);
  settle();
  report(w, 1, {success(dispatched.at(0)), failure(dispatched.at(1), Outcome::kRejected)});
  settle();
  const QueueView view = look(o);
  EXPECT_EQ(view.scheduled, 1U);
  EXPECT_EQ(view.running, 2U);
  EXPECT_EQ(view.queued, 0U);
  EXPECT_EQ(view.dead, 1U);
  EXPECT_EQ(view.finished, 1U);
  EXPECT_EQ(view.workers, 1U);
  EXPECT_EQ(view.bytes, 3 * std::string_view("payload").size());
}

TEST_F(EngineControlTest, LooksPageByName) {
  const SessionId o = op();
  for (const char* name : {"b", "d", "a", "c"}) done(o, command(QueueAction::kPause, name));
  QueueAsked page = command(QueueAction::kLook, "");
  page.limit = 3;
  const QueueReplyOut first = send(o, page).queue_replies.at(0);
  ASSERT_THAT(first.queues, SizeIs(3));
  EXPECT_EQ(first.queues[0].name, "a");
  EXPECT_EQ(first.queues[2].name, "c");
  EXPECT_TRUE(first.more);
  page.after = "c";
  const QueueReplyOut second = send(o, page).queue_replies.at(0);
  ASSERT_THAT(second.queues, SizeIs(1));
  EXPECT_EQ(second.queues[0].name, "d");
  EXPECT_FALSE(second.more);
}

// ---- sharing

class EngineSharingTest : public EngineControlTest {
 protected:
  /// Lets one worker do 600 jobs of two queues with long backlogs, and says how many were of "q".
  std::uint32_t share(std::uint32_t weight_q, std::uint32_t weight_r, Micros run_q, Micros run_r) {
    const SessionId p = producer();
    const SessionId o = op();
    for (const auto& [name, weight] : {std::pair("q", weight_q), std::pair("r", weight_r)}) {
      QueueAsked set = command(QueueAction::kSetWeight, name);
      set.weight = weight;
      done(o, set);
    }
    for (std::uint64_t n = 1; n <= 2'000; ++n) {
      Submission mine = job(n);
      mine.queue = n % 2 == 0 ? "q" : "r";
      mine.type = n % 2 == 0 ? "tq" : "tr";
      submit(p, mine);
    }
    settle();
    Serves both = room(1, 64);
    both.queues = {"q", "r"};
    both.types = {"tq", "tr"};
    const SessionId w = lone_worker(both);
    std::deque<DispatchOut> held(dispatched.begin(), dispatched.end());
    std::uint32_t of_q = 0;
    for (std::uint64_t i = 1; i <= 600; ++i) {
      if (held.empty()) {
        ADD_FAILURE() << "the worker has nothing to do";
        return 0;
      }
      const DispatchOut next = held.front();
      held.pop_front();
      const bool is_q = next.type == 0;
      of_q += is_q ? 1 : 0;
      const Micros run = is_q ? run_q : run_r;
      now.steady += run;
      const Effects out = report(w, i, {success(next, "r", run)});
      held.insert(held.end(), out.dispatches.begin(), out.dispatches.end());
      if (engine().has_batch(now)) {
        const Effects more = commit();
        held.insert(held.end(), more.dispatches.begin(), more.dispatches.end());
      }
    }
    return of_q;
  }
};

TEST_F(EngineSharingTest, EqualWeightsShareAlike) {
  EXPECT_NEAR(share(1, 1, Micros(20'000), Micros(20'000)), 300, 5);
}

TEST_F(EngineSharingTest, WeightsAreShares) {
  EXPECT_NEAR(share(3, 1, Micros(20'000), Micros(20'000)), 450, 8);
}

TEST_F(EngineSharingTest, LongJobsAreNotStarvedByShortOnesThatAreSentAhead) {
  // While one long job runs, short ones may not; else each gets its turn.
  EXPECT_LT(share(1, 1, Micros(100), Micros(50'000)), 590U);
}

TEST_F(EngineSharingTest, AHeavyQueueDoesNotStarveALightOne) {
  EXPECT_NEAR(600 - share(100, 1, Micros(20'000), Micros(20'000)), 6, 1);
}

}  // namespace
}  // namespace jobwire::core
