// SPDX-License-Identifier: Apache-2.0
// A message that is refused whole changes nothing: neither in the broker, nor in the store, nor for
// anybody else.
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>

#include "../golden/golden_files.h"
#include "../golden/golden_set.h"
#include "adapters/memory/memory_store.h"
#include "runtime/broker.h"
#include "wire/names.h"

namespace jobwire::runtime {
namespace {

using golden::Buffer;

struct Sent {
  ports::PeerId to;
  Buffer envelope;
  wire::Body kind() const { return wire::GetMessage(envelope.data())->body_type(); }
};

/// Peers that the test plays: what is put in is received, what is sent is kept.
class Script : public ports::Transport {
 public:
  void put(ports::PeerId from, const Buffer& envelope, const Buffer& blob = {}) {
    waiting_.push_back({from, envelope, blob});
  }
  bool receive(ports::Side side, ports::Received& message) override {
    for (auto at = waiting_.begin(); at != waiting_.end(); ++at) {
      if (at->from.side != side) continue;
      held_ = std::move(*at);
      waiting_.erase(at);
      message = {held_.from, held_.envelope, held_.blob, !held_.blob.empty(), false};
      return true;
    }
    return false;
  }
  ports::Sent send(ports::PeerId peer, std::span<const std::uint8_t> envelope,
                   std::span<const std::uint8_t>) override {
    if (full) return ports::Sent::kFull;
    sent.push_back({peer, {envelope.begin(), envelope.end()}});
    return ports::Sent::kYes;
  }
  void wait(core::Micros, std::span<pollfd>) override {}

  bool full = false;
  std::vector<Sent> sent;

 private:
  struct Waiting {
    ports::PeerId from;
    Buffer envelope;
    Buffer blob;
  };
  std::deque<Waiting> waiting_;
  Waiting held_;
};

class Clock : public ports::Clock {
 public:
  core::Now now() const override {
    return {core::Steady(core::Micros(1'000'000)), core::Wall(core::Millis(1'800'000'000'000))};
  }
};

class Silence : public ports::Log {
 public:
  void write(ports::Level, const char*, std::string_view) override {}
};

/// Takes "BFBS", and nothing else, for a contract.
class Contracts : public ports::Contracts {
 public:
  ports::Status load(std::vector<ports::ContractFile> files) override {
    held_.clear();
    for (ports::ContractFile& file : files) held_[file.name] = std::move(file.schema);
    return {};
  }
  ports::Status check(const ports::ContractFile& file) const override {
    return file.schema == "BFBS" ? ports::Status() : ports::Failure{"no contract"};
  }
  ports::Result<ports::HeldContract> put(ports::ContractFile file) override {
    held_[file.name] = file.schema;
    return ports::HeldContract{file.name, file.schema.size(), {}};
  }
  bool holds(std::string_view name) const override { return held_.contains(std::string(name)); }
  void remove(std::string_view name) override { held_.erase(std::string(name)); }
  std::vector<ports::HeldContract> held(std::string_view) const override {
    std::vector<ports::HeldContract> held;
    for (const auto& [name, schema] : held_) held.push_back({name, schema.size(), {}});
    return held;
  }
  const char* objection(const core::Submission&) override { return nullptr; }
  std::string description() const override { return {}; }

 private:
  std::map<std::string, std::string> held_;
};

class RefusalsTest : public ::testing::Test {
 protected:
  RefusalsTest() : schema_(golden::schemas_folder()) {
    EXPECT_TRUE(broker().recover());
    for (const auto& message : golden::golden_messages(schema_)) good_[message.name] = message;
  }

  Broker& broker() {
    if (!broker_)
      broker_ = std::make_unique<Broker>(config_, store_, transport_, clock_, log_,
                                         std::array<std::uint8_t, 16>{1}, 7);
    return *broker_;
  }

  /// A peer with a session of that role; without one for "none".
  ports::PeerId peer(const std::string& role) {
    const bool works = role == "worker" || role == "agent" || role == "none_at_workers";
    const ports::PeerId id{works ? ports::Side::kWorkers : ports::Side::kProducers, ++routes_};
    if (!role.starts_with("none")) {
      transport_.put(id, good_.at("hello_" + role).envelope);
      settle();
    }
    return id;
  }

  void settle() {
    for (int i = 0; i < 6; ++i) broker().turn();
  }

  /// All that can be seen of the broker and its store.
  std::string everything() {
    const core::Engine::Counts c = broker().engine().counts();
    std::string text;
    for (const std::uint64_t count :
         {c.jobs, c.finished, c.leases, c.workers, c.groups, c.sessions, c.unstored_jobs,
          c.unstored_bytes, c.resident_bytes, c.stale_results})
      text += std::to_string(count) + " ";
    text += "batches " + std::to_string(broker().counters().batches);
    text += " stored " + std::to_string(store_.shelf().jobs().size());
    for (const auto& contract : contracts_.held("")) text += " holds " + contract.name;
    for (const auto& [name, schema] : store_.shelf().contracts()) text += " keeps " + name;
    return text + " sequence " + std::to_string(store_.shelf().sequence());
  }

  /// The code of the one answer to this message.
  std::string refusal_of(ports::PeerId from, const Buffer& envelope, const Buffer& blob) {
    transport_.sent.clear();
    transport_.put(from, envelope, blob);
    settle();
    if (transport_.sent.size() != 1) return std::to_string(transport_.sent.size()) + " answers";
    if (!(transport_.sent[0].to == from)) return "an answer to somebody else";
    if (transport_.sent[0].kind() != wire::Body::Refused) return "no refusal";
    const wire::Message& message = *wire::GetMessage(transport_.sent[0].envelope.data());
    return std::string(wire::name_of(static_cast<core::Code>(message.body_as_Refused()->code())));
  }

  /// The code of the one ContractReply to this.
  std::string contract_reply(ports::PeerId from, const std::string& command,
                             const std::string& schema = "") {
    transport_.sent.clear();
    transport_.put(
        from,
        schema_.message(R"({"body_type": "ContractCommand", "body": {"request": 5, "by": "ada", )" +
                        command + "}}"),
        {schema.begin(), schema.end()});
    settle();
    if (transport_.sent.size() != 1) return std::to_string(transport_.sent.size()) + " answers";
    const auto* reply =
        wire::GetMessage(transport_.sent[0].envelope.data())->body_as_ContractReply();
    if (!reply || reply->request() != 5) return "no reply";
    return std::string(wire::name_of(static_cast<core::Code>(reply->code())));
  }

  golden::Schema schema_;
  Contracts contracts_;
  std::map<std::string, golden::Golden> good_;
  BrokerConfig config_;
  memory::MemoryStore store_;
  Script transport_;
  Clock clock_;
  Silence log_;
  std::unique_ptr<Broker> broker_;
  std::uint64_t routes_ = 0;
};

TEST_F(RefusalsTest, EveryBadMessageIsAnsweredByItsCodeAndChangesNothing) {
  for (const auto& bad : golden::bad_messages(schema_)) {
    const ports::PeerId from = peer(bad.from);
    const std::string before = everything();
    EXPECT_EQ(refusal_of(from, bad.envelope, bad.blob), bad.code) << bad.name;
    EXPECT_EQ(everything(), before) << bad.name;
  }
}

TEST_F(RefusalsTest, WhatAStrangerSaysIsAnsweredByHelloFirstAndChangesNothing) {
  for (const auto& [name, message] : good_) {
    if (message.from == "broker" || name.starts_with("hello")) continue;
    const ports::PeerId from =
        peer(message.from == "worker" || message.from == "agent" ? "none_at_workers" : "none");
    const std::string before = everything();
    EXPECT_EQ(refusal_of(from, message.envelope, message.blob), "HelloFirst") << name;
    EXPECT_EQ(everything(), before) << name;
  }
}

TEST_F(RefusalsTest, OneSessionTooManyIsRefusedAsQuotaExceededAndChangesNothing) {
  broker_.reset();
  config_.max_sessions = 2;
  ASSERT_TRUE(broker().recover());
  peer("producer");
  peer("worker");
  const std::string before = everything();
  EXPECT_EQ(refusal_of({ports::Side::kProducers, 77}, good_.at("hello_producer").envelope, {}),
            "QuotaExceeded");
  EXPECT_EQ(everything(), before);
}

TEST_F(RefusalsTest, WhoDoesNotReadIsClosedAsSlowReaderAndToldOnceItReads) {
  const ports::PeerId slow = peer("producer");
  transport_.full = true;
  transport_.put(slow, good_.at("heartbeat_producer").envelope);
  settle();
  EXPECT_EQ(broker().engine().counts().sessions, 0U);
  const std::string before = everything();
  transport_.full = false;
  transport_.sent.clear();
  settle();
  ASSERT_EQ(transport_.sent.size(), 1U);
  const wire::Message& message = *wire::GetMessage(transport_.sent[0].envelope.data());
  ASSERT_EQ(message.body_type(), wire::Body::Refused);
  EXPECT_EQ(message.body_as_Refused()->code(), wire::Code::SlowReader);
  EXPECT_EQ(everything(), before);
}

constexpr const char* kPut =
    R"("action": "Put", "name": "shop", "schema_offset": 0, "schema_size": 4)";
constexpr const char* kRemove = R"("action": "Remove", "name": "shop")";

TEST_F(RefusalsTest, ContractsOfAFolderAreChangedByNobodyWhichIsNotPermitted) {
  const ports::PeerId to_one_without = peer("operator");
  EXPECT_EQ(contract_reply(to_one_without, kPut, "BFBS"), "NotPermitted") << "it checks nothing";
  broker_.reset();
  broker().use(contracts_, std::vector<ports::ContractFile>{{"shop", "BFBS"}});
  ASSERT_TRUE(broker().recover());
  const ports::PeerId from = peer("operator");
  const std::string before = everything();
  EXPECT_EQ(contract_reply(from, kPut, "BFBS"), "NotPermitted");
  EXPECT_EQ(contract_reply(from, kRemove), "NotPermitted");
  EXPECT_EQ(contract_reply(from, R"("action": "List")"), "Unspecified");
  EXPECT_EQ(everything(), before);
}

TEST_F(RefusalsTest, AContractIsHeldOnceItIsStoredAndABadOneChangesNothing) {
  broker_.reset();
  broker().use(contracts_, std::nullopt);
  ASSERT_TRUE(broker().recover());
  const ports::PeerId from = peer("operator");
  const std::string before = everything();
  EXPECT_EQ(contract_reply(from, kPut, "nope"), "InvalidArgument");
  EXPECT_EQ(contract_reply(from, R"("action": "Put", "name": "no name", "schema_size": 4)", "BFBS"),
            "InvalidName");
  EXPECT_EQ(contract_reply(from, kRemove), "Unspecified") << "it is removed already";
  EXPECT_EQ(everything(), before);
  EXPECT_EQ(contract_reply(from, kPut, "BFBS"), "Unspecified");
  EXPECT_TRUE(contracts_.holds("shop"));
  EXPECT_EQ(store_.shelf().contracts().at("shop"), "BFBS");

  store_.go_away(memory::MemoryStore::Away::kNow);
  settle();
  EXPECT_EQ(contract_reply(from, kRemove), "StoreUnavailable");
  EXPECT_TRUE(contracts_.holds("shop"));

  store_.come_back();
  settle();
  broker_.reset();
  contracts_.remove("shop");
  broker().use(contracts_, std::nullopt);
  ASSERT_TRUE(broker().recover());
  EXPECT_TRUE(contracts_.holds("shop")) << "a later broker has it from the store";
  EXPECT_EQ(contract_reply(peer("operator"), kRemove), "Unspecified");
  EXPECT_FALSE(contracts_.holds("shop"));
  EXPECT_TRUE(store_.shelf().contracts().empty());
}

}  // namespace
}  // namespace jobwire::runtime
