#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh BUILD_FOLDER: a separate project uses the client in every way that there is.
#   as installed from BUILD_FOLDER (static, by its compiler): find_package, with g++ and clang++, C++20 and C++23
#   as a part of its own tree: FetchContent, shared, all of it by clang++ in C++23; then installed from there: find_package
#   and pkg-config, and what the shared library shows to others
set -euo pipefail

build=$1
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../../.." && pwd)
place=$build/consumers  # the same each time, so that a compiler's cache knows it again
rm -rf "$place"
mkdir -p "$place"
if command -v ccache >/dev/null; then
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_BASEDIR=$source CCACHE_NOHASHDIR=1
fi

# consume NAME CXX STANDARD ARGUMENT...: configures, builds and runs the consumer.
consume() {
  local name=$1 cxx=$2 standard=$3
  shift 3
  echo "== $name: $cxx, C++$standard"
  cmake -G Ninja -S "$here" -B "$place/$name" -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_CXX_STANDARD="$standard" "$@" >/dev/null
  cmake --build "$place/$name" -- --quiet
  "$place/$name/consumer"
}

# Installed to one place and moved to another: a package must not know where it was made.
cmake --install "$build" --prefix "$place/first" >/dev/null
mv "$place/first" "$place/installed"
if find "$place/installed" \( -name '*_generated.h' -o -name 'zmq*' -o -name '*json.hpp' \) | grep .; then
  echo "the package ships headers that its users must not see" >&2
  exit 1
fi
consume static-20 g++ 20 -DCMAKE_PREFIX_PATH="$place/installed"
consume static-23 g++ 23 -DCMAKE_PREFIX_PATH="$place/installed"
consume static-clang-20 clang++ 20 -DCMAKE_PREFIX_PATH="$place/installed"
consume static-clang-23 clang++ 23 -DCMAKE_PREFIX_PATH="$place/installed"

consume tree clang++ 23 -DJOBWIRE_SOURCE="$source" -DBUILD_SHARED_LIBS=ON -DJOBWIRE_INSTALL=ON -DCMAKE_BUILD_TYPE=Debug
cmake --install "$place/tree" --prefix "$place/first" >/dev/null
mv "$place/first" "$place/shared"
consume shared g++ 20 -DCMAKE_PREFIX_PATH="$place/shared"

pkgconfig=$(dirname "$(find "$place/shared" -name jobwire-client.pc)")
export PKG_CONFIG_PATH=$pkgconfig
flags=$(pkg-config --cflags --libs jobwire-client)
echo "== pkg-config: $flags"
# shellcheck disable=SC2086
g++ -std=c++20 "$here/consumer.cc" -o "$place/by-pkg-config" "-L$pkgconfig/.." -ljobwire_testing $flags
LD_LIBRARY_PATH=$(dirname "$pkgconfig") "$place/by-pkg-config"

# Others see the public classes, and the two doors that jobwire::testing comes in by.
library=$(find "$place/shared" -name 'libjobwire_client.so' | head -1)
shown=$(nm --dynamic --defined-only --demangle "$library" | cut -d' ' -f3-)
grep -q 'jobwire::v1::Client::connect(' <<<"$shown"
own='^((vtable|typeinfo|typeinfo name) for )?(flatbuffers|nlohmann|jobwire::wire|jobwire::v1::client_detail)::'
if grep -E "$own" <<<"$shown" | grep -vE 'client_detail::(Link\b|connect_through\()'; then
  echo "the shared library shows what is its own" >&2
  exit 1
fi
