#!/bin/sh
# Builds the peers that need a compiler of their own into FOLDER, which `npm run bench -- peers
# --peers FOLDER` takes. What lacks its compiler is left out, and said.
#   build.sh FOLDER
# SOUFFLE, SOUFFLE_GIT, JOBS: see souffle/build.sh. Soufflé is built from source only where
# SOUFFLE_GIT asks for it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${1:?build.sh FOLDER}"
folder=$(cd "$1" && pwd)
if command -v cargo >/dev/null; then
  for peer in ascent differential; do
    CARGO_TARGET_DIR=$folder/target cargo build --release --manifest-path "$here/$peer/Cargo.toml"
    cp "$folder/target/release/$peer" "$folder/$peer"
  done
else
  echo 'no cargo: without Ascent and differential dataflow' >&2
fi
if command -v "${SOUFFLE:-souffle}" >/dev/null || [ -n "${SOUFFLE_GIT:-}" ]; then
  "$here/souffle/build.sh" "$folder"
else
  echo 'neither souffle nor SOUFFLE_GIT: without Soufflé' >&2
fi
