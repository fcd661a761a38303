// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace jobwire::golden {

using Buffer = std::vector<std::uint8_t>;

/// A message that every reader must understand. `text` is the envelope as FlatBuffers writes it in
/// JSON, enums as numbers.
struct Golden {
  std::string name;
  std::string from;  // the sender's role, or "broker"
  std::string text;
  Buffer envelope;
  Buffer blob;
};

/// A message that every reader must refuse, with this code.
struct Bad {
  std::string name;
  std::string from;  // the session's role, or "none"
  std::string code;  // as PROTOCOL.md names it
  Buffer envelope;
  Buffer blob;
};

/// Makes and reads envelopes by the schemas themselves, not by the code under test.
class Schema {
 public:
  /// Requires: `folder` holds message.fbs and error.fbs. Aborts when they do not parse.
  explicit Schema(std::string folder);

  Buffer message(const std::string& text) const;
  Buffer error(const std::string& text) const;
  /// JSON of a verified envelope, one line.
  std::string text_of(const Buffer& envelope) const;

 private:
  std::string folder_;
};

std::vector<Golden> golden_messages(const Schema& schema);
std::vector<Bad> bad_messages(const Schema& schema);

/// golden.json.
std::string index_of(const std::vector<Golden>& golden, const std::vector<Bad>& bad);

/// A JSON value for an Id: sixteen bytes that begin with `first` and count up.
std::string id_text(int first);

}  // namespace jobwire::golden
