// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/server_error.h"

#include <array>

namespace jobwire::redis {

ServerError classify(std::string_view error) {
  struct Known {
    std::string_view start;
    ServerError meaning;
  };
  // MISCONF: the AOF or the dump cannot be written, so Redis takes no writes until it can.
  static constexpr std::array kKnown = {
      Known{"OOM ", ServerError::kFull},
      Known{"LOADING ", ServerError::kAway},
      Known{"READONLY ", ServerError::kAway},
      Known{"MASTERDOWN ", ServerError::kAway},
      Known{"CLUSTERDOWN ", ServerError::kAway},
      Known{"TRYAGAIN ", ServerError::kAway},
      Known{"MOVED ", ServerError::kAway},
      Known{"ASK ", ServerError::kAway},
      Known{"MISCONF ", ServerError::kAway},
      Known{"NOREPLICAS ", ServerError::kAway},
      Known{"BUSY ", ServerError::kAway},
      Known{"UNBLOCKED ", ServerError::kAway},
      Known{"ERR max number", ServerError::kAway},
      Known{"WRONGPASS ", ServerError::kDenied},
      Known{"NOAUTH ", ServerError::kDenied},
      Known{"NOPERM ", ServerError::kDenied},
      Known{"DENIED ", ServerError::kDenied},
      Known{"ERR invalid password", ServerError::kDenied},
  };
  // What a transaction says in the end names the first cause after this.
  constexpr std::string_view kAborted = "EXECABORT Transaction discarded because of: ";
  if (error.starts_with(kAborted)) error.remove_prefix(kAborted.size());
  for (const Known& known : kKnown) {
    if (error.starts_with(known.start)) return known.meaning;
  }
  return ServerError::kOther;
}

}  // namespace jobwire::redis
