// SPDX-License-Identifier: Apache-2.0
#include "endpoints.h"

#include <charconv>
#include <cstdint>

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {
namespace {

constexpr std::size_t kLongestIpcPath = 107;  // sockaddr_un

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

bool is_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port > 0;
}

bool is_endpoint(std::string_view text) {
  constexpr std::string_view kTcp = "tcp://";
  constexpr std::string_view kIpc = "ipc://";
  if (text.starts_with(kIpc)) {
    text.remove_prefix(kIpc.size());
    return !text.empty() && text.size() <= kLongestIpcPath;
  }
  if (!text.starts_with(kTcp)) return false;
  text.remove_prefix(kTcp.size());
  const std::size_t colon = text.rfind(':');
  return colon != std::string_view::npos && colon > 0 && is_port(text.substr(colon + 1));
}

}  // namespace

Result<std::vector<std::string>> parse_endpoints(std::string_view list) {
  std::vector<std::string> endpoints;
  while (true) {
    const std::size_t comma = list.find(',');
    const std::string_view one = trim(list.substr(0, comma));
    if (!is_endpoint(one)) {
      return Error(ErrorCode::InvalidArgument, "endpoint \"" + std::string(one) +
                                                   "\" is neither tcp://host:port nor ipc://path");
    }
    endpoints.emplace_back(one);
    if (comma == std::string_view::npos) return endpoints;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
