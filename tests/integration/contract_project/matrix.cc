// SPDX-License-Identifier: Apache-2.0
// matrix ENDPOINT: sends every kind of value to Python and back, and compares bit by bit; then what
// a contract refuses.
#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <future>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "matrix_contract.h"

namespace {

using namespace std::chrono_literals;
using namespace matrix;

int failures = 0;

void expect(bool good, const std::string& what) {
  if (good) return;
  std::printf("FAILED %s\n", what.c_str());
  ++failures;
}

template <class T>
T from_bits(auto bits) {
  T value;
  static_assert(sizeof value == sizeof bits);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// The object as bytes: equal bytes are equal values, NaNs and absent fields included.
std::vector<std::uint8_t> packed(const EverythingT& value) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(CreateEverything(builder, &value));
  return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
}

template <class T>
using Limits = std::numeric_limits<T>;

std::unique_ptr<ScalarsT> scalars(bool most) {
  auto out = std::make_unique<ScalarsT>();
  const auto limit = [most]<class T>(T& field) {
    field = most ? Limits<T>::max() : Limits<T>::lowest();
  };
  out->a_bool = most;
  limit(out->a_byte);
  limit(out->a_ubyte);
  limit(out->a_short);
  limit(out->a_ushort);
  limit(out->a_int);
  limit(out->a_uint);
  limit(out->a_long);
  limit(out->a_ulong);
  limit(out->a_float);
  limit(out->a_double);
  out->a_small = most ? Small::High : Small::Low;
  out->a_large = most ? Large::Most : Large::One;
  out->a_flags = static_cast<Flags>(most ? 0x8007 : 0);
  return out;
}

Outer outer(bool flag, double weight) {
  const std::array<std::int16_t, 3> three{Limits<std::int16_t>::lowest(), 0,
                                          Limits<std::int16_t>::max()};
  const std::array<Inner, 2> pair{Inner(), Inner(255, -0.0)};
  return {flag, Inner(7, weight), flatbuffers::make_span(three), flatbuffers::make_span(pair),
          Small::High};
}

/// The union owns its value.
template <class T>
ShapeUnion shape(Shape type, T value) {
  ShapeUnion out;
  out.type = type;
  out.value = new T(std::move(value));
  return out;
}

std::unique_ptr<VectorsT> vectors() {
  auto out = std::make_unique<VectorsT>();
  const auto limits = []<class T>(std::vector<T>& field) {
    field = {T{}, Limits<T>::lowest(), Limits<T>::max()};
  };
  out->bools = {true, false, true};
  limits(out->bytes);
  for (int i = 0; i < 256; ++i) out->ubytes.push_back(static_cast<std::uint8_t>(i));
  limits(out->shorts);
  limits(out->ushorts);
  limits(out->ints);
  limits(out->uints);
  limits(out->longs);
  limits(out->ulongs);
  limits(out->floats);
  limits(out->doubles);
  out->floats.push_back(Limits<float>::quiet_NaN());
  out->doubles.push_back(from_bits<double>(std::uint64_t{0x7ff8000000000bad}));
  out->doubles.push_back(Limits<double>::denorm_min());
  // A number that the enum does not have travels as well.
  out->kinds = {Sparse::First, Sparse::Third, static_cast<Sparse>(12345)};
  out->strings = {"", "plain", std::string("em\0bedded", 9),
                  "gr\xc3\xb6\xc3\x9f"
                  "e \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80"};
  out->structs = {outer(true, 1.5), Outer(), outer(false, -Limits<double>::infinity())};
  out->tables.push_back(scalars(true));
  out->tables.push_back(std::make_unique<ScalarsT>());
  shapes::CircleT round;
  round.radius = 2.5F;
  round.center = std::make_unique<shapes::Point>(1.0F, -1.0F);
  out->shapes = {shape(Shape::Circle, std::move(round)),
                 shape(Shape::Word, std::string("a w\0rd", 6))};
  return out;
}

std::unique_ptr<TreeT> tree(int depth) {
  auto out = std::make_unique<TreeT>();
  out->name = std::to_string(depth);
  if (depth > 0) out->children.push_back(tree(depth - 1));
  out->children.push_back(std::make_unique<TreeT>());
  return out;
}

std::vector<std::pair<std::string, EverythingT>> cases() {
  std::vector<std::pair<std::string, EverythingT>> all;
  const auto add = [&](const char* name) -> EverythingT& {
    return all.emplace_back(name, EverythingT()).second;
  };
  add("nothing");
  add("scalars, least").scalars = scalars(false);
  add("scalars, most").scalars = scalars(true);
  {
    auto& odd = *(add("floats, odd").scalars = std::make_unique<ScalarsT>());
    odd.a_float = from_bits<float>(std::uint32_t{0x7fc00bad});
    odd.a_double = -0.0;
  }
  {
    auto& odd = *(add("floats, endless and tiny").scalars = std::make_unique<ScalarsT>());
    odd.a_float = -Limits<float>::infinity();
    odd.a_double = Limits<double>::denorm_min();
  }
  add("defaults").defaults = std::make_unique<DefaultsT>();
  {
    auto& other = *(add("defaults, all other").defaults = std::make_unique<DefaultsT>());
    other = DefaultsT();
    other.a_bool = false;
    other.a_byte = 0;
    other.a_ubyte = 0;
    other.a_short = 0;
    other.a_ushort = 0;
    other.a_int = 0;
    other.a_uint = 0;
    other.a_long = 0;
    other.a_ulong = Limits<std::uint64_t>::max();
    other.a_float = 0;
    other.a_double = 0;
    other.not_a_number = 1;
    other.endless = Limits<float>::infinity();
    other.kind = Sparse::First;
  }
  add("optionals, absent").optionals = std::make_unique<OptionalsT>();
  {
    auto& zero = *(add("optionals, zero").optionals = std::make_unique<OptionalsT>());
    zero.a_bool = false;
    zero.a_byte = std::int8_t{0};
    zero.a_ubyte = std::uint8_t{0};
    zero.a_short = std::int16_t{0};
    zero.a_ushort = std::uint16_t{0};
    zero.a_int = 0;
    zero.a_uint = 0U;
    zero.a_long = std::int64_t{0};
    zero.a_ulong = std::uint64_t{0};
    zero.a_float = 0.0F;
    zero.a_double = 0.0;
    zero.a_small = Small::Zero;
  }
  {
    auto& most = *(add("optionals, most").optionals = std::make_unique<OptionalsT>());
    most.a_bool = true;
    most.a_long = Limits<std::int64_t>::lowest();
    most.a_ulong = Limits<std::uint64_t>::max();
    most.a_double = Limits<double>::quiet_NaN();
    most.a_small = Small::Low;
  }
  add("vectors").vectors = vectors();
  add("vectors, empty").vectors = std::make_unique<VectorsT>();
  add("text").text = std::string("\0\xc3\xa4\0", 4);
  add("struct").outer = std::make_unique<Outer>(outer(true, 0.1));
  {
    shapes::LabelT label;
    label.text = "title";
    add("union, one of two of the same table").shape = shape(Shape::Caption, label);
  }
  add("union, struct").shape = shape(Shape::Point, shapes::Point(3.5F, -0.0F));
  add("union, string").shape = shape(Shape::Word, std::string("w"));
  add("tables, nested").tree = tree(50);
  add("a name that Python keeps for itself").class_ = 42;
  return all;
}

/// A coroutine that nobody waits for; what it has to say goes through a promise of the caller's.
struct Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

Detached spell(const MatrixClient& matrix, const EverythingT& value,
               std::promise<std::string>& out) {
  const auto answer = co_await matrix.spell(value);
  out.set_value(answer ? answer->text()->str() : answer.error().to_string());
}

void round_trips(const MatrixClient& matrix) {
  int same = 0;
  for (const auto& [name, value] : cases()) {
    const auto answer = matrix.echo(value).get_for(30s);
    if (!answer) {
      expect(false, name + ": " + answer.error().to_string());
      continue;
    }
    const bool equal = packed(answer.unpack()) == packed(value);
    expect(equal, name + ": comes back as another value");
    same += equal ? 1 : 0;
    std::promise<std::string> spelled;
    auto text = spelled.get_future();
    spell(matrix, value, spelled);
    if (text.wait_for(30s) != std::future_status::ready) {
      expect(false, name + ": not spelled in time");
      std::exit(1);  // the coroutine refers to what is here
    }
    std::printf("%s: %s\n", name.c_str(), text.get().c_str());
  }
  std::printf("same: %d\n", same);
}

void failures_are_typed(const MatrixClient& matrix) {
  EverythingT wrong;
  wrong.class_ = -1;
  const auto answer = matrix.echo(wrong).get_for(30s);
  expect(!answer, "a handler that raises has no response");
  const jobwire::JobResult* job = answer.job();
  expect(job && job->error() && job->error()->type == "builtins.ValueError",
         "the Python error comes with the answer: " + answer.error().to_string());
}

void refusals(jobwire::Client& client) {
  const std::vector<std::uint8_t> garbage(64, 0x7f);
  const auto bad = client.submit(MatrixEcho::kMethod.job(std::as_bytes(std::span(garbage))));
  expect(!bad && bad.error().code() == jobwire::ErrorCode::InvalidArgument,
         "a payload that is no request is refused");
  if (!bad) std::printf("refused: %s\n", bad.error().message().c_str());

  const auto newer =
      client.submit(MatrixEcho::job(EverythingT()).contract(MatrixEcho::kMethod.hash + 1));
  expect(newer.has_value(), "a contract that the broker does not hold is left to the workers");
  if (!newer) return;
  const auto status = client.status(newer->id);
  expect(status && status->state == jobwire::JobState::Queued, "and waits for one that takes it");
  if (status) std::printf("waits: %s\n", status->obstacle.c_str());
  expect(client.cancel(newer->id).has_value(), "and can be cancelled");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  auto client = jobwire::Client::connect(argv[1], jobwire::ClientOptions().name("matrix/1.0"));
  if (!client) {
    std::printf("%s\n", client.error().to_string().c_str());
    return 2;
  }
  const MatrixClient matrix(*client);
  round_trips(matrix);
  failures_are_typed(matrix);
  refusals(*client);
  return failures == 0 ? 0 : 1;
}
