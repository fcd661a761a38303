// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace jobwire::redis {

/// What an error reply means to us.
enum class ServerError : std::uint8_t {
  kFull,    // maxmemory is reached, nothing was written
  kAway,    // not now: loading, a replica, disk trouble, a cluster in motion
  kDenied,  // wrong password, or no permission
  kOther,
};

/// The one place where Redis's error texts are read; all else asks here.
ServerError classify(std::string_view error);

}  // namespace jobwire::redis
