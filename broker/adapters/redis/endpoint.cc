// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/endpoint.h"

#include <charconv>

namespace jobwire::redis {
namespace {

ports::Failure wrong(const std::string& what) {
  return {
      "redis URL: " + what + " (expected redis://[user:password@]host[:port][/db] or unix:///path)",
      false};
}

bool unescape(std::string_view text, std::string& out) {
  out.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    unsigned value = 0;
    if (i + 2 >= text.size()) return false;
    const char* digits = text.data() + i + 1;
    if (std::from_chars(digits, digits + 2, value, 16).ptr != digits + 2) return false;
    out.push_back(static_cast<char>(value));
    i += 2;
  }
  return true;
}

template <typename Number>
bool parse_number(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

bool parse_database(std::string_view text, int& out) { return parse_number(text, out) && out >= 0; }

}  // namespace

ports::Result<Endpoint> Endpoint::parse(std::string_view url) {
  Endpoint endpoint;
  if (url.starts_with("unix://")) {
    url.remove_prefix(7);
    const std::size_t question = url.find('?');
    if (question != std::string_view::npos) {
      const std::string_view query = url.substr(question + 1);
      if (!query.starts_with("db=") || !parse_database(query.substr(3), endpoint.database))
        return wrong("after '?' only db=<number> is known");
      url = url.substr(0, question);
    }
    if (!url.starts_with('/')) return wrong("the socket's path is not absolute");
    endpoint.unix_path = url;
    return endpoint;
  }
  if (!url.starts_with("redis://"))
    return wrong(url.starts_with("rediss://") ? "TLS is not supported" : "unknown scheme");
  url.remove_prefix(8);
  const std::size_t slash = url.find('/');
  if (slash != std::string_view::npos) {
    const std::string_view database = url.substr(slash + 1);
    if (!database.empty() && !parse_database(database, endpoint.database))
      return wrong("the database is not a number");
    url = url.substr(0, slash);
  }
  const std::size_t at = url.rfind('@');
  if (at != std::string_view::npos) {
    const std::string_view login = url.substr(0, at);
    const std::size_t colon = login.find(':');
    if (colon == std::string_view::npos) return wrong("no ':' between user and password");
    if (!unescape(login.substr(0, colon), endpoint.user) ||
        !unescape(login.substr(colon + 1), endpoint.password))
      return wrong("bad %-escape in user or password");
    url.remove_prefix(at + 1);
  }
  std::string_view port;
  if (url.starts_with('[')) {
    const std::size_t end = url.find(']');
    if (end == std::string_view::npos) return wrong("no ']' after the address");
    endpoint.host = url.substr(1, end - 1);
    port = url.substr(end + 1);
    if (!port.empty() && port[0] != ':') return wrong("the port is not a number");
    if (!port.empty()) port.remove_prefix(1);
  } else {
    const std::size_t colon = url.find(':');
    endpoint.host = url.substr(0, colon);
    if (colon != std::string_view::npos) port = url.substr(colon + 1);
  }
  if (endpoint.host.empty()) return wrong("no host");
  if (!port.empty() && (!parse_number(port, endpoint.port) || endpoint.port == 0))
    return wrong("the port is not a number from 1 to 65535");
  return endpoint;
}

std::string Endpoint::to_string() const {
  const bool six = host.find(':') != std::string::npos;
  std::string text = !unix_path.empty() ? "unix://" + unix_path
                                        : "redis://" + (six ? "[" + host + "]" : host) + ":" +
                                              std::to_string(port);
  if (database != 0) text += (unix_path.empty() ? "/" : "?db=") + std::to_string(database);
  return text;
}

}  // namespace jobwire::redis
