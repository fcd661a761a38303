// SPDX-License-Identifier: Apache-2.0
#include "app/config.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <CLI/CLI.hpp>
#include <map>

#include "adapters/log/line.h"
#include "adapters/zmq/endpoint.h"
#include "app/options.h"
#include "app/text_value.h"

namespace jobwire::app {
namespace {

using ports::Failure;
using ports::Result;
using ports::Status;

constexpr const char* kVersion = JOBWIRE_VERSION;

// What was said about the options, by name.
using Words = std::map<std::string, std::string, std::less<>>;

struct Flags {
  Words words;
  std::string config_file;
  bool check = false;
  bool version = false;
  bool help = false;
  std::string help_text;
};

std::string near_hint(std::string_view word, std::string_view prefix) {
  std::vector<std::string_view> names;
  for (const Option& option : options()) names.push_back(option.name);
  const std::string_view name = nearest(word, names);
  return name.empty() ? "" : fmt::format("; did you mean {}{}?", prefix, name);
}

Result<Flags> read_flags(const std::vector<std::string>& arguments) {
  CLI::App app{
      "The jobwire broker: takes jobs from producers, keeps them in Redis, hands them to Python "
      "workers.",
      "jobwired"};
  app.footer(
      "Every option but the first ones can also be set in the configuration file (name = value) "
      "and in the environment\n"
      "(JOBWIRE_NAME, with _ for -). Flags win over the environment, the environment over the "
      "file.\n"
      "Ends with 0 when asked to stop; 2: configuration, port or data folder; 3: another broker "
      "has the shard;\n"
      "4: the store lost what was promised.");
  app.allow_extras();
  app.set_help_flag();
  Flags flags;
  app.add_flag("-h,--help", flags.help, "Print this and leave");
  app.add_flag("--version", flags.version, "Print the version and leave");
  app.add_flag("--check-config", flags.check,
               "Print the effective configuration, with the source of each value, and leave");
  app.add_option("--config", flags.config_file, "Configuration file, TOML; also JOBWIRE_CONFIG")
      ->type_name("FILE");
  const Config defaults;
  std::vector<std::string> words(options().size());
  bool insecure = false;
  for (std::size_t i = 0; i < options().size(); ++i) {
    const Option& option = options()[i];
    const std::string flag = "--" + std::string(option.name);
    if (option.value.empty()) {
      app.add_flag(flag, insecure, std::string(option.help))->group(std::string(option.group));
      continue;
    }
    const std::string shown(option.default_text.empty() ? option.print(defaults)
                                                        : option.default_text);
    app.add_option(flag, words[i], std::string(option.help))
        ->group(std::string(option.group))
        ->type_name(std::string(option.value))
        ->default_str(shown)
        ->take_last();
  }
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app.parse(std::move(reversed));
  } catch (const CLI::ParseError& error) {
    return Failure{error.what(), false};
  }
  if (const auto extras = app.remaining(); !extras.empty()) {
    std::string_view word = extras.front();
    if (!word.starts_with("--"))
      return Failure{fmt::format("{} is not expected here; see --help", word), false};
    word =
        word.substr(2, word.find('=') == std::string_view::npos ? word.npos : word.find('=') - 2);
    return Failure{fmt::format("no option --{}{}", word, near_hint(word, "--")), false};
  }
  for (std::size_t i = 0; i < options().size(); ++i) {
    const std::string name(options()[i].name);
    if (app.count("--" + name) == 0) continue;
    flags.words[name] = options()[i].value.empty() ? (insecure ? "true" : "false") : words[i];
  }
  flags.help_text = app.help();
  return flags;
}

Result<std::string> word_of(const toml::node& value) {
  if (const auto text = value.value_exact<std::string>()) return *text;
  if (const auto number = value.value_exact<std::int64_t>()) return std::to_string(*number);
  if (const auto truth = value.value_exact<bool>()) return std::string(*truth ? "true" : "false");
  return Failure{"is not a string, a whole number, true or false", false};
}

Result<Words> read_file(const std::string& path) {
  toml::table table;
  try {
    table = toml::parse_file(path);
  } catch (const toml::parse_error& error) {
    const auto line = error.source().begin.line;
    return Failure{
        fmt::format("{}{}: {}", path, line ? fmt::format(":{}", line) : "", error.description()),
        false};
  }
  Words words;
  for (const auto& [key, value] : table) {
    const std::string_view name = key.str();
    bool known = false;
    for (const Option& option : options()) known |= option.name == name;
    const auto line = key.source().begin.line;
    if (!known)
      return Failure{fmt::format("{}:{}: no option {}{}", path, line, name, near_hint(name, "")),
                     false};
    auto word = word_of(value);
    if (!word)
      return Failure{fmt::format("{}:{}: {} {}", path, line, name, word.failure().message), false};
    words.emplace(name, *word);
  }
  return words;
}

Words read_environment(const Environment& environment) {
  Words words;
  for (const Option& option : options()) {
    const auto word = environment(environment_name(option.name));
    if (word && !word->empty()) words.emplace(option.name, *word);
  }
  return words;
}

// Sets what `words` say; `spell` writes an option and its value as they were written there.
template <typename Spell>
Status apply(const Words& words, Source source, Config& config, std::vector<Source>& sources,
             Spell spell) {
  for (std::size_t i = 0; i < options().size(); ++i) {
    const Option& option = options()[i];
    const auto word = words.find(option.name);
    if (word == words.end()) continue;
    const std::string wanted = option.parse(word->second, config);
    if (!wanted.empty()) {
      const std::string value = option.secret ? "…" : word->second;
      return Failure{fmt::format("{} is not {}", spell(option.name, value), wanted), false};
    }
    sources[i] = source;
  }
  return {};
}

Source source_of(std::string_view name, const std::vector<Source>& sources) {
  for (std::size_t i = 0; i < options().size(); ++i) {
    if (options()[i].name == name) return sources[i];
  }
  return Source::kDefault;
}

// What single values cannot say.
Status check(const Config& config, const std::vector<Source>& sources) {
  for (const std::string& endpoint : {config.listen, config.listen_workers}) {
    if (!endpoint.starts_with("tcp://") && !endpoint.starts_with("ipc://")) {
      return Failure{fmt::format("{} is not an endpoint like tcp://127.0.0.1:7700", endpoint),
                     false};
    }
    if (!config.insecure && !zmq_adapter::is_local(endpoint)) {
      return Failure{fmt::format("will not listen on {}: other machines can reach it, and without "
                                 "keys anyone there could "
                                 "run jobs; bind a loopback address, or say --insecure",
                                 endpoint),
                     false};
    }
  }
  if (config.listen == config.listen_workers && !config.listen.ends_with(":*")) {
    return Failure{fmt::format("listen and listen-workers are both {}", config.listen), false};
  }
  const auto& limits = config.broker.limits;
  if (limits.max_message_bytes < limits.max_payload_bytes) {
    return Failure{"max-message-bytes is less than max-payload-bytes", false};
  }
  // One payload of the largest size must fit in: it would be told to wait for ever.
  const core::EngineConfig& bounds = config.broker.engine;
  const std::pair<const char*, std::uint64_t> rooms[] = {
      {"window-bytes", bounds.window_bytes},
      {"max-unstored-bytes", bounds.max_unstored_bytes},
      {"max-queue-bytes", bounds.max_queue_bytes},
  };
  for (const auto& [name, bytes] : rooms) {
    if (bytes < limits.max_payload_bytes)
      return Failure{fmt::format("{} is less than max-payload-bytes", name), false};
  }
  if (config.broker.engine.retry.cap < config.broker.engine.retry.base) {
    return Failure{"backoff-cap is less than backoff-base", false};
  }
  for (const char* embedded_only : {"aof", "data-dir", "redis-memory"}) {
    if (!config.redis.empty() && source_of(embedded_only, sources) == Source::kFlag) {
      return Failure{fmt::format("--{} is for the private Redis; with --redis, configure that one",
                                 embedded_only),
                     false};
    }
  }
  return {};
}

Status find_data_folder(const Environment& environment, Config& config) {
  if (!config.data_dir.empty() || !config.redis.empty()) return {};
  const auto state = environment("XDG_STATE_HOME");
  const auto home = environment("HOME");
  if (state && !state->empty()) {
    config.data_dir = *state + "/jobwire";
  } else if (home && !home->empty()) {
    config.data_dir = *home + "/.local/state/jobwire";
  } else {
    return Failure{"neither XDG_STATE_HOME nor HOME is set: say --data-dir", false};
  }
  return {};
}

std::string_view name_of(Source source) {
  switch (source) {
    case Source::kDefault:
      return "default";
    case Source::kFile:
      return "file";
    case Source::kEnvironment:
      return "environment";
    case Source::kFlag:
      return "flag";
  }
  return "?";
}

// As a configuration file would say it.
std::string effective(const Config& config, const std::vector<Source>& sources) {
  std::string text;
  std::string_view group;
  for (std::size_t i = 0; i < options().size(); ++i) {
    const Option& option = options()[i];
    if (option.group != group)
      text += fmt::format("{}# {}\n", group.empty() ? "" : "\n", option.group);
    group = option.group;
    const std::string value = option.print(config);
    const bool bare = parse_number(value) || value == "true" || value == "false";
    const std::string line =
        fmt::format("{} = {}", option.name, bare ? value : log::json_string(value));
    text += fmt::format("{:<56} # {}\n", line, name_of(sources[i]));
  }
  return text;
}

}  // namespace

Result<Command> read_command(const std::vector<std::string>& arguments,
                             const Environment& environment) {
  auto flags = read_flags(arguments);
  if (!flags) return flags.failure();
  Command command;
  command.action = Command::Action::kPrint;
  if (flags->help) {
    command.text = flags->help_text;
    return command;
  }
  if (flags->version) {
    command.text = fmt::format("jobwired {}\n", kVersion);
    return command;
  }
  Config& config = command.config;
  std::vector<Source> sources(options().size(), Source::kDefault);
  const std::string path =
      !flags->config_file.empty() ? flags->config_file : environment("JOBWIRE_CONFIG").value_or("");
  Status status;
  if (!path.empty()) {
    auto words = read_file(path);
    if (!words) return words.failure();
    status = apply(*words, Source::kFile, config, sources,
                   [&](std::string_view name, const std::string& value) {
                     return fmt::format("{}: {} = \"{}\"", path, name, value);
                   });
    if (!status) return status.failure();
  }
  status = apply(read_environment(environment), Source::kEnvironment, config, sources,
                 [](std::string_view name, const std::string& value) {
                   return fmt::format("{}={} in the environment", environment_name(name), value);
                 });
  if (!status) return status.failure();
  status = apply(flags->words, Source::kFlag, config, sources,
                 [](std::string_view name, const std::string& value) {
                   return fmt::format("--{} {}", name, value);
                 });
  if (!status) return status.failure();
  status = check(config, sources);
  if (!status) return status.failure();
  status = find_data_folder(environment, config);
  if (!status) return status.failure();
  config.broker.version = kVersion;
  if (flags->check) {
    command.text = effective(config, sources);
    return command;
  }
  command.action = Command::Action::kServe;
  return command;
}

}  // namespace jobwire::app
