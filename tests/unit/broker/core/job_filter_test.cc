// SPDX-License-Identifier: Apache-2.0
#include "core/job_filter.h"

#include <gtest/gtest.h>

namespace jobwire::core {
namespace {

JobRecord dead() {
  JobRecord job;
  job.queue = "images";
  job.type = "thumbnail";
  job.state = State::kDead;
  job.reason = DeadReason::kRaised;
  job.finished = Wall(Millis(1'000));
  return job;
}

bool fits_dead(const JobFilter& filter) {
  const JobRecord job = dead();
  return fits(filter, {job, "builtins.ValueError", "no such row"});
}

JobFilter with(void (*set)(JobFilter&)) {
  JobFilter filter;
  set(filter);
  return filter;
}

TEST(JobFilterTest, WhatIsLeftOutDoesNotNarrow) { EXPECT_TRUE(fits_dead({})); }

TEST(JobFilterTest, EachPartNarrows) {
  EXPECT_TRUE(fits_dead(with([](JobFilter& f) { f.queue = "images"; })));
  EXPECT_FALSE(fits_dead(with([](JobFilter& f) { f.queue = "image"; })));
  EXPECT_TRUE(fits_dead(with([](JobFilter& f) { f.type = "thumbnail"; })));
  EXPECT_FALSE(fits_dead(with([](JobFilter& f) { f.type = "send"; })));
  EXPECT_TRUE(fits_dead(with([](JobFilter& f) { f.reason = DeadReason::kRaised; })));
  EXPECT_FALSE(fits_dead(with([](JobFilter& f) { f.reason = DeadReason::kCrashed; })));
}

TEST(JobFilterTest, AllPartsMustFit) {
  EXPECT_FALSE(fits_dead(with([](JobFilter& f) {
    f.queue = "images";
    f.type = "send";
  })));
}

TEST(JobFilterTest, BeforeMeansStrictlyBeforeItsDeath) {
  EXPECT_TRUE(fits_dead(with([](JobFilter& f) { f.before = Wall(Millis(1'001)); })));
  EXPECT_FALSE(fits_dead(with([](JobFilter& f) { f.before = Wall(Millis(1'000)); })));
}

TEST(JobFilterTest, ErrorIsATypeOrAPartOfTheLine) {
  for (const char* error : {"ValueError", "builtins.ValueError", "such row", "Error: no"}) {
    JobFilter filter;
    filter.error = error;
    EXPECT_TRUE(fits_dead(filter)) << error;
  }
  JobFilter filter;
  filter.error = "KeyError";
  EXPECT_FALSE(fits_dead(filter));
}

}  // namespace
}  // namespace jobwire::core
