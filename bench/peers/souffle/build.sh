#!/bin/sh
# Compiles the programs of this folder with Soufflé into FOLDER/souffle/.
#   build.sh FOLDER
# SOUFFLE=<program>: a Soufflé that is there already. Otherwise one in the path is taken, otherwise
# it is built from SOUFFLE_GIT (a clone or an address) into FOLDER/souffle-build, which takes an
# hour of g++ and needs bison, flex, cmake, g++, mcpp and the headers of libffi, zlib, sqlite3 and
# ncurses. Release without asserts, 32 bits a value, like the packages that Soufflé publishes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${1:?build.sh FOLDER}/souffle/generated"
folder=$(cd "$1" && pwd)
jobs=${JOBS:-1}

build() {
  source=$folder/souffle-build/source
  if [ ! -f "$source/CMakeLists.txt" ]; then
    git clone -q --no-checkout "${SOUFFLE_GIT:-https://github.com/souffle-lang/souffle}" "$source"
    # Its own tests are large and not compiled here.
    git -C "$source" checkout -q HEAD -- . ':(exclude)tests'
  fi
  cmake -S "$source" -B "$folder/souffle-build/out" -DCMAKE_BUILD_TYPE=Release \
    -DSOUFFLE_NDEBUG=ON -DSOUFFLE_DOMAIN_64BIT=OFF -DSOUFFLE_ENABLE_TESTING=OFF \
    -DBUILD_TESTING=OFF -DSOUFFLE_BASH_COMPLETION=OFF
  cmake --build "$folder/souffle-build/out" --target souffle -j"$jobs"
}

souffle=${SOUFFLE:-$(command -v souffle || true)}
if [ -z "$souffle" ]; then
  souffle=$folder/souffle-build/out/src/souffle
  [ -x "$souffle" ] || build
fi
compiler=$(dirname "$souffle")/souffle-compile.py
[ -f "$compiler" ] || compiler=$(command -v souffle-compile.py)
"$souffle" --version | head -n 3 >"$folder/souffle/version"
for program in "$here"/*.dl; do
  name=$(basename "$program" .dl)
  binary=$folder/souffle/$name
  if [ -x "$binary" ] && [ "$binary" -nt "$program" ]; then continue; fi
  echo "compiling $name.dl" >&2
  generated=$folder/souffle/generated/$name.cpp
  "$souffle" -g "$generated" "$program"
  {
    # Without a main function of its own.
    echo '#define __EMBEDDED_SOUFFLE__'
    cat "$generated"
    echo "#define PROGRAM \"$name\""
    cat "$here/driver.cpp"
  } >"$folder/souffle/$name.cpp"
  # Not executable in a build folder.
  python3 "$compiler" "$folder/souffle/$name.cpp" -o "$binary"
done
