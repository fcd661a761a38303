// SPDX-License-Identifier: Apache-2.0
#include "adapters/zmq/endpoint.h"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

namespace jobwire::zmq_adapter {
namespace {

constexpr std::string_view kTcp = "tcp://";

std::string_view host_of(std::string_view endpoint) {
  const std::string_view address = endpoint.substr(kTcp.size());
  return address.substr(0, address.rfind(':'));
}

bool is_ipv4_loopback(std::string_view host) {
  // 127.a.b.c, and nothing that only begins so: "127.example.org" is a name.
  if (!host.starts_with("127.")) return false;
  int dots = 0;
  for (const char c : host) {
    if (c == '.') {
      ++dots;
    } else if (c < '0' || c > '9') {
      return false;
    }
  }
  return dots == 3;
}

// Socket inodes that listen on the port, from one of the kernel's tables.
void listening_inodes(const char* table, std::uint16_t port, std::vector<std::string>& inodes) {
  std::ifstream file(table);
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string slot, local, remote, state, queues, timer, retransmits, uid, timeout, inode;
    fields >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> uid >>
        timeout >> inode;
    if (state != "0A") continue;  // TCP_LISTEN
    const auto colon = local.rfind(':');
    unsigned value = 0;
    const char* end = local.data() + local.size();
    if (colon == std::string::npos ||
        std::from_chars(local.data() + colon + 1, end, value, 16).ptr != end)
      continue;
    if (value == port) inodes.push_back("socket:[" + inode + "]");
  }
}

bool holds(const std::filesystem::path& process, const std::vector<std::string>& inodes) {
  std::error_code error;
  for (const auto& descriptor : std::filesystem::directory_iterator(process / "fd", error)) {
    const std::string target = std::filesystem::read_symlink(descriptor.path(), error).string();
    for (const std::string& inode : inodes) {
      if (target == inode) return true;
    }
  }
  return false;
}

}  // namespace

bool is_local(std::string_view endpoint) {
  if (endpoint.starts_with("ipc://")) return true;
  if (!endpoint.starts_with(kTcp)) return false;
  const std::string_view host = host_of(endpoint);
  return host == "localhost" || host == "lo" || host == "[::1]" || is_ipv4_loopback(host);
}

std::uint16_t port_of(std::string_view endpoint) {
  const auto colon = endpoint.rfind(':');
  if (!endpoint.starts_with(kTcp) || colon == std::string_view::npos) return 0;
  std::uint16_t port = 0;
  const char* end = endpoint.data() + endpoint.size();
  const auto parsed = std::from_chars(endpoint.data() + colon + 1, end, port);
  return parsed.ec == std::errc{} && parsed.ptr == end ? port : std::uint16_t{0};
}

std::string listener_of(std::uint16_t port) {
  std::vector<std::string> inodes;
  listening_inodes("/proc/net/tcp", port, inodes);
  listening_inodes("/proc/net/tcp6", port, inodes);
  if (inodes.empty()) return {};
  std::error_code error;
  for (const auto& process : std::filesystem::directory_iterator("/proc", error)) {
    const std::string pid = process.path().filename().string();
    if (pid.find_first_not_of("0123456789") != std::string::npos || !holds(process.path(), inodes))
      continue;
    std::string name;
    std::getline(std::ifstream(process.path() / "comm") >> std::ws, name);
    return "pid " + pid + " (" + name + ")";
  }
  return {};
}

}  // namespace jobwire::zmq_adapter
