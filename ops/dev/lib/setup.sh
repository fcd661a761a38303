# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by every verb: where things are, and what must be installed before a verb can do its work.
# Everything here may run twice; what is there already is left alone.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
verb=${0##*/}
venv=$root/.venv
jobs=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
export CMAKE_BUILD_PARALLEL_LEVEL=$jobs
# Also for the projects that tests configure: make need not be there.
export CMAKE_GENERATOR=Ninja
export PIP_DISABLE_PIP_VERSION_CHECK=1
cd "$root"
mkdir -p build

# Caches need a home; a machine without one gets it inside the build folder.
if [[ -z ${HOME:-} || ! -d $HOME || ! -w $HOME ]]; then
  export HOME=$root/build/home
  mkdir -p "$HOME"
fi

say() { printf '%s: %s\n' "$verb" "$*" >&2; }

die() {
  say "$*"
  exit 2
}

# The comment at the top of a verb is its help.
usage() { sed -n '3,/^[^#]/{/^#/{s/^# \{0,1\}//;p}}' "$0"; }

# Runs a command; shows what it printed only when it fails.
quietly() {
  local log code=0
  log=$(mktemp)
  "$@" >"$log" 2>&1 || code=$?
  if ((code)); then
    cat "$log" >&2
  fi
  rm -f "$log"
  return "$code"
}

# Two verbs at once must not set up or compile the same thing.
take_lock() {
  exec {held_lock}>"$root/build/.$1.lock"
  flock -w 1800 "$held_lock" || die "another verb has held build/.$1.lock for half an hour"
}

drop_lock() { exec {held_lock}>&-; }

# ------------------------------------------------------------------------------- Debian packages

debian_packages=(
  cmake ninja-build g++ ccache mold pkg-config git
  libzmq3-dev cppzmq-dev libflatbuffers-dev flatbuffers-compiler libhiredis-dev libspdlog-dev libfmt-dev
  libcli11-dev libtomlplusplus-dev nlohmann-json3-dev libgtest-dev libgmock-dev libbenchmark-dev
  redis-server clang clang-format clang-tidy shellcheck python3 python3-venv
)

is_installed() { [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

as_root() {
  if ((EUID == 0)); then
    "$@"
  else
    sudo -n "$@"
  fi
}

# need_packages NAME...: installs those of them that are missing.
need_packages() {
  local missing=() name
  command -v dpkg-query >/dev/null || die "this needs Debian 12: there is no dpkg here"
  for name; do
    is_installed "$name" || missing+=("$name")
  done
  ((${#missing[@]})) || return 0
  if ((EUID != 0)) && ! sudo -n true 2>/dev/null; then
    die "Debian packages are missing and this is neither root nor a user with sudo; run as root:
  apt-get install ${missing[*]}"
  fi
  say "installing ${missing[*]}"
  take_lock setup
  install_packages "${missing[@]}" || die "apt could not install ${missing[*]}"
  drop_lock
}

# Debian starts and enables a server when its package arrives. Ours are started by the program or the test that
# uses them, on ports of their own, so for the time of the installation the answer to "may it start" is no.
install_packages() {
  local policy=/usr/sbin/policy-rc.d planted='' code=0
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    planted=yes
  fi
  { quietly as_root "${apt[@]}" update &&
    quietly as_root "${apt[@]}" install -y --no-install-recommends "$@"; } || code=$?
  if [[ $planted ]]; then
    as_root rm -f "$policy"
  fi
  if ((code == 0)) && [[ " $* " == *" redis-server "* && -d /run/systemd/system ]]; then
    as_root systemctl disable --quiet redis-server || say "redis-server.service is enabled; jobwire does not need it"
  fi
  return "$code"
}

# ------------------------------------------------------------------------------------- Python

# Prints a Python 3.11 that can make environments. Debian's comes first: another one on the PATH may lack parts.
find_python() {
  local python
  for python in /usr/bin/python3.11 python3.11 python3; do
    if "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
      command -v "$python"
      return
    fi
  done
  die "Python 3.11 with venv is needed (Debian 12: apt-get install python3 python3-venv)"
}

# need_venv FOLDER LOCK...: an environment that holds exactly pinned packages, each checked against its hash.
need_venv() {
  local folder=$1 lock stamp sum python
  shift
  take_lock setup
  if ! "$folder/bin/python" -c 'import pip, sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
    python=$(find_python)
    say "making ${folder#"$root"/} with $python"
    rm -rf "$folder"
    "$python" -m venv "$folder"
  fi
  for lock; do
    stamp=$folder/${lock##*/}.sha256
    sum=$(sha256sum <"$lock")
    if [[ ! -f $stamp || $(<"$stamp") != "$sum" ]]; then
      say "installing ${lock#"$root"/} into ${folder#"$root"/}"
      quietly "$folder/bin/python" -m pip install --quiet --require-hashes -r "$lock" ||
        die "pip could not install $lock"
      printf '%s\n' "$sum" >"$stamp"
    fi
  done
  drop_lock
}

# The Python modules that flatc makes from schemas/, then the distributions of this tree in editable form.
need_jobwire() {
  need_venv "$venv" "$root/ops/dev/requirements.txt"
  take_lock setup
  generate_python_schemas
  install_editable "$root/workers_py"
  install_editable "$root/ops"
  drop_lock
}

generate_python_schemas() {
  [[ ! -f $root/workers_py/generate.py ]] ||
    quietly "$venv/bin/python" "$root/workers_py/generate.py" || die "the schemas give no Python code"
}

install_editable() {
  local source=$1 stamp sum
  [[ -f $source/pyproject.toml ]] || return 0
  stamp=$venv/editable-${source##*/}.sha256
  sum=$(sha256sum <"$source/pyproject.toml")
  if [[ ! -f $stamp || $(<"$stamp") != "$sum" ]]; then
    say "installing ${source#"$root"/} into .venv"
    quietly "$venv/bin/python" -m pip install --quiet --no-deps --no-build-isolation --editable "$source" ||
      die "pip could not install ${source#"$root"/}"
    printf '%s\n' "$sum" >"$stamp"
  fi
}

# The queues that jobwire is measured against, outside .venv: they must not decide what jobwire runs with.
need_peers() {
  local stamp=$root/tests/bench/peers/node_modules/.lock.sha256 sum
  need_packages redis-server python3 python3-venv
  need_venv "$root/build/peers-venv" "$root/ops/dev/requirements-peers.txt"
  # A Node.js from elsewhere brings its own npm; only where there is none is Debian's asked for.
  command -v npm >/dev/null || need_packages nodejs npm
  take_lock setup
  sum=$(sha256sum <"$root/tests/bench/peers/package-lock.json")
  if [[ ! -f $stamp || $(<"$stamp") != "$sum" ]]; then
    say "installing tests/bench/peers/package-lock.json"
    (cd "$root/tests/bench/peers" && quietly npm ci --ignore-scripts --no-audit --no-fund) ||
      die "npm could not install tests/bench/peers"
    printf '%s\n' "$sum" >"$stamp"
  fi
  drop_lock
}

# --------------------------------------------------------------------------------------- build

known_presets=(dev release asan tsan fuzz)

# need_build PRESET [TARGET...]: configured and compiled in build/PRESET; everything, or what a verb asks for.
need_build() {
  local preset=$1 targets=()
  (($# == 1)) || targets=(--target "${@:2}")
  [[ " ${known_presets[*]} " == *" $preset "* ]] ||
    die "there is no preset '$preset'; there are: ${known_presets[*]}"
  need_packages "${debian_packages[@]}"
  say "building preset $preset in build/$preset with $jobs jobs"
  take_lock "$preset"
  quietly cmake --preset "$preset" || die "cmake could not configure preset $preset"
  cmake --build "build/$preset" "${targets[@]}" -- --quiet 2>&1 | { grep -v '^ninja: no work to do' || true; } >&2 ||
    die "preset $preset does not compile"
  drop_lock
}
