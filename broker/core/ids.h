// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>

namespace jobwire::core {

/// Sixteen bytes whose meaning is in the tag: ids of different things do not mix.
template <typename Tag>
struct Id16 {
  std::array<std::uint8_t, 16> bytes{};

  static Id16 from_bytes(const std::uint8_t* source) {
    Id16 id;
    std::memcpy(id.bytes.data(), source, id.bytes.size());
    return id;
  }

  bool is_zero() const { return *this == Id16{}; }

  /// The second eight bytes, as they lie in memory; random in every id that we make.
  std::uint64_t tail() const {
    std::uint64_t value;
    std::memcpy(&value, bytes.data() + 8, sizeof value);
    return value;
  }

  /// By halves: a call to memcmp costs more than the comparison.
  friend bool operator==(const Id16& a, const Id16& b) {
    return a.head() == b.head() && a.tail() == b.tail();
  }
  std::uint64_t head() const {
    std::uint64_t value;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }

  friend auto operator<=>(const Id16&, const Id16&) = default;
};

/// A job's UUIDv7 (RFC 9562) in network byte order, made by its producer.
using JobId = Id16<struct JobIdTag>;

/// One attempt's right to run: broker epoch and counter (8 bytes), then 64 random bits.
using LeaseToken = Id16<struct LeaseTokenTag>;

/// A host agent's random id.
using HostId = Id16<struct HostIdTag>;

/// One greeting of one peer. 0 is none.
enum class SessionId : std::uint32_t {};

/// An agent's number for one of its worker processes.
enum class WorkerNumber : std::uint64_t {};

/// "0190a6f2-…", the usual text of a UUID.
std::string to_string(const JobId& id);

/// 32 hexadecimal digits.
std::string to_hex(const std::array<std::uint8_t, 16>& bytes);

/// Reads what to_string wrote. False, with `id` unchanged, when the text is not a UUID.
bool parse_job_id(std::string_view text, JobId& id);

/// Reads what to_hex wrote. False, with `bytes` unchanged, when the text is not 32 hexadecimal
/// digits.
bool parse_hex(std::string_view text, std::array<std::uint8_t, 16>& bytes);

/// Hash over both halves: a producer's ids share their first bytes. Ids come from outside, so the
/// places must not be known there: each half meets a secret of its own before the halves meet (a
/// folded product, as in wyhash), and a table's seed is drawn per process.
template <typename Tag>
class Id16Hash {
 public:
  explicit Id16Hash(std::uint64_t seed = 0)
      : first_(seed ^ 0x9e3779b97f4a7c15ULL),
        second_(seed * 0xd6e8feb86659fd93ULL ^ 0x94d049bb133111ebULL) {}

  std::size_t operator()(const Id16<Tag>& id) const noexcept {
    const std::uint64_t x = fold(id.head() ^ first_, id.tail() ^ second_);
    return static_cast<std::size_t>(fold(x ^ first_, 0xbf58476d1ce4e5b9ULL));
  }

 private:
  static std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
    __extension__ using Product = unsigned __int128;
    const Product product = static_cast<Product>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }

  std::uint64_t first_;
  std::uint64_t second_;
};

}  // namespace jobwire::core
