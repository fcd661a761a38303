// SPDX-License-Identifier: Apache-2.0
#include "outbound.h"

#include <gtest/gtest.h>

#include <string>

#include "read_job.h"
#include "wire.h"

namespace jobwire::client_detail {
namespace {

using namespace std::chrono_literals;

// Every field at once: what it adds to a message is the most that a job can.
Job full_job(int variety) {
  Job job("type." + std::to_string(variety), "payload");
  job.queue("queue." + std::to_string(variety)).priority(9).timeout(1s).delay(2s);
  job.not_before(Job::Time(3s)).expires_at(Job::Time(4s)).result_ttl(5s);
  job.dedup_key("key" + std::to_string(variety), 6s).watch().keep_payload();
  job.contract(~std::uint64_t{0} - static_cast<std::uint64_t>(variety));
  for (int i = 0; i < variety % 33; ++i) job.header("k" + std::to_string(i), "");
  if (variety % 3 == 0)
    job.retry(RetryPolicy::exponential(7ms, 8ms, 3).no_jitter().fatal("A").fatal("B"));
  if (variety % 3 == 1)
    job.retry(RetryPolicy::listed({1ms, 2ms, 3ms}).attempts(2).timeouts(3).crashes(4));
  return job;
}

TEST(OutboundTest, TheBoundOnAJobsEnvelopeHolds) {
  for (int variety = 0; variety < 100; ++variety) {
    EntryList entries;
    std::size_t bound = 512;  // the message around the jobs
    for (int i = 0; i < 50; ++i) {
      Entry& entry = entries.emplace_back();
      entry.job = full_job(variety + i);
      entry.id = JobId::make();
      bound += Outbound::envelope_bytes(entry.job);
    }
    Outbound outbound;
    Blob blob;
    EXPECT_LE(outbound.submit(1, entries, blob).size(), bound) << variety;
  }
}

TEST(OutboundTest, ALargePayloadIsSentFromWhereItLies) {
  const std::vector<std::byte> buffer(Backlog::kLargePayload);
  EntryList entries;
  entries.emplace_back().job.payload(
      buffer, [] {}, Encoding::Bytes);
  Outbound outbound;
  Blob blob;
  outbound.submit(1, entries, blob);
  EXPECT_NE(blob.owner, nullptr);
  EXPECT_EQ(blob.pieces.front().data(), buffer.data());
}

TEST(OutboundTest, EveryFieldOfAJobIsWritten) {
  EntryList entries;
  Entry& entry = entries.emplace_back();
  entry.job = full_job(31);
  entry.id = JobId::make();
  Outbound outbound;
  Blob blob;
  const auto bytes = outbound.submit(77, entries, blob);
  auto verifier = bounded_verifier(bytes.data(), bytes.size());
  ASSERT_TRUE(wire::VerifyMessageBuffer(verifier));
  const wire::Submit* submit = wire::GetMessage(bytes.data())->body_as_Submit();
  ASSERT_NE(submit, nullptr);
  EXPECT_EQ(submit->request(), 77U);
  const wire::JobSpec& spec = *submit->jobs()->Get(0);
  EXPECT_EQ(from_wire(*spec.id()), entry.id);
  EXPECT_EQ(spec.queue()->str(), "queue.31");
  EXPECT_EQ(spec.type()->str(), "type.31");
  EXPECT_EQ(spec.payload_offset(), 0U);
  EXPECT_EQ(spec.payload_size(), 7U);
  EXPECT_EQ(spec.encoding(), wire::Encoding::Utf8);
  EXPECT_EQ(spec.priority(), 9);
  EXPECT_EQ(spec.timeout_ms(), 1000U);
  EXPECT_EQ(spec.delay_ms(), 2000U);
  EXPECT_EQ(spec.not_before_ms(), 3000);
  EXPECT_EQ(spec.expires_at_ms(), 4000);
  EXPECT_EQ(spec.result_ttl_ms(), 5000U);
  EXPECT_EQ(spec.dedup_key()->str(), "key31");
  EXPECT_EQ(spec.dedup_window_ms(), 6000U);
  EXPECT_EQ(spec.headers()->size(), 31U);
  EXPECT_TRUE(spec.watch());
  EXPECT_TRUE(spec.keep_payload());
  ASSERT_NE(spec.retry(), nullptr);
  EXPECT_EQ(spec.retry()->backoff(), wire::Backoff::Listed);
  EXPECT_EQ(spec.retry()->listed_ms()->size(), 3U);
  EXPECT_EQ(spec.retry()->attempts(), 2);
  EXPECT_EQ(spec.retry()->timeouts(), 3);
  EXPECT_EQ(spec.retry()->crashes(), 4);
  EXPECT_EQ(spec.contract(), ~std::uint64_t{31});
}

TEST(OutboundTest, AJobThatIsReadBackGoesToTheSameWorkers) {
  EntryList entries;
  Entry& entry = entries.emplace_back();
  entry.job = full_job(31);
  entry.id = JobId::make();
  Outbound outbound;
  Blob blob;
  const auto bytes = outbound.submit(1, entries, blob);
  const wire::Submit* submit = wire::GetMessage(bytes.data())->body_as_Submit();
  const auto read = read_job(*submit->jobs()->Get(0), std::as_bytes(std::span("payload", 7)));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->type(), entry.job.type());
  EXPECT_EQ(read->queue(), entry.job.queue());
  EXPECT_EQ(read->contract(), entry.job.contract());
}

TEST(OutboundTest, PublicAndWireEnumeratorsStandInTheSameOrder) {
  for (const wire::State state : wire::EnumValuesState()) {
    EXPECT_EQ(to_string(from_wire(state)), wire::EnumNameState(state));
  }
  for (const wire::DeadReason reason : wire::EnumValuesDeadReason()) {
    EXPECT_EQ(to_string(from_wire(reason)), wire::EnumNameDeadReason(reason));
  }
  for (const wire::Durability durability : wire::EnumValuesDurability()) {
    EXPECT_EQ(to_string(from_wire(durability)), wire::EnumNameDurability(durability));
  }
  for (const wire::Encoding encoding : wire::EnumValuesEncoding()) {
    if (encoding == wire::Encoding::Unspecified) continue;
    EXPECT_EQ(to_string(from_wire(encoding)), wire::EnumNameEncoding(encoding));
    EXPECT_EQ(to_wire(from_wire(encoding)), encoding);
  }
  EXPECT_EQ(from_wire(static_cast<wire::State>(200)), JobState::Unspecified);
}

}  // namespace
}  // namespace jobwire::client_detail
