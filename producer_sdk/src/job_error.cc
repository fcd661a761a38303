// SPDX-License-Identifier: Apache-2.0
#include "jobwire/job_error.h"

#include <string_view>

JOBWIRE_NAMESPACE_BEGIN
namespace {

void print_frames(const std::vector<JobErrorFrame>& frames, std::string& out) {
  if (!frames.empty()) out += "Traceback (most recent call last):\n";
  for (const JobErrorFrame& frame : frames) {
    out.append("  File \"").append(frame.file).append("\", line ");
    out.append(std::to_string(frame.line)).append(", in ").append(frame.function).append("\n");
    if (!frame.source.empty()) out.append("    ").append(frame.source).append("\n");
  }
}

void print_error(std::string_view type, std::string_view message, std::string& out) {
  constexpr std::string_view kBuiltins = "builtins.";
  if (type.starts_with(kBuiltins)) type.remove_prefix(kBuiltins.size());  // as Python prints it
  out.append(type);
  if (!message.empty()) out.append(": ").append(message);
  out.append("\n");
}

}  // namespace

std::string JobError::to_string() const {
  std::string out;
  for (auto link = chain.rbegin(); link != chain.rend(); ++link) {
    print_frames(link->frames, out);
    print_error(link->type, link->message, out);
    out += link->relation == ChainedJobError::Relation::Cause
               ? "\nThe above exception was the direct cause of the following exception:\n\n"
               : "\nDuring handling of the above exception, another exception occurred:\n\n";
  }
  print_frames(frames, out);
  print_error(type, message, out);
  for (const std::string& note : notes) out.append(note).append("\n");
  if (truncated) out += "[cut to fit]\n";
  return out;
}

JOBWIRE_NAMESPACE_END
