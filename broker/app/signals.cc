// SPDX-License-Identifier: Apache-2.0
#include "app/signals.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>

namespace jobwire::app {

StopSignals::StopSignals() : descriptor_(-1) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  if (pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0)
    descriptor_ = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  if (descriptor_ < 0) throw std::runtime_error("no descriptor for signals");
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGHUP, SIG_IGN);
}

StopSignals::~StopSignals() { close(descriptor_); }

int StopSignals::count() {
  signalfd_siginfo signal;
  while (read(descriptor_, &signal, sizeof signal) == static_cast<ssize_t>(sizeof signal)) ++count_;
  return count_;
}

void StopSignals::wait(core::Millis limit) const {
  pollfd polled{descriptor_, POLLIN, 0};
  poll(&polled, 1, static_cast<int>(limit.count()));
}

}  // namespace jobwire::app
