// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>

#include "core/ids.h"
#include "sim/agenda.h"

namespace jobwire::sim {

/// A rule of the system is broken. Ends the run.
class Violation : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What happened, as a hash: the same seed must give the same one. With `loud` also as lines.
class Trace {
 public:
  Trace(const Agenda& agenda, bool loud) : agenda_(agenda), loud_(loud) {}

  void note(const char* what, std::uint64_t a = 0, std::uint64_t b = 0, std::uint64_t c = 0) {
    for (const char* p = what; *p != 0; ++p) mix(static_cast<std::uint8_t>(*p));
    mix(static_cast<std::uint64_t>(agenda_.steady().time_since_epoch().count()));
    mix(a);
    mix(b);
    mix(c);
    ++notes_;
    if (!loud_) return;
    std::printf("%10.4f %-28s %llx %llx %llx\n",
                static_cast<double>(agenda_.steady().time_since_epoch().count()) / 1e6 - 1000, what,
                static_cast<unsigned long long>(a), static_cast<unsigned long long>(b),
                static_cast<unsigned long long>(c));
  }
  void line(const std::string& text) {
    if (loud_)
      std::printf("%10.4f   %s\n",
                  static_cast<double>(agenda_.steady().time_since_epoch().count()) / 1e6 - 1000,
                  text.c_str());
  }

  std::uint64_t hash() const { return hash_; }
  std::uint64_t notes() const { return notes_; }
  bool loud() const { return loud_; }

 private:
  void mix(std::uint64_t value) { hash_ = (hash_ ^ value) * 0x100000001b3ULL ^ (hash_ >> 29); }

  const Agenda& agenda_;
  bool loud_;
  std::uint64_t hash_ = 0xcbf29ce484222325ULL;
  std::uint64_t notes_ = 0;
};

}  // namespace jobwire::sim
