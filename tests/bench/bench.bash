# shellcheck shell=bash
# Shared by the benchmarks; sourced after their settings. `misses` counts limits that were missed.
misses=0

# verdict TEXT VALUE OPERATOR LIMIT [UNIT]: one line; what misses its limit is marked and counted.
verdict() {
    local mark=ok
    awk "BEGIN { exit !($2 $3 $4) }" || {
        mark=MISSED
        misses=$((misses + 1))
    }
    printf '%-58s %8.3f %-4s (limit %s %s) %s\n' "$1" "$2" "${5:-x}" "$3" "$4" "$mark"
}

ratio() { awk "BEGIN { printf \"%.4f\", $1 / $2 }"; }
