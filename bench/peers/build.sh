#!/bin/sh
# Builds the peers that need a compiler of their own into FOLDER, and installs those that are packages
# of npm; `npm run bench -- peers --peers FOLDER` takes it. What lacks its compiler is left out, and
# said. Clingo is taken from the system.
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
if command -v npm >/dev/null; then
  npm install --prefix "$folder/npm" --no-save --no-audit --no-fund \
    datascript@1.8.1 cozo-lib-wasm@0.7.6 @duckdb/node-api@1.5.6-r.1 @tanstack/db-ivm@0.2.0
fi
if command -v "${SOUFFLE:-souffle}" >/dev/null || [ -n "${SOUFFLE_GIT:-}" ]; then
  "$here/souffle/build.sh" "$folder"
else
  echo 'neither souffle nor SOUFFLE_GIT: without Soufflé' >&2
fi
