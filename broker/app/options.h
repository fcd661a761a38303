// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "app/config.h"

namespace jobwire::app {

/// One thing that can be configured. Its name is the flag (--name), the key in the file (name = …)
/// and, in capitals with underscores, the environment variable (JOBWIRE_NAME). Its default is what
/// `print` makes of a fresh Config.
struct Option {
  std::string_view name;
  std::string_view group;
  std::string_view value;  // what --help calls the value; empty for a switch
  std::string_view help;
  /// Sets it; or returns what a right value looks like, with `config` unchanged.
  std::function<std::string(std::string_view text, Config& config)> parse;
  std::function<std::string(const Config& config)> print;
  /// Says what --help shows for a default that depends on the machine.
  std::string_view default_text = {};
  /// A wrong value is not repeated in the error: it may hold a password.
  bool secret = false;
};

/// The table, in the order of --help.
const std::vector<Option>& options();

/// "JOBWIRE_LISTEN_WORKERS" of "listen-workers".
std::string environment_name(std::string_view option);

}  // namespace jobwire::app
