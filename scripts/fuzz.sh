#!/bin/bash
# Runs fuzzers one after the other, each on its own copy of its corpus, so that the tree stays as it
# is. A finding ends the run and lies in BUILD/findings.
#
#   scripts/fuzz.sh BUILD SECONDS FUZZER...
set -euo pipefail

build=$1 seconds=$2
shift 2
mkdir -p "$build/findings"
export ASAN_OPTIONS=strict_string_checks=1:detect_stack_use_after_return=1
for fuzzer in "$@"; do
    name=${fuzzer##*/fuzz_}
    corpus=$build/corpus/$name
    mkdir -p "$corpus"
    cp -n "tests/data/fuzz/$name/"* "$corpus/"
    echo "fuzz_$name: $seconds s from $(find "$corpus" -type f | wc -l) inputs"
    if ! "$fuzzer" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -verbosity=0 \
        -artifact_prefix="$build/findings/$name-" "$corpus"; then
        echo "fuzz_$name: a finding lies in $build/findings" >&2
        exit 1
    fi
done
