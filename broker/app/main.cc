// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>

#include "app/config.h"
#include "app/server.h"

int main(int argc, char** argv) {
  using namespace jobwire::app;
  try {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    const auto environment = [](const std::string& name) -> std::optional<std::string> {
      const char* value = std::getenv(name.c_str());
      return value ? std::optional<std::string>(value) : std::nullopt;
    };
    auto command = read_command(arguments, environment);
    if (!command) {
      std::fprintf(stderr, "jobwired: %s\n", command.failure().message.c_str());
      return static_cast<int>(Exit::kUsage);
    }
    if (command->action == Command::Action::kPrint) {
      std::fputs(command->text.c_str(), stdout);
      return std::fflush(stdout) == 0 ? 0 : 1;
    }
    StopSignals signals;
    return static_cast<int>(serve(command->config, signals));
  } catch (const std::bad_alloc&) {
    std::fputs("jobwired: out of memory, or at its --memory-limit\n", stderr);
    return static_cast<int>(Exit::kBroken);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "jobwired: %s\n", error.what());
    return static_cast<int>(Exit::kBroken);
  }
}
