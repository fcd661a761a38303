// SPDX-License-Identifier: Apache-2.0
#include "app/config.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "app/options.h"

namespace jobwire::app {
namespace {

class ConfigTest : public testing::Test {
 protected:
  void file(const std::string& text) {
    path_ = testing::TempDir() + "jobwire_config_test." + std::to_string(getpid()) + ".toml";
    std::ofstream(path_) << text;
  }
  ~ConfigTest() override {
    if (!path_.empty()) std::remove(path_.c_str());
  }

  ports::Result<Command> read(std::vector<std::string> arguments) {
    if (!path_.empty()) arguments.insert(arguments.end(), {"--config", path_});
    return read_command(arguments, [this](const std::string& name) -> std::optional<std::string> {
      const auto found = environment_.find(name);
      return found == environment_.end() ? std::nullopt : std::optional(found->second);
    });
  }
  Config config(const std::vector<std::string>& arguments = {}) {
    auto command = read(arguments);
    EXPECT_TRUE(command) << command.failure().message;
    return command ? command->config : Config{};
  }
  std::string failure(const std::vector<std::string>& arguments = {}) {
    const auto command = read(arguments);
    EXPECT_FALSE(command) << "was taken";
    EXPECT_EQ(command.failure().message.find('\n'), std::string::npos) << "more than one line";
    return command ? "" : command.failure().message;
  }
  void expect_failure(const std::vector<std::string>& arguments, const std::string& part) {
    const std::string message = failure(arguments);
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }

  std::map<std::string, std::string> environment_ = {{"HOME", "/people/ann"}};
  std::string path_;
};

TEST_F(ConfigTest, DefaultsServeLoopbackWithAStoreOfItsOwn) {
  const Config got = config();
  EXPECT_EQ(got.listen, "tcp://127.0.0.1:7700");
  EXPECT_EQ(got.listen_workers, "tcp://127.0.0.1:7701");
  EXPECT_EQ(got.redis, "");
  EXPECT_EQ(got.aof, Aof::kAlways);
  EXPECT_FALSE(got.insecure);
  EXPECT_EQ(got.data_dir, "/people/ann/.local/state/jobwire");
  EXPECT_EQ(got.broker.engine.default_timeout, core::Millis{600'000});
}

TEST_F(ConfigTest, DataFolderFollowsXdgAndAsksWhenThereIsNoHome) {
  environment_["XDG_STATE_HOME"] = "/state";
  EXPECT_EQ(config().data_dir, "/state/jobwire");
  environment_.clear();
  expect_failure({}, "--data-dir");
  EXPECT_EQ(config({"--redis", "unix:///tmp/redis.sock"}).data_dir, "");
}

TEST_F(ConfigTest, FlagsWinOverEnvironmentOverFileOverDefaults) {
  file("timeout = \"1s\"\nattempts = 5\ncrashes = 6\ninsecure = true\n");
  environment_["JOBWIRE_ATTEMPTS"] = "7";
  environment_["JOBWIRE_CRASHES"] = "8";
  const Config got = config({"--crashes", "9"});
  EXPECT_EQ(got.broker.engine.default_timeout, core::Millis{1000});
  EXPECT_EQ(got.broker.engine.retry.attempts, 7);
  EXPECT_EQ(got.broker.engine.retry.crashes, 9);
  EXPECT_EQ(got.broker.engine.retry.timeouts, 4);
  EXPECT_TRUE(got.insecure);
}

TEST_F(ConfigTest, FileCanBeNamedInTheEnvironment) {
  file("shard = \"blue\"\n");
  environment_["JOBWIRE_CONFIG"] = path_;
  path_.clear();
  EXPECT_EQ(config().shard, "blue");
  std::remove(environment_["JOBWIRE_CONFIG"].c_str());
}

TEST_F(ConfigTest, UnknownKeyNamesTheNearest) {
  file("\nlisten_worker = \"tcp://127.0.0.1:1\"\n");
  const std::string message = failure();
  EXPECT_NE(message.find(path_ + ":2: no option listen_worker; did you mean listen-workers?"),
            std::string::npos)
      << message;
}

TEST_F(ConfigTest, KeyThatIsLikeNothingHasNoSuggestion) {
  file("zzzzzz = 1\n");
  const std::string message = failure();
  EXPECT_NE(message.find("no option zzzzzz"), std::string::npos) << message;
  EXPECT_EQ(message.find("did you mean"), std::string::npos) << message;
}

TEST_F(ConfigTest, UnknownFlagNamesTheNearest) {
  expect_failure({"--redsi", "x"}, "no option --redsi; did you mean --redis?");
  expect_failure({"--timout=5s"}, "no option --timout; did you mean --timeout?");
  expect_failure({"serve"}, "serve is not expected");
}

TEST_F(ConfigTest, WrongValuesSayWhereTheyStandAndWhatIsRight) {
  expect_failure({"--timeout", "soon"}, "--timeout soon is not a time from 1ms to 7d");
  expect_failure({"--timeout", "8d"}, "a time from 1ms to 7d");
  expect_failure({"--attempts", "0"}, "a number from 1 to 100");
  expect_failure({"--max-message-bytes", "5"}, "bytes from 1MiB to 2GiB");
  expect_failure({"--aof", "sometimes"}, "one of always, everysec, no");
  environment_["JOBWIRE_LOG_LEVEL"] = "loud";
  expect_failure(
      {}, "JOBWIRE_LOG_LEVEL=loud in the environment is not one of debug, info, warning, error");
}

TEST_F(ConfigTest, FileThatIsNoTomlOrHoldsSectionsIsRefused) {
  file("timeout = \n");
  EXPECT_NE(failure().find(path_ + ":"), std::string::npos);
  file("[redis]\nurl = \"x\"\n");
  expect_failure({}, "redis is not a string");
  path_ = "/nowhere/jobwire.toml";
  expect_failure({}, "/nowhere/jobwire.toml");
}

TEST_F(ConfigTest, PasswordIsNeitherRepeatedInAnErrorNorPrinted) {
  const std::string message = failure({"--redis", "redis://user:geheim@host:port/"});
  EXPECT_EQ(message.find("geheim"), std::string::npos) << message;
  auto command = read({"--check-config", "--redis", "redis://user:geheim@host:1/"});
  ASSERT_TRUE(command);
  EXPECT_EQ(command->text.find("geheim"), std::string::npos);
  EXPECT_NE(command->text.find("host:1"), std::string::npos) << command->text;
}

TEST_F(ConfigTest, EndpointsThatOthersReachNeedTheWord) {
  expect_failure({"--listen", "tcp://0.0.0.0:7700"}, "--insecure");
  EXPECT_EQ(config({"--listen", "tcp://0.0.0.0:7700", "--insecure"}).listen, "tcp://0.0.0.0:7700");
  expect_failure({"--listen", "7700"}, "not an endpoint");
  expect_failure({"--listen", "tcp://127.0.0.1:7701"}, "are both");
  EXPECT_EQ(
      config({"--listen", "tcp://127.0.0.1:*", "--listen-workers", "tcp://127.0.0.1:*"}).listen,
      "tcp://127.0.0.1:*");
}

TEST_F(ConfigTest, ValuesThatContradictEachOtherAreRefused) {
  expect_failure({"--redis", "redis://h:1/", "--aof", "no"}, "--aof is for the private Redis");
  expect_failure({"--backoff-base", "1m", "--backoff-cap", "1s"}, "backoff-cap");
  expect_failure({"--max-payload-bytes", "64MiB"}, "max-message-bytes");
  expect_failure({"--window-bytes", "1MiB"}, "window-bytes is less than max-payload-bytes");
  expect_failure({"--max-unstored-bytes", "1MiB"}, "max-unstored-bytes");
  expect_failure({"--max-queue-bytes", "1MiB"}, "max-queue-bytes");
}

TEST_F(ConfigTest, PrintedConfigurationNamesSourcesAndCanBeReadBack) {
  file("timeout = \"5s\"\n");
  environment_["JOBWIRE_SHARD"] = "blue";
  auto command = read({"--check-config", "--attempts", "9"});
  ASSERT_TRUE(command);
  EXPECT_EQ(command->action, Command::Action::kPrint);
  const std::string printed = command->text;
  const auto line = [&](const std::string& start) {
    const auto at = printed.find("\n" + start);
    return at == std::string::npos ? ""
                                   : printed.substr(at + 1, printed.find('\n', at + 1) - at - 1);
  };
  EXPECT_TRUE(line("timeout = \"5s\"").ends_with("# file")) << printed;
  EXPECT_TRUE(line("shard = \"blue\"").ends_with("# environment"));
  EXPECT_TRUE(line("attempts = 9").ends_with("# flag"));
  EXPECT_TRUE(line("crashes = 3").ends_with("# default"));
  file(printed);
  environment_.erase("JOBWIRE_SHARD");
  const Config again = config();
  EXPECT_EQ(again.broker.engine.retry.attempts, 9);
  EXPECT_EQ(again.shard, "blue");
  EXPECT_EQ(again.data_dir, "/people/ann/.local/state/jobwire");
}

TEST_F(ConfigTest, HelpNamesEveryOptionWithItsDefault) {
  auto command = read({"--help"});
  ASSERT_TRUE(command);
  for (const Option& option : options()) {
    EXPECT_NE(command->text.find("--" + std::string(option.name)), std::string::npos)
        << option.name;
    EXPECT_FALSE(option.help.empty()) << option.name;
  }
  EXPECT_NE(command->text.find("--aof WHEN=always"), std::string::npos);
}

TEST(Options, EveryDefaultIsAValueThatParsesToItself) {
  const Config defaults;
  for (const Option& option : options()) {
    Config config;
    EXPECT_EQ(option.parse(option.print(defaults), config), "") << option.name;
    EXPECT_EQ(option.print(config), option.print(defaults)) << option.name;
  }
}

TEST(Options, EnvironmentNamesAreCapitalsWithUnderscores) {
  EXPECT_EQ(environment_name("listen-workers"), "JOBWIRE_LISTEN_WORKERS");
}

}  // namespace
}  // namespace jobwire::app
