// SPDX-License-Identifier: Apache-2.0
#include "wire/encoder.h"

#include <gtest/gtest.h>

#include <map>

#include "jobwire/wire/error_generated.h"

namespace jobwire::wire {
namespace {

struct Sent {
  core::SessionId session{};
  Body kind = Body::NONE;
  std::vector<std::uint8_t> envelope;
  std::vector<std::uint8_t> blob;
  const std::uint8_t* blob_at = nullptr;
  std::uint32_t entries = 0;

  const Message& message() const { return *GetMessage(envelope.data()); }
};

class Sink : public OutgoingSink {
 public:
  void put(const Outgoing& message) override {
    flatbuffers::Verifier verifier(message.envelope.data(), message.envelope.size());
    EXPECT_TRUE(VerifyMessageBuffer(verifier));
    EXPECT_LE(message.envelope.size(), kMaxEnvelopeBytes);
    sent.push_back({message.session,
                    message.kind,
                    {message.envelope.begin(), message.envelope.end()},
                    {message.blob.begin(), message.blob.end()},
                    message.blob.data(),
                    message.entries});
  }
  std::vector<Sent> sent;
};

core::JobId job(std::uint64_t number) {
  core::JobId id;
  std::memcpy(id.bytes.data(), &number, sizeof number);
  return id;
}
core::LeaseToken token(std::uint64_t number) {
  return core::LeaseToken::from_bytes(job(number).bytes.data());
}
std::uint64_t number_of(const Id& id) {
  std::uint64_t number;
  std::memcpy(&number, &id, sizeof number);
  return number;
}

core::DispatchOut dispatch(std::uint32_t session, std::uint64_t number, std::size_t bytes) {
  core::DispatchOut out;
  out.session = core::SessionId{session};
  out.token = token(number);
  out.job = job(number);
  out.payload = core::Bytes::copy_of(std::string(bytes, static_cast<char>('a' + number % 26)));
  out.timeout = core::Millis{1000};
  out.attempt = 1;
  out.encoding = core::Encoding::kBytes;
  return out;
}

class EncoderTest : public testing::Test {
 protected:
  Encoder encoder_{ProtocolLimits{}};
  Sink sink_;
};

TEST_F(EncoderTest, DispatchesAreGroupedBySessionInOrderAtMost256) {
  std::vector<core::DispatchOut> effects;
  for (std::uint64_t i = 0; i < 900; ++i)
    effects.push_back(dispatch(static_cast<std::uint32_t>(1 + i % 3), i, 50));
  encoder_.dispatches(effects, sink_);
  ASSERT_EQ(sink_.sent.size(), 6U);  // 3 x (256 + 44)
  std::map<core::SessionId, std::vector<std::uint64_t>> order;
  for (const Sent& sent : sink_.sent) {
    const auto* heads = sent.message().body_as_Dispatch()->heads();
    ASSERT_EQ(heads->size(), sent.entries);
    EXPECT_LE(heads->size(), 256U);
    for (const DispatchHead* head : *heads) {
      const std::uint64_t number = number_of(head->job());
      order[sent.session].push_back(number);
      const std::string payload(sent.blob.begin() + head->payload_offset(),
                                sent.blob.begin() + head->payload_offset() + head->payload_size());
      EXPECT_EQ(payload, std::string(50, static_cast<char>('a' + number % 26)));
    }
  }
  for (std::uint32_t session = 1; session <= 3; ++session) {
    const auto& numbers = order[core::SessionId{session}];
    ASSERT_EQ(numbers.size(), 300U);
    for (std::size_t i = 0; i < numbers.size(); ++i) EXPECT_EQ(numbers[i], i * 3 + session - 1);
  }
}

TEST_F(EncoderTest, BigPayloadTravelsAloneAndUncopied) {
  const std::vector<core::DispatchOut> effects = {dispatch(1, 0, 10), dispatch(1, 1, 1'000'000),
                                                  dispatch(1, 2, 10)};
  encoder_.dispatches(effects, sink_);
  ASSERT_EQ(sink_.sent.size(), 3U);
  EXPECT_EQ(sink_.sent[1].entries, 1U);
  EXPECT_EQ(sink_.sent[1].blob_at, effects[1].payload.data());
  EXPECT_EQ(sink_.sent[1].blob.size(), 1'000'000U);
}

TEST_F(EncoderTest, BlobsOfManyPayloadsAreBounded) {
  std::vector<core::DispatchOut> effects;
  for (std::uint64_t i = 0; i < 200; ++i) effects.push_back(dispatch(1, i, 60'000));
  encoder_.dispatches(effects, sink_);
  std::size_t entries = 0;
  for (const Sent& sent : sink_.sent) {
    entries += sent.entries;
    EXPECT_LE(sent.blob.size(), 1U << 20);
  }
  EXPECT_EQ(entries, 200U);
}

TEST_F(EncoderTest, HeadersGoWithTheirJobAndDoNotOutgrowTheEnvelope) {
  auto options = std::make_shared<core::JobOptions>();
  for (int i = 0; i < 8; ++i)
    options->headers.emplace_back("key" + std::to_string(i), std::string(1000, 'v'));
  std::vector<core::DispatchOut> effects;
  for (std::uint64_t i = 0; i < 256; ++i) {
    effects.push_back(dispatch(1, i, 0));
    if (i % 2 == 0) effects.back().options = options;
  }
  encoder_.dispatches(effects, sink_);
  std::size_t with = 0;
  std::size_t entries = 0;
  for (const Sent& sent : sink_.sent) {
    const auto* body = sent.message().body_as_Dispatch();
    for (const DispatchHead* head : *body->heads()) {
      ++entries;
      EXPECT_EQ(head->extra() != 0, number_of(head->job()) % 2 == 0);
      if (head->extra() == 0) continue;
      ++with;
      EXPECT_EQ(body->extras()->Get(head->extra() - 1U)->headers()->size(), 8U);
    }
  }
  EXPECT_EQ(entries, 256U);
  EXPECT_EQ(with, 128U);
  EXPECT_GT(sink_.sent.size(), 1U);
}

TEST_F(EncoderTest, TimeoutIsNeverZero) {
  core::DispatchOut out = dispatch(1, 1, 1);
  out.timeout = core::Millis{0};
  encoder_.dispatches(std::vector{out}, sink_);
  EXPECT_EQ(sink_.sent[0].message().body_as_Dispatch()->heads()->Get(0)->timeout_ms(), 1U);
}

TEST_F(EncoderTest, ThousandRefusalsForOneReasonHoldItsSentenceOnce) {
  static const char* const kReason = "the queue is full, and this is said at some length";
  std::vector<core::ReceiptOut> effects;
  for (std::uint64_t i = 0; i < 1500; ++i) {
    effects.push_back({core::SessionId{1}, job(i), job(i), core::Code::kQueueFull, core::Millis{5},
                       false, core::State::kNone, "queue", kReason});
  }
  encoder_.receipts(effects, sink_);
  ASSERT_EQ(sink_.sent.size(), 2U);
  const auto* body = sink_.sent[0].message().body_as_Receipts();
  ASSERT_EQ(body->heads()->size(), 1024U);
  ASSERT_EQ(body->refusals()->size(), 1024U);
  EXPECT_EQ(body->refusals()->Get(1023)->index(), 1023U);
  EXPECT_EQ(body->refusals()->Get(1023)->message()->str(), kReason);
  EXPECT_EQ(body->refusals()->Get(0)->message(), body->refusals()->Get(1023)->message());
  EXPECT_EQ(sink_.sent[1].entries, 476U);
}

TEST_F(EncoderTest, AcksBecomeOneWithTheHighestSequenceAfterTheirRefusals) {
  const std::vector<core::AckOut> acks = {{core::SessionId{1}, 3},
                                          {core::SessionId{2}, 8},
                                          {core::SessionId{1}, 5},
                                          {core::SessionId{1}, 4}};
  const std::vector<core::LeaseRefusalOut> refused = {
      {core::SessionId{1}, token(6), core::Code::kStaleLease}};
  encoder_.acks(acks, refused, sink_);
  ASSERT_EQ(sink_.sent.size(), 3U);
  EXPECT_EQ(sink_.sent[0].message().body_as_ResultAck()->through(), 0U);
  EXPECT_EQ(sink_.sent[0].message().body_as_ResultAck()->refused()->size(), 1U);
  EXPECT_EQ(sink_.sent[1].session, core::SessionId{1});
  EXPECT_EQ(sink_.sent[1].message().body_as_ResultAck()->through(), 5U);
  EXPECT_EQ(sink_.sent[1].message().body_as_ResultAck()->refused()->size(), 0U);
  EXPECT_EQ(sink_.sent[2].message().body_as_ResultAck()->through(), 8U);
}

TEST_F(EncoderTest, ResultsOfTwoRequestsAreTwoMessages) {
  std::vector<core::ResultOut> effects(3);
  for (std::size_t i = 0; i < effects.size(); ++i) {
    effects[i].session = core::SessionId{1};
    effects[i].request = i < 2 ? 5 : 6;
    effects[i].id = job(i);
    effects[i].known = core::Known::kUnknown;
  }
  encoder_.results(effects, sink_);
  ASSERT_EQ(sink_.sent.size(), 2U);
  EXPECT_EQ(sink_.sent[0].message().body_as_ResultPush()->request(), 5U);
  EXPECT_EQ(sink_.sent[0].entries, 2U);
  EXPECT_EQ(sink_.sent[1].message().body_as_ResultPush()->request(), 6U);
  EXPECT_TRUE(sink_.sent[1].blob.empty());
}

TEST_F(EncoderTest, ErrorWordsBecomeAnErrorBufferWithinItsLimit) {
  core::ResultOut out;
  out.session = core::SessionId{1};
  out.known = core::Known::kFinal;
  out.state = core::State::kDead;
  out.error_text = std::make_shared<core::ErrorText>(
      core::ErrorText{"jobwire.TimedOut", "größe " + std::string(100'000, 'x'), true});
  encoder_.results(std::vector{out}, sink_);
  ASSERT_EQ(sink_.sent.size(), 1U);
  const ResultView* view = sink_.sent[0].message().body_as_ResultPush()->results()->Get(0);
  EXPECT_TRUE(view->payload_is_error());
  EXPECT_EQ(view->payload_size(), sink_.sent[0].blob.size());
  EXPECT_LE(view->payload_size(), ProtocolLimits{}.max_error_bytes);
  flatbuffers::Verifier verifier(sink_.sent[0].blob.data(), sink_.sent[0].blob.size());
  ASSERT_TRUE(VerifyJobErrorBuffer(verifier));
  const JobError* error = GetJobError(sink_.sent[0].blob.data());
  EXPECT_EQ(error->type()->str(), "jobwire.TimedOut");
  EXPECT_TRUE(error->truncated());
  EXPECT_TRUE(error->retryable());
}

TEST_F(EncoderTest, NothingToSayIsNoMessage) {
  encoder_.encode({}, sink_);
  EXPECT_TRUE(sink_.sent.empty());
}

}  // namespace
}  // namespace jobwire::wire
