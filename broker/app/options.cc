// SPDX-License-Identifier: Apache-2.0
#include "app/options.h"

#include <array>
#include <limits>
#include <type_traits>
#include <utility>

#include "adapters/redis/endpoint.h"
#include "adapters/redis/keys.h"
#include "app/text_value.h"

namespace jobwire::app {
namespace {

constexpr std::string_view kSockets = "Sockets";
constexpr std::string_view kStore = "Store";
constexpr std::string_view kProcess = "Process";
constexpr std::string_view kJobs = "Jobs (defaults for those that do not say)";
constexpr std::string_view kBounds = "Bounds";
constexpr std::string_view kRetention = "Retention of finished jobs, whichever comes first";
constexpr std::string_view kSessions = "Sessions";

// `field` gives the value's place in a Config, const or not.
template <typename Field>
Option text(std::string_view name, std::string_view group, std::string_view value,
            std::string_view help, Field field) {
  return {name,
          group,
          value,
          help,
          [field](std::string_view word, Config& config) {
            field(config) = word;
            return std::string();
          },
          [field](const Config& config) { return field(config); }};
}

template <typename Field>
Option number(std::string_view name, std::string_view group, std::string_view help,
              std::uint64_t least, std::uint64_t most, Field field) {
  return {name,
          group,
          "N",
          help,
          [field, least, most](std::string_view word, Config& config) {
            using Value = std::remove_reference_t<decltype(field(config))>;
            const auto value = parse_number(word);
            if (!value || *value < least || *value > most) {
              return "a number from " + std::to_string(least) + " to " + std::to_string(most);
            }
            field(config) = static_cast<Value>(*value);
            return std::string();
          },
          [field](const Config& config) { return std::to_string(field(config)); }};
}

template <typename Field>
Option bytes(std::string_view name, std::string_view group, std::string_view help,
             std::uint64_t least, std::uint64_t most, Field field) {
  return {name,
          group,
          "BYTES",
          help,
          [field, least, most](std::string_view word, Config& config) {
            using Value = std::remove_reference_t<decltype(field(config))>;
            const auto value = parse_bytes(word);
            if (!value || *value < least || *value > most) {
              return "bytes from " + print_bytes(least) + " to " + print_bytes(most) +
                     ", like 512MiB";
            }
            field(config) = static_cast<Value>(*value);
            return std::string();
          },
          [field](const Config& config) { return print_bytes(field(config)); }};
}

template <typename Field>
Option span(std::string_view name, std::string_view group, std::string_view help,
            core::Millis least, core::Millis most, Field field) {
  return {name,
          group,
          "TIME",
          help,
          [field, least, most](std::string_view word, Config& config) {
            const auto value = parse_span(word);
            if (!value || *value < least || *value > most) {
              return "a time from " + print_span(least) + " to " + print_span(most) + ", like 30s";
            }
            field(config) = *value;
            return std::string();
          },
          [field](const Config& config) { return print_span(field(config)); }};
}

template <typename Value, std::size_t N, typename Field>
Option choice(std::string_view name, std::string_view group, std::string_view value,
              std::string_view help, const std::array<std::pair<std::string_view, Value>, N>& words,
              Field field) {
  return {name,
          group,
          value,
          help,
          [field, words](std::string_view word, Config& config) {
            std::string all;
            for (const auto& [known, meaning] : words) {
              if (word == known) {
                field(config) = meaning;
                return std::string();
              }
              all += (all.empty() ? "" : ", ") + std::string(known);
            }
            return "one of " + all;
          },
          [field, words](const Config& config) {
            for (const auto& [known, meaning] : words) {
              if (field(config) == meaning) return std::string(known);
            }
            return std::string("?");
          }};
}

Option insecure() {
  return {"insecure",
          kSockets,
          "",
          "Listen where other machines can connect although there are no keys",
          [](std::string_view word, Config& config) {
            const auto value = parse_bool(word);
            if (!value) return std::string("true or false");
            config.insecure = *value;
            return std::string();
          },
          [](const Config& config) { return std::string(config.insecure ? "true" : "false"); }};
}

Option redis() {
  return {
      "redis",
      kStore,
      "URL",
      "redis://[user:password@]host:port/db or unix:///path; left out, a private one is started",
      [](std::string_view word, Config& config) {
        if (!word.empty()) {
          const auto endpoint = redis::Endpoint::parse(word);
          if (!endpoint) return "a Redis URL (" + endpoint.failure().message + ")";
        }
        config.redis = word;
        return std::string();
      },
      // Without the password: this is printed.
      [](const Config& config) {
        auto endpoint = redis::Endpoint::parse(config.redis);
        return config.redis.empty() || !endpoint ? std::string() : endpoint->to_string();
      },
      {},
      true};
}

Option shard() {
  return {"shard",
          kStore,
          "NAME",
          "Which part of the keys in Redis is this broker's",
          [](std::string_view word, Config& config) {
            if (!redis::Keys::valid_shard(word)) return std::string("letters and digits");
            config.shard = word;
            return std::string();
          },
          [](const Config& config) { return config.shard; }};
}

std::vector<Option> make_options() {
  using core::Millis;
  constexpr Millis kDay{86'400'000};
  constexpr Millis kSecond{1000};
  constexpr std::uint64_t kU32 = std::numeric_limits<std::uint32_t>::max();
  constexpr std::uint64_t kMost = 1ULL << 50;
  constexpr std::array<std::pair<std::string_view, Aof>, 3> kAofs = {
      {{"always", Aof::kAlways}, {"everysec", Aof::kEverysec}, {"no", Aof::kNo}}};
  constexpr std::array<std::pair<std::string_view, log::Format>, 2> kFormats = {
      {{"text", log::Format::kText}, {"json", log::Format::kJson}}};
  constexpr std::array<std::pair<std::string_view, ports::Level>, 4> kLevels = {
      {{"debug", ports::Level::kDebug},
       {"info", ports::Level::kInfo},
       {"warning", ports::Level::kWarning},
       {"error", ports::Level::kError}}};
  // clang-format off
  std::vector<Option> table;
  const auto add = [&](Option option) { table.push_back(std::move(option)); };

  add(text("listen", kSockets, "ENDPOINT", "For producers; port * takes a free one", [](auto& c) -> auto& { return c.listen; }));
  add(text("listen-workers", kSockets, "ENDPOINT", "For workers and host agents", [](auto& c) -> auto& { return c.listen_workers; }));
  add(insecure());
  add(number("send-queue", kSockets, "Messages that may wait for one peer; one more closes its session", 16, 1'000'000, [](auto& c) -> auto& { return c.send_queue; }));
  add(bytes("send-bytes", kSockets, "... and their bytes", 1ULL << 20, kMost, [](auto& c) -> auto& { return c.send_bytes; }));
  add(bytes("send-total-bytes", kSockets, "... and those that wait for all peers", 1ULL << 20, kMost, [](auto& c) -> auto& { return c.send_total_bytes; }));

  add(text("data-dir", kStore, "FOLDER", "Where the private Redis keeps its files", [](auto& c) -> auto& { return c.data_dir; }));
  table.back().default_text = "${XDG_STATE_HOME:-~/.local/state}/jobwire";
  add(redis());
  add(choice("aof", kStore, "WHEN", "When the private Redis makes its log durable: always, everysec, no", kAofs, [](auto& c) -> auto& { return c.aof; }));
  add(bytes("redis-memory", kStore, "Most memory of the private Redis, 0 for no limit; beyond it jobs are refused", 0, kMost, [](auto& c) -> auto& { return c.redis_memory; }));
  add(bytes("redis-reserve", kStore, "Free memory of a Redis with a limit that is kept for results and removals; 0 is a twentieth, at least 64MiB, at most half", 0, kMost, [](auto& c) -> auto& { return c.redis_reserve; }));
  add(shard());

  add(choice("log-format", kProcess, "FORMAT", "text or json, one line each, on stderr", kFormats, [](auto& c) -> auto& { return c.log_format; }));
  add(choice("log-level", kProcess, "LEVEL", "The least that is written: debug, info, warning, error", kLevels, [](auto& c) -> auto& { return c.log_level; }));
  add(text("ready-file", kProcess, "FILE", "Written once serving: a JSON object with pid, listen, listen_workers and redis", [](auto& c) -> auto& { return c.ready_file; }));
  add(bytes("memory-limit", kProcess, "End this process rather than let it grow beyond this; 0 is no limit", 0, kMost, [](auto& c) -> auto& { return c.memory_limit; }));
  add(span("shutdown-deadline", kProcess, "How long SIGTERM waits for what was taken to be stored", Millis{0}, Millis{600'000}, [](auto& c) -> auto& { return c.broker.shutdown_deadline; }));

  add(span("timeout", kJobs, "One attempt's run time", Millis{1}, 7 * kDay, [](auto& c) -> auto& { return c.broker.engine.default_timeout; }));
  add(text("contracts", kJobs, "FOLDER", "Check payloads by the contracts (*.bfbs) in it, from now on: they are kept in Redis", [](auto& c) -> auto& { return c.contracts; }));
  add(number("attempts", kJobs, "A job is dead when so many attempts raised", 1, 100, [](auto& c) -> auto& { return c.broker.engine.retry.attempts; }));
  add(number("timeouts", kJobs, "... when so many ran out of time", 1, 100, [](auto& c) -> auto& { return c.broker.engine.retry.timeouts; }));
  add(number("crashes", kJobs, "... when its worker died in so many", 1, 100, [](auto& c) -> auto& { return c.broker.engine.retry.crashes; }));
  add(span("backoff-base", kJobs, "Wait before the second attempt, doubled for each one after", Millis{1}, kDay, [](auto& c) -> auto& { return c.broker.engine.retry.base; }));
  add(span("backoff-cap", kJobs, "Longest wait between attempts", Millis{1}, 366 * kDay, [](auto& c) -> auto& { return c.broker.engine.retry.cap; }));

  add(number("max-queues", kBounds, "Queues", 1, 1'000'000, [](auto& c) -> auto& { return c.broker.engine.max_queues; }));
  add(number("max-queue-jobs", kBounds, "Jobs waiting in one queue", 1, kMost, [](auto& c) -> auto& { return c.broker.engine.max_queue_jobs; }));
  add(bytes("max-queue-bytes", kBounds, "Payloads waiting in one queue", 1, kMost, [](auto& c) -> auto& { return c.broker.engine.max_queue_bytes; }));
  add(number("max-unstored-jobs", kBounds, "Jobs taken and not yet stored, of all producers", 1, kU32, [](auto& c) -> auto& { return c.broker.engine.max_unstored_jobs; }));
  add(bytes("max-unstored-bytes", kBounds, "... and their payloads", 1, kMost, [](auto& c) -> auto& { return c.broker.engine.max_unstored_bytes; }));
  add(bytes("payload-memory", kBounds, "Payloads of waiting jobs kept in memory; the rest is read back from Redis in time", 0, kMost, [](auto& c) -> auto& { return c.broker.engine.payload_budget; }));
  add(bytes("max-payload-bytes", kBounds, "One payload, one result", 1, 1ULL << 30, [](auto& c) -> auto& { return c.broker.limits.max_payload_bytes; }));
  add(bytes("max-message-bytes", kBounds, "One frame", 1ULL << 20, 1ULL << 31, [](auto& c) -> auto& { return c.broker.limits.max_message_bytes; }));
  add(bytes("max-error-bytes", kBounds, "One error with its frames", 1024, 1ULL << 20, [](auto& c) -> auto& { return c.broker.limits.max_error_bytes; }));
  add(number("max-jobs-per-message", kBounds, "Jobs in one message", 1, 4096, [](auto& c) -> auto& { return c.broker.limits.max_jobs_per_message; }));
  add(number("window-jobs", kBounds, "Jobs of one producer that wait for their receipts", 1, kU32, [](auto& c) -> auto& { return c.broker.engine.window_jobs; }));
  add(bytes("window-bytes", kBounds, "... and their payloads", 1, kMost, [](auto& c) -> auto& { return c.broker.engine.window_bytes; }));
  add(number("max-sessions", kBounds, "Peers at the same time", 1, 1'000'000, [](auto& c) -> auto& { return c.broker.max_sessions; }));

  add(span("keep-finished", kRetention, "Jobs that succeeded, expired or were cancelled", Millis{0}, 366 * kDay, [](auto& c) -> auto& { return c.broker.engine.keep_finished; }));
  add(number("keep-finished-jobs", kRetention, "... per queue", 0, kMost, [](auto& c) -> auto& { return c.broker.engine.keep_finished_jobs; }));
  add(bytes("keep-finished-bytes", kRetention, "... per queue", 0, kMost, [](auto& c) -> auto& { return c.broker.engine.keep_finished_bytes; }));
  add(span("keep-dead", kRetention, "Dead jobs", Millis{0}, 3660 * kDay, [](auto& c) -> auto& { return c.broker.engine.keep_dead; }));
  add(number("keep-dead-jobs", kRetention, "... per queue", 0, kMost, [](auto& c) -> auto& { return c.broker.engine.keep_dead_jobs; }));

  add(span("heartbeat", kSessions, "How often host agents report; a host is lost after 2 of these and 1s", Millis{100}, 60 * kSecond, [](auto& c) -> auto& { return c.broker.engine.heartbeat; }));
  add(span("session-timeout", kSessions, "Silence after which a producer's session is forgotten", kSecond, kDay, [](auto& c) -> auto& { return c.broker.engine.session_timeout; }));
  add(span("adoption-window", kSessions, "How long a new broker waits for workers to report what they run", Millis{0}, 600 * kSecond, [](auto& c) -> auto& { return c.broker.engine.adoption_window; }));
  // clang-format on
  return table;
}

}  // namespace

const std::vector<Option>& options() {
  static const std::vector<Option> table = make_options();
  return table;
}

std::string environment_name(std::string_view option) {
  std::string name = "JOBWIRE_";
  for (const char c : option)
    name += c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return name;
}

}  // namespace jobwire::app
