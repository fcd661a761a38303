// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "core/control.h"
#include "ports/store.h"
#include "wire/decoder.h"
#include "wire/encoder.h"

namespace jobwire::runtime {

/// Reads dead jobs from the store: pages for operators, and what the engine's sweeps walk over. One
/// step at a time: a part of an index, and for a full page the jobs that it is made of. One thread.
class DeadReader {
 public:
  explicit DeadReader(ports::Store& store) : store_(store) {}

  /// A page; `queues` are all there are, by name. Too many at once are refused in pages().
  void ask(const wire::DeadQueryIn& query, const std::vector<std::string>& queues);
  /// For a sweep.
  void ask(core::DeadScanOut scan);

  /// Gives the store what it would not take before.
  void start();
  /// The store was away: what it was asked is asked again.
  void ask_again();

  using Feed = std::function<void(const core::DeadScanned&)>;
  /// False when the answer is not to a question of this reader. A sweep's answer goes to `feed`.
  bool take(ports::ScanDone& done, const Feed& feed);
  bool take(ports::ReadDone& done, const Feed& feed);

  /// What is to be sent; the caller empties it.
  std::vector<wire::DeadPageOut>& pages() { return pages_; }

 private:
  /// One operator's question, and how far it has come.
  struct Query {
    wire::DeadQueryIn asked;
    std::vector<std::string> queues;  // still to walk, the next one last
    core::IndexPlace place;
    std::size_t looked = 0;
    std::deque<ports::StoredJob> found;
    std::string next;  // once the walk has ended early
    bool reading = false;
  };
  using Owner = std::variant<Query, core::DeadScanOut>;
  using Request = std::variant<ports::ScanRequest, ports::ReadRequest>;
  struct Step {
    Request request;
    Owner owner;
  };

  void go(Step step);
  bool give(const Request& request);
  void walk_on(Query query);
  void finish_walk(Query query);
  void answer(Query& query, std::deque<ports::StoredJob> jobs);
  void refuse(const Query& query, core::Code code, const char* message);
  void feed_sweep(const core::DeadScanOut& scan, std::deque<ports::StoredJob>& jobs,
                  core::IndexPlace end, bool last, const Feed& feed);

  ports::Store& store_;
  std::unordered_map<std::uint64_t, Step> asked_;
  std::vector<Step> waiting_;
  std::uint64_t last_tag_ = 0;
  std::vector<wire::DeadPageOut> pages_;
};

}  // namespace jobwire::runtime
