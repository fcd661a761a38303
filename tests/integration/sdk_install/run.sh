#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh BUILD_FOLDER CXX: installs what was built there to an empty place, moves that place (a package must not know
# where it was made), then builds and runs a separate project against it: by find_package, and by pkg-config.
set -euo pipefail

build=$1
cxx=$2
here=$(cd "$(dirname "$0")" && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

cmake --install "$build" --prefix "$place/first" >/dev/null
mv "$place/first" "$place/installed"

if find "$place/installed" -name '*_generated.h' -o -name 'zmq*' | grep .; then
  echo "the package ships headers that its users must not see" >&2
  exit 1
fi

cmake -S "$here" -B "$place/build" -DCMAKE_PREFIX_PATH="$place/installed" -DCMAKE_CXX_COMPILER="$cxx" >/dev/null
cmake --build "$place/build"
"$place/build/consumer"

pkgconfig=$(dirname "$(find "$place/installed" -name jobwire-client.pc)")
export PKG_CONFIG_PATH=$pkgconfig
flags=$(pkg-config --cflags --libs jobwire-client)
# shellcheck disable=SC2086
"$cxx" -std=c++20 "$here/consumer.cc" -o "$place/by-pkg-config" $flags
LD_LIBRARY_PATH=$(dirname "$pkgconfig") "$place/by-pkg-config"
