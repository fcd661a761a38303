// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <string>
#include <thread>

namespace jobwire::testing {

/// Stands between a store and its Redis, on a unix socket, and cuts the line where a test wants it.
class SocketProxy {
 public:
  enum class Cut : int {
    kNone,
    kRequests,  // what the store sends next is lost, and the line with it
    kReplies,   // what it sends arrives; what is answered is lost, and the line with it
    kAll,       // and nobody gets through
    kHold,      // what the next line to speak sends is held back, even when its store hangs up
  };

  SocketProxy(std::string listen, std::string target);
  ~SocketProxy();
  SocketProxy(const SocketProxy&) = delete;
  SocketProxy& operator=(const SocketProxy&) = delete;

  /// After a cut of requests or replies the proxy lets nobody through until this is set to kNone.
  void cut(Cut what) { cut_ = what; }
  /// Delivers what was held back, as a frozen Redis would read it at last, and waits for the
  /// answer.
  void release();
  std::string url() const { return "unix://" + listen_; }

 private:
  void run();

  std::string listen_;
  std::string target_;
  std::atomic<Cut> cut_{Cut::kNone};
  std::atomic<bool> stop_{false};
  std::atomic<bool> release_{false};
  std::atomic<bool> answered_{false};
  int listener_ = -1;
  std::thread thread_;
};

}  // namespace jobwire::testing
