# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by check and fmt: which files are source, each list ended by NUL. Files that git does not know yet count,
# so that a check before the commit says the same as one after it; ignored and deleted files do not.

sources() {
  local file
  git ls-files -z --cached --others --exclude-standard -- "$@" | while IFS= read -r -d '' file; do
    [[ ! -f $file ]] || printf '%s\0' "$file"
  done
}

cpp_sources() { sources '*.cc' '*.h' '*.cpp' '*.hpp'; }

python_sources() { sources '*.py' '*.pyi'; }

# Scripts carry no suffix where a person types their name, so the first line tells.
shell_sources() {
  local file line
  sources '*.sh' 'ops/dev/*' '.ci/*' | while IFS= read -r -d '' file; do
    line=
    IFS= read -r line <"$file" || true
    if [[ $file == *.sh || $line == '#!'*sh ]]; then
      printf '%s\0' "$file"
    fi
  done
}
