// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ports/result.h"

namespace jobwire::redis {

/// Where a Redis listens and as whom to speak to it.
struct Endpoint {
  std::string unix_path;  // empty: TCP
  std::string host = "127.0.0.1";
  std::uint16_t port = 6379;
  std::string user;  // empty: the default user
  std::string password;
  int database = 0;

  /// Reads `redis://[[user]:password@]host[:port][/db]` or `unix:///path[?db=n]`, with %-escapes in
  /// user and password. Errors name the part that is wrong and never show the password.
  static ports::Result<Endpoint> parse(std::string_view url);

  /// For logs: without user and password.
  std::string to_string() const;
};

}  // namespace jobwire::redis
