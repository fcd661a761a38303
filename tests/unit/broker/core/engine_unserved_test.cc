// SPDX-License-Identifier: Apache-2.0
// Jobs of types that nobody serves: what a question is told, and the log.
#include "engine_driver.h"

namespace jobwire::core {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class UnservedTest : public EngineTest {
 protected:
  void SetUp() override { who = producer(); }

  SessionId worker(std::vector<std::string_view> types, std::string_view version = {},
                   std::vector<std::string_view> queues = {"q"}) {
    Serves serves;
    serves.types = std::move(types);
    serves.queues = std::move(queues);
    serves.version = version;
    return lone_worker(serves);
  }

  void waits(std::uint64_t n, std::string_view type) {
    Submission submission = job(n);
    submission.type = type;
    submit(who, submission);
    settle();
  }

  std::string obstacle(std::uint64_t n) {
    const Effects out = ask(who, {job_id(n)});
    EXPECT_THAT(out.results, SizeIs(1));
    return out.results[0].obstacle ? *out.results[0].obstacle : "";
  }

  SessionId who{};
};

TEST_F(UnservedTest, NearNamesAreToldWithTheirVersionsNearestFirst) {
  worker({"send", "resizes", "thumbnail"}, "1.4");
  worker({"resize", "resizes"}, "1.5");
  waits(1, "resise");
  EXPECT_EQ(
      obstacle(1),
      "no worker of queue q has type resise; there is resize (version 1.5), resizes (versions "
      "1.4, 1.5)");
}

TEST_F(UnservedTest, WithNothingNearSomeOfTheTypesAreTold) {
  worker({"d", "c", "b", "a"});
  waits(1, "thumbnail");
  EXPECT_EQ(obstacle(1), "no worker of queue q has type thumbnail; there is a, b, c");
}

TEST_F(UnservedTest, TheQueueThatHasTheTypeIsTold) {
  worker({"send"});
  worker({"resize"}, {}, {"images"});
  waits(1, "resize");
  EXPECT_EQ(obstacle(1),
            "no worker of queue q has type resize, workers of queue images do; there is send");
}

TEST_F(UnservedTest, WorkersThatHaveGoneAreNotCounted) {
  const SessionId gone = worker({"resize"});
  worker({"send"});
  turn(SessionClosed{gone, true});
  waits(1, "resise");
  EXPECT_EQ(obstacle(1), "no worker of queue q has type resise; there is send");
}

TEST_F(UnservedTest, IsLoggedOnceATypeAfterAWhile) {
  worker({"resize"}, "2");
  waits(1, "resise");
  waits(2, "resise");
  EXPECT_THAT(advance(Millis(9'999)).logs, IsEmpty());
  const Effects out = advance(Millis(1));
  ASSERT_THAT(out.logs, SizeIs(1));
  EXPECT_EQ(out.logs[0].severity, Severity::kWarning);
  EXPECT_THAT(out.logs[0].text, HasSubstr(to_string(job_id(1)) + " waits: "));
  EXPECT_THAT(out.logs[0].text, EndsWith("has type resise; there is resize (version 2)"));
  waits(3, "resise");
  EXPECT_THAT(advance(Millis(60'000)).logs, IsEmpty());
}

TEST_F(UnservedTest, AWorkerThatComesInTimeIsNoReasonToSpeak) {
  waits(1, "resize");
  advance(Millis(5'000));
  const SessionId right = worker({"resize"});
  ASSERT_THAT(dispatched, SizeIs(1));
  EXPECT_THAT(advance(Millis(5'000)).logs, IsEmpty());
  report(right, 1, {success(dispatched[0])});
  settle();
}

}  // namespace
}  // namespace jobwire::core
