// SPDX-License-Identifier: Apache-2.0
#include "wire/decoder.h"

#include <gtest/gtest.h>
#include <algorithm>

#include <cmath>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <string>

#include "jobwire/wire/error_generated.h"
#include "wire/names.h"

namespace jobwire::wire {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;
using flatbuffers::String;
using flatbuffers::Vector;
using Buffer = std::vector<std::uint8_t>;

Id make_id(std::uint8_t value) {
  Id id;
  std::memset(static_cast<void*>(&id), value, sizeof id);
  return id;
}

template <typename Table>
Buffer finish(FlatBufferBuilder& builder, Body kind, Offset<Table> body) {
  FinishMessageBuffer(builder, CreateMessage(builder, kind, body.Union()));
  return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
}

// One job of a Submit, right until a test makes it wrong.
struct JobFields {
  std::uint8_t id = 7;
  std::string queue = "images";
  std::string type = "thumbnail";
  std::uint32_t offset = 0;
  std::uint32_t size = 4;
  Encoding encoding = Encoding::Bytes;
  std::string dedup_key;
  std::vector<std::pair<std::string, std::string>> headers;
  bool has_retry = false;
  Backoff backoff = Backoff::Unspecified;
  float factor = 2.0F;
  std::size_t listed = 0;
  std::vector<std::string> fatal;
};

Offset<JobSpec> build(FlatBufferBuilder& builder, const JobFields& fields) {
  const Id id = make_id(fields.id);
  const auto text = [&](const std::string& value) {
    return value.empty() ? 0 : builder.CreateString(value);
  };
  const auto queue = text(fields.queue);
  const auto type = text(fields.type);
  const auto key = text(fields.dedup_key);
  std::vector<Offset<Header>> headers;
  for (const auto& [name, value] : fields.headers) {
    const auto name_offset = text(name);
    const auto value_offset = text(value);
    headers.push_back(CreateHeader(builder, name_offset, value_offset));
  }
  const auto header_list = headers.empty() ? 0 : builder.CreateVector(headers);
  Offset<RetryPolicy> retry = 0;
  if (fields.has_retry) {
    const auto listed = builder.CreateVector(std::vector<std::uint32_t>(fields.listed, 1));
    const auto fatal = builder.CreateVectorOfStrings(fields.fatal);
    retry =
        CreateRetryPolicy(builder, 0, 0, fields.backoff, 0, 0, fields.factor, listed, false, fatal);
  }
  return CreateJobSpec(builder, fields.id ? &id : nullptr, queue, type, fields.offset, fields.size,
                       fields.encoding, 4, 0, 0, 0, 0, 0, retry, key, 0, header_list);
}

class DecoderTest : public testing::Test {
 protected:
  const Decoded& decode(const Buffer& envelope, const Buffer& blob = {},
                        Sender sender = {ports::Side::kProducers, core::SessionId{3},
                                         core::Role::kProducer}) {
    return decoder_.decode({{}, envelope, blob, !blob.empty(), false}, sender);
  }
  const SubmitIn& submit(const std::vector<JobFields>& jobs, const Buffer& blob) {
    FlatBufferBuilder builder;
    std::vector<Offset<JobSpec>> specs;
    for (const JobFields& job : jobs) specs.push_back(build(builder, job));
    const auto list = builder.CreateVector(specs);
    envelope_ = finish(builder, Body::Submit, CreateSubmit(builder, 9, list));
    return std::get<SubmitIn>(decode(envelope_, blob));
  }
  // The middle one of three jobs is wrong; the others go on.
  void expect_refused(const JobFields& wrong, core::Code code, const std::string& field) {
    JobFields first;
    JobFields last;
    first.id = 1;
    last.id = 9;
    const SubmitIn& answer = submit({first, wrong, last}, Buffer(8, 'x'));
    ASSERT_EQ(answer.good.jobs.size(), 2U) << field;
    EXPECT_EQ(answer.good.jobs[0].id.bytes[0], 1);
    EXPECT_EQ(answer.good.jobs[1].id.bytes[0], 9);
    ASSERT_EQ(answer.bad.size(), 1U) << field;
    const core::ReceiptOut& refusal = answer.bad[0];
    EXPECT_EQ(name_of(refusal.code), name_of(code)) << refusal.message;
    EXPECT_EQ(refusal.field, field);
    EXPECT_STRNE(refusal.message, "");
    EXPECT_EQ(refusal.id.bytes[0], wrong.id);
    EXPECT_EQ(refusal.session, core::SessionId{3});
  }
  core::Code refused(const Decoded& decoded) {
    const auto* refusal = std::get_if<RefusedIn>(&decoded);
    return refusal ? refusal->code : core::Code::kNone;
  }

  Decoder decoder_{ProtocolLimits{}};
  Buffer envelope_;
};

TEST_F(DecoderTest, JobOfWrongFormIsRefusedAloneWithItsField) {
  using core::Code;
  JobFields job;
  expect_refused((job = {}, job.id = 0, job), Code::kInvalidArgument, "id");
  expect_refused((job = {}, job.queue = "", job), Code::kInvalidName, "queue");
  expect_refused((job = {}, job.type = "", job), Code::kInvalidName, "type");
  expect_refused((job = {}, job.queue = std::string(129, 'q'), job), Code::kInvalidName, "queue");
  expect_refused((job = {}, job.encoding = Encoding::Unspecified, job), Code::kInvalidArgument,
                 "encoding");
  expect_refused((job = {}, job.encoding = static_cast<Encoding>(99), job), Code::kInvalidArgument,
                 "encoding");
  expect_refused((job = {}, job.offset = 5, job), Code::kMalformedFrame, "payload_offset");
  expect_refused((job = {}, job.offset = 0xFFFFFFFE, job), Code::kMalformedFrame, "payload_offset");
  expect_refused((job = {}, job.size = 33'554'433, job), Code::kTooLarge, "payload_size");
  expect_refused((job = {}, job.dedup_key = std::string(129, 'k'), job), Code::kInvalidArgument,
                 "dedup_key");
  expect_refused((job = {}, job.headers.assign(33, {"k", "v"}), job), Code::kInvalidArgument,
                 "headers");
  expect_refused((job = {}, job.headers = {{"", "v"}}, job), Code::kInvalidArgument, "headers");
  expect_refused((job = {}, job.headers = {{"k", std::string(8192, 'v')}}, job),
                 Code::kInvalidArgument, "headers");
  expect_refused((job = {}, job.headers = {{"k", "\xff"}}, job), Code::kInvalidArgument, "headers");
  const JobFields with_retry = [] {
    JobFields fields;
    fields.has_retry = true;
    return fields;
  }();
  expect_refused((job = with_retry, job.backoff = static_cast<Backoff>(4), job),
                 Code::kInvalidArgument, "retry.backoff");
  expect_refused((job = with_retry, job.factor = 0.5F, job), Code::kInvalidArgument,
                 "retry.factor");
  expect_refused((job = with_retry, job.factor = std::numeric_limits<float>::quiet_NaN(), job),
                 Code::kInvalidArgument, "retry.factor");
  expect_refused((job = with_retry, job.listed = 101, job), Code::kInvalidArgument,
                 "retry.listed_ms");
  expect_refused((job = with_retry, job.backoff = Backoff::Listed, job), Code::kInvalidArgument,
                 "retry.listed_ms");
  expect_refused((job = with_retry, job.fatal = {std::string(257, 'E')}, job),
                 Code::kInvalidArgument, "retry.fatal");
}

TEST_F(DecoderTest, PayloadsMayOverlapButNotGrowBeyondOneMessage) {
  ProtocolLimits limits;
  limits.max_message_bytes = 1'048'576;
  decoder_ = Decoder(limits);
  JobFields job;
  job.size = 1'000'000;
  const SubmitIn& answer = submit({job, job}, Buffer(1'000'000, 'x'));
  EXPECT_EQ(answer.good.jobs.size(), 1U);
  ASSERT_EQ(answer.bad.size(), 1U);
  EXPECT_EQ(answer.bad[0].code, core::Code::kTooLarge);
}

TEST_F(DecoderTest, PayloadIsTheBlobItself) {
  const Buffer blob = {1, 2, 3, 4};
  const SubmitIn& answer = submit({JobFields{}}, blob);
  ASSERT_EQ(answer.good.jobs.size(), 1U);
  EXPECT_EQ(answer.good.jobs[0].payload.data(), blob.data());
}

TEST_F(DecoderTest, EnvelopeMayLieAtAnyAddress) {
  FlatBufferBuilder builder;
  const ResultHead head(make_id(1), make_id(2), 0, 0, 5, 6, 0, Outcome::Succeeded, Encoding::Json);
  const auto heads = builder.CreateVectorOfStructs(&head, 1);
  const Buffer envelope = finish(builder, Body::Results, CreateResults(builder, 1, heads));
  for (std::size_t shift = 0; shift < 8; ++shift) {
    Buffer moved(shift);
    moved.insert(moved.end(), envelope.begin(), envelope.end());
    const std::span<const std::uint8_t> span = std::span(moved).subspan(shift);
    const Decoded& answer =
        decoder_.decode({{}, span, {}, false, false},
                        {ports::Side::kWorkers, core::SessionId{1}, core::Role::kWorker});
    ASSERT_TRUE(std::holds_alternative<core::ResultsReported>(answer));
    EXPECT_EQ(std::get<core::ResultsReported>(answer).results[0].run, core::Micros{5});
  }
}

TEST_F(DecoderTest, RefusalNamesTheRequest) {
  FlatBufferBuilder builder;
  const std::vector<Id> ids(1025);
  const auto list = builder.CreateVectorOfStructs(ids);
  const Buffer envelope =
      finish(builder, Body::ResultRequest, CreateResultRequest(builder, 77, list));
  const auto& answer = std::get<RefusedIn>(decode(envelope));
  EXPECT_EQ(answer.code, core::Code::kTooMany);
  EXPECT_EQ(answer.request, 77U);
  EXPECT_EQ(answer.kind, Body::ResultRequest);
}

TEST_F(DecoderTest, MoreFramesThanTwoAndBlobsTooLargeAreRefused) {
  FlatBufferBuilder builder;
  const Buffer envelope = finish(builder, Body::Heartbeat, CreateHeartbeat(builder));
  EXPECT_EQ(refused(decoder_.decode({{}, envelope, {}, false, true}, {})),
            core::Code::kMalformedFrame);
  EXPECT_EQ(refused(decode(envelope, Buffer(34'603'009))), core::Code::kTooLarge);
  EXPECT_EQ(refused(decode(envelope)), core::Code::kNone);
}

TEST_F(DecoderTest, ThousandJobsSharingOneListOfNamesAreRefusedAtOnce) {
  // Within the limit on tables the verifier alone would look at 1,024 x 100,000 strings.
  FlatBufferBuilder builder;
  const auto name = builder.CreateString("E");
  const auto fatal = builder.CreateVector(std::vector<Offset<String>>(100'000, name));
  const auto retry =
      CreateRetryPolicy(builder, 0, 0, Backoff::Unspecified, 0, 0, 2.0F, 0, false, fatal);
  const auto queue = builder.CreateString("q");
  const auto type = builder.CreateString("t");
  std::vector<Offset<JobSpec>> jobs;
  for (int i = 0; i < 1024; ++i) {
    jobs.push_back(CreateJobSpec(builder, nullptr, queue, type, 0, 0, Encoding::Bytes, 4, 0, 0, 0,
                                 0, 0, retry));
  }
  const auto list = builder.CreateVector(jobs);
  const Buffer envelope = finish(builder, Body::Submit, CreateSubmit(builder, 1, list));
  ASSERT_LT(envelope.size(), kMaxEnvelopeBytes);
  EXPECT_EQ(refused(decode(envelope)), core::Code::kTooMany);
}

TEST_F(DecoderTest, OneTableReachedAThousandTimesIsRefusedByTheLimitOnTables) {
  FlatBufferBuilder builder;
  const auto key = builder.CreateString("k");
  const auto headers =
      builder.CreateVector(std::vector<Offset<Header>>(1000, CreateHeader(builder, key, key)));
  const auto queue = builder.CreateString("q");
  std::vector<Offset<JobSpec>> jobs;
  for (int i = 0; i < 1000; ++i) {
    jobs.push_back(CreateJobSpec(builder, nullptr, queue, queue, 0, 0, Encoding::Bytes, 4, 0, 0, 0,
                                 0, 0, 0, 0, 0, headers));
  }
  const auto list = builder.CreateVector(jobs);
  const Buffer envelope = finish(builder, Body::Submit, CreateSubmit(builder, 1, list));
  EXPECT_EQ(refused(decode(envelope)), core::Code::kMalformedFrame);
}

TEST_F(DecoderTest, ReadyBringsWhatHoldsForATypesJobs) {
  const auto with = [&](float factor) -> const Decoded& {
    FlatBufferBuilder builder;
    const auto name = builder.CreateString("t");
    const auto retry = CreateRetryPolicy(builder, 7, 0, Backoff::Fixed, 10, 20, factor);
    const auto offers = builder.CreateVector(
        std::vector<Offset<TypeOffer>>{CreateTypeOffer(builder, name, 0, 0, retry, 1'500)});
    const auto queues = builder.CreateVectorOfStrings(std::vector<std::string>{"q"});
    const Buffer envelope =
        finish(builder, Body::Ready, CreateReady(builder, queues, offers, 1, 1));
    return decode(envelope, {}, {ports::Side::kWorkers, core::SessionId{1}, core::Role::kWorker});
  };
  const auto& ready = std::get<core::WorkerReady>(with(2));
  ASSERT_EQ(ready.types.size(), 1U);
  EXPECT_EQ(ready.types[0].timeout_ms, 1'500U);
  ASSERT_TRUE(ready.types[0].retry);
  EXPECT_EQ(ready.types[0].retry->attempts, 7);
  EXPECT_EQ(ready.types[0].retry->crashes, 0) << "left to the broker's default";
  EXPECT_EQ(ready.types[0].retry->backoff, core::BackoffKind::kFixed);
  EXPECT_EQ(refused(with(0)), core::Code::kInvalidArgument);
}

TEST_F(DecoderTest, ACancelsReasonIsShortText) {
  const auto with = [&](const std::string& reason) -> const Decoded& {
    FlatBufferBuilder builder;
    const auto text = builder.CreateString(reason);
    return decode(finish(builder, Body::Cancel, CreateCancel(builder, 3, 0, text)));
  };
  EXPECT_EQ(refused(with(std::string(1'025, 'a'))), core::Code::kTooLarge);
  EXPECT_EQ(refused(with("\xc3\x28")), core::Code::kInvalidArgument);
  EXPECT_EQ(std::get<core::CancelAsked>(with("no longer")).reason.size(), 9U);
}

TEST_F(DecoderTest, ProgressIsOneShortTextAndANumber) {
  const auto with = [&](float value, std::uint32_t size, Buffer blob) -> const Decoded& {
    FlatBufferBuilder builder;
    const ProgressHead head(make_id(1), value, 0, size);
    const auto heads = builder.CreateVectorOfStructs(&head, 1);
    const Buffer envelope = finish(builder, Body::Progress, CreateProgress(builder, heads));
    return decode(envelope, std::move(blob),
                  {ports::Side::kWorkers, core::SessionId{1}, core::Role::kWorker});
  };
  EXPECT_EQ(refused(with(NAN, 0, {})), core::Code::kInvalidArgument);
  EXPECT_EQ(refused(with(1, 1'025, Buffer(1'025, 'a'))), core::Code::kTooLarge);
  EXPECT_EQ(refused(with(1, 4, Buffer(3, 'a'))), core::Code::kMalformedFrame);
  EXPECT_EQ(refused(with(1, 2, {0xc3, 0x28})), core::Code::kInvalidArgument);
  const auto& good = std::get<core::ProgressReported>(with(-1, 1'024, Buffer(1'024, 'a')));
  ASSERT_EQ(good.notes.size(), 1U);
  EXPECT_EQ(good.notes[0].message.size(), 1'024U);
}

TEST_F(DecoderTest, CheckpointsAreBoundedBytes) {
  const auto with = [&](std::uint32_t number, Encoding encoding, std::uint32_t size,
                        std::size_t sent) -> const Decoded& {
    FlatBufferBuilder builder;
    const CheckpointHead head(make_id(1), number, 0, size, encoding);
    const auto heads = builder.CreateVectorOfStructs(&head, 1);
    const Buffer envelope = finish(builder, Body::Checkpoints, CreateCheckpoints(builder, heads));
    return decode(envelope, Buffer(sent, 'a'),
                  {ports::Side::kWorkers, core::SessionId{1}, core::Role::kWorker});
  };
  EXPECT_EQ(refused(with(0, Encoding::Json, 4, 4)), core::Code::kInvalidArgument);
  EXPECT_EQ(refused(with(1, Encoding::Unspecified, 4, 4)), core::Code::kInvalidArgument);
  EXPECT_EQ(refused(with(1, static_cast<Encoding>(99), 4, 4)), core::Code::kInvalidArgument);
  EXPECT_EQ(refused(with(1, Encoding::Json, 65'537, 65'537)), core::Code::kTooLarge);
  EXPECT_EQ(refused(with(1, Encoding::Json, 4, 3)), core::Code::kMalformedFrame);
  const auto& good = std::get<core::CheckpointsReported>(with(7, Encoding::Json, 65'536, 65'536));
  ASSERT_EQ(good.notes.size(), 1U);
  EXPECT_EQ(good.notes[0].number, 7U);
  EXPECT_EQ(good.notes[0].encoding, core::Encoding::kJson);
  EXPECT_EQ(good.notes[0].bytes.size(), 65'536U);
}

TEST_F(DecoderTest, ErrorsAreReadInsideTheirSlice) {
  FlatBufferBuilder error;
  const auto type = error.CreateString("app.Bad");
  const auto message = error.CreateString("no");
  FinishJobErrorBuffer(error, CreateJobError(error, type, message, 0, 0, 0, true));
  Buffer blob(3 + error.GetSize());  // the slice begins at an odd offset
  std::copy_n(error.GetBufferPointer(), error.GetSize(), blob.begin() + 3);
  for (const std::uint32_t cut : {0U, 1U}) {
    FlatBufferBuilder builder;
    const ResultHead head(make_id(1), make_id(2), 3, error.GetSize() - cut, 5, 6, 0,
                          Outcome::Raised, Encoding::Unspecified);
    const auto heads = builder.CreateVectorOfStructs(&head, 1);
    const Buffer envelope = finish(builder, Body::Results, CreateResults(builder, 1, heads));
    const Decoded& answer =
        decode(envelope, blob, {ports::Side::kWorkers, core::SessionId{1}, core::Role::kWorker});
    if (cut != 0) {
      EXPECT_EQ(refused(answer), core::Code::kMalformedFrame);
      continue;
    }
    const core::ResultReport& report = std::get<core::ResultsReported>(answer).results[0];
    EXPECT_EQ(report.error_type, "app.Bad");
    EXPECT_EQ(report.error_message, "no");
    EXPECT_TRUE(report.error_retryable);
    EXPECT_GE(report.error_type.data(), reinterpret_cast<const char*>(blob.data()));
    EXPECT_LT(report.error_type.data(), reinterpret_cast<const char*>(blob.data() + blob.size()));
  }
}

}  // namespace
}  // namespace jobwire::wire
