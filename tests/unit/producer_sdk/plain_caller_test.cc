// SPDX-License-Identifier: Apache-2.0
#include "plain_caller.h"

#include <gtest/gtest.h>

#include "scripted_broker.h"

namespace jobwire {
namespace {

TEST(PlainCallerTest, TheClientWorksForCodeWithoutExceptionsAndTypeInformation) {
  testing_detail::ScriptedBroker broker;
  broker.finish_everything();
  EXPECT_EQ(call_without_exceptions(broker.endpoint()), "receipted awaited plain");
}

}  // namespace
}  // namespace jobwire
