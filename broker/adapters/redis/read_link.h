// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "adapters/redis/backoff.h"
#include "adapters/redis/command_buffer.h"
#include "adapters/redis/connection.h"
#include "adapters/redis/keys.h"
#include "adapters/redis/redis_options.h"
#include "ports/store.h"

namespace jobwire::redis {

/// The connection that answers questions, apart from the one that commits, so that a big answer
/// does not hold up a commit. Questions wait while it is down and are asked again from their start
/// when it is back: reading twice does no harm. It tells nobody that it is down: the commits' own
/// connection does.
class ReadLink {
 public:
  ReadLink(const RedisOptions& options, const Keys& keys);

  /// False when options.most_reads questions wait already.
  bool ask(ports::ReadRequest request);
  bool ask(ports::ScanRequest request);
  void poll(core::Steady now, std::vector<ports::StoreEvent>& events);
  void descriptors(std::vector<pollfd>& out) const;
  std::optional<core::Steady> deadline() const;
  /// Gives up for good, with all that waits.
  void end();

  /// Blocking, for recovery: connects when needed. Failures may be tried again.
  ports::Status call(std::string_view bytes, std::size_t replies,
                     const std::function<void(const Reply&)>& on_reply);

 private:
  struct Question {
    ports::ReadRequest request;
    std::size_t asked = 0;
    std::deque<ports::StoredJob> jobs;
    /// A page of an index: first its entries, which become the ids, then as any question.
    std::optional<ports::ScanRequest> scan;
    bool listed = false;
    bool listing = false;           // asked for
    std::size_t passed = 0;         // entries at the front that the page before had
    std::vector<core::Wall> times;  // of the ids, in the index
    bool last = false;
  };

  void start();
  void greet();
  void ask_more();
  std::size_t window() const;
  bool on_reply(const Reply& reply);
  void list(Question& question, CommandBuffer& out) const;
  void take_list(Question& question, const Reply& reply) const;
  void finish_front();
  void lost();

  const RedisOptions& options_;
  const Keys& keys_;
  Connection connection_;
  Backoff backoff_;
  std::deque<Question> questions_;
  std::size_t asked_whole_ = 0;  // questions at the front all of whose commands have been sent
  std::size_t under_way_ = 0;    // commands without a reply yet
  std::size_t usual_bytes_ = 1U << 20;  // of a reply: the largest of late, sinking slowly
  std::size_t login_left_ = 0;
  bool greeted_ = false;
  bool ended_ = false;
  std::string sending_;
  core::Steady now_{};
  core::Steady until_{};
  bool until_is_fresh_ = false;
  std::vector<ports::StoreEvent>* events_ = nullptr;
};

}  // namespace jobwire::redis
