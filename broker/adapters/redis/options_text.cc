// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/options_text.h"

#include <array>
#include <charconv>

namespace jobwire::redis {
namespace {

constexpr std::array<std::string_view, 4> kBackoffs = {"none", "exponential", "fixed", "listed"};

template <typename Number>
void append_number(std::string& out, Number value) {
  char digits[32];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

void append_escaped(std::string& out, std::string_view text, bool header_name) {
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\\' || (header_name && c == '=')) out += '\\';
    out += c;
  }
}

std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      ++i;
      out += text[i] == 'n' ? '\n' : text[i];
    } else {
      out += text[i];
    }
  }
  return out;
}

template <typename Number>
bool read_number(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

bool read_millis(std::string_view text, core::Millis& out) {
  std::int64_t value = 0;
  if (!read_number(text, value)) return false;
  out = core::Millis(value);
  return true;
}

/// Cuts the text before the first `mark` off and returns it; all of it when there is none.
std::string_view cut(std::string_view& text, char mark) {
  const std::size_t at = text.find(mark);
  const std::string_view head = text.substr(0, at);
  text = at == std::string_view::npos ? std::string_view{} : text.substr(at + 1);
  return head;
}

bool read_backoff(std::string_view text, core::BackoffKind& out) {
  for (std::size_t i = 1; i < kBackoffs.size(); ++i) {
    if (kBackoffs[i] == text) {
      out = static_cast<core::BackoffKind>(i);
      return true;
    }
  }
  return false;
}

bool read_listed(std::string_view text, std::vector<core::Millis>& out) {
  while (!text.empty()) {
    if (!read_millis(cut(text, ','), out.emplace_back())) return false;
  }
  return true;
}

bool read_retry(std::string_view text, core::RetryPolicy& retry) {
  while (!text.empty()) {
    std::string_view value = cut(text, ' ');
    const std::string_view name = cut(value, '=');
    bool good = true;
    int jitter = 0;
    if (name == "attempts") {
      good = read_number(value, retry.attempts);
    } else if (name == "timeouts") {
      good = read_number(value, retry.timeouts);
    } else if (name == "crashes") {
      good = read_number(value, retry.crashes);
    } else if (name == "backoff") {
      good = read_backoff(value, retry.backoff);
    } else if (name == "base_ms") {
      good = read_millis(value, retry.base);
    } else if (name == "cap_ms") {
      good = read_millis(value, retry.cap);
    } else if (name == "factor") {
      good = read_number(value, retry.factor);
    } else if (name == "jitter") {
      good = read_number(value, jitter);
      retry.jitter = jitter != 0;
    } else if (name == "listed_ms") {
      good = read_listed(value, retry.listed);
    }
    if (!good) return false;
  }
  return true;
}

bool read_header(std::string_view text, core::JobOptions& options) {
  std::size_t at = 0;
  while (at < text.size() && text[at] != '=') at += text[at] == '\\' ? 2 : 1;
  if (at >= text.size()) return false;
  options.headers.emplace_back(unescaped(text.substr(0, at)), unescaped(text.substr(at + 1)));
  return true;
}

}  // namespace

std::string options_text(const core::JobOptions& options) {
  std::string out;
  const auto line = [&out](std::string_view name) { (out += name) += ' '; };
  if (!options.dedup_key.empty()) {
    line("dedup_key");
    append_escaped(out, options.dedup_key, false);
    out += '\n';
  }
  const auto number = [&](std::string_view name, auto value) {
    if (value == 0) return;
    line(name);
    append_number(out, value);
    out += '\n';
  };
  number("dedup_window_ms", options.dedup_window.count());
  number("contract", options.contract);
  number("result_ttl_ms", options.result_ttl.count());
  if (options.has_retry) {
    const core::RetryPolicy& retry = options.retry;
    out += "retry attempts=";
    append_number(out, retry.attempts);
    out += " timeouts=";
    append_number(out, retry.timeouts);
    out += " crashes=";
    append_number(out, retry.crashes);
    (out += " backoff=") += kBackoffs[static_cast<std::size_t>(retry.backoff)];
    out += " base_ms=";
    append_number(out, retry.base.count());
    out += " cap_ms=";
    append_number(out, retry.cap.count());
    out += " factor=";
    append_number(out, retry.factor);
    out += retry.jitter ? " jitter=1" : " jitter=0";
    for (std::size_t i = 0; i < retry.listed.size(); ++i) {
      out += i == 0 ? " listed_ms=" : ",";
      append_number(out, retry.listed[i].count());
    }
    out += '\n';
    for (const std::string& name : retry.fatal) {
      line("fatal");
      append_escaped(out, name, false);
      out += '\n';
    }
  }
  for (const auto& [name, value] : options.headers) {
    line("header");
    append_escaped(out, name, true);
    out += '=';
    append_escaped(out, value, false);
    out += '\n';
  }
  return out;
}

bool read_options(std::string_view text, core::JobOptions& options) {
  while (!text.empty()) {
    std::string_view value = cut(text, '\n');
    const std::string_view name = cut(value, ' ');
    bool good = true;
    if (name == "dedup_key") {
      options.dedup_key = unescaped(value);
    } else if (name == "dedup_window_ms") {
      good = read_millis(value, options.dedup_window);
    } else if (name == "contract") {
      good = read_number(value, options.contract);
    } else if (name == "result_ttl_ms") {
      good = read_millis(value, options.result_ttl);
    } else if (name == "retry") {
      options.has_retry = true;
      good = read_retry(value, options.retry);
    } else if (name == "fatal") {
      options.retry.fatal.push_back(unescaped(value));
    } else if (name == "header") {
      good = read_header(value, options);
    }
    if (!good) return false;
  }
  return true;
}

}  // namespace jobwire::redis
