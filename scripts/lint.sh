#!/bin/bash
# House rules, checked: formatting, banned calls, lengths, shell scripts, static analysis, manual
# pages. Prints what it finds; the exit status is 1 when there is anything.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

MAX_FUNCTION=80
MAX_FILE=500
MAX_TEST_FILE=600
# Also what has not been added to git yet, so that findings come before the commit does.
mapfile -t files < <(find lib installer images cni controller tests scripts .ci docs -type f 2>/dev/null | sort)
pick() {
    printf '%s\n' "${files[@]}" | grep -E "$1"
}
mapfile -t c_files < <(pick '\.[ch]$')
mapfile -t sources < <(pick '^(lib|installer|images|cni|controller)/.*\.[ch]$')
mapfile -t programs < <(pick '^(lib|installer|images|cni|controller)/.*\.c$')
mapfile -t bats_files < <(pick '\.bats$')
mapfile -t man_pages < <(pick '^docs/.*\.[18]$')
mapfile -t shell_files < <(grep -lE '^#!.*(bash|sh)$|^# shellcheck shell=' "${files[@]}" | grep -v '\.bats$')

findings=0
# Runs one check; it passes when the command succeeds.
check() {
    local name=$1
    shift
    if ! "$@"; then
        echo "lint: $name: see above" >&2
        findings=$((findings + 1))
    fi
}

# Comments and the contents of strings become blanks, line by line, so that only code is searched.
only_code() {
    perl -0777 -pe 's{(/\*.*?\*/)|(//[^\n]*)|"((?:[^"\\\n]|\\.)*)"}
        {my $t = $&; my $q = defined $3; $t =~ s/[^\n]/ /g; $q ? "\"$t\"" : $t}gsex' "$1"
}

# Unbounded copies, silent number parsing, shells, and what loads the host's name-service modules.
banned='strcpy|strcat|v?sprintf|strtok|strncpy|ato[ifl]|atoll|gets|v?f?s?scanf|alloca|system|popen|signal|getpw[a-z_]*|getgr(ent|gid|nam)[a-z_]*|getaddrinfo|gethostbyname|getservby[a-z_]*'
banned_calls() {
    local file found=0
    for file in "${sources[@]}"; do
        # The static build puts its own functions in place of some of these.
        [[ $file == lib/static/* ]] && continue
        only_code "$file" | grep -nE "(^|[^[:alnum:]_.>])($banned)[[:space:]]*\(" |
            sed "s|^|$file:|" && found=1
    done
    return "$found"
}

# clang-format puts the braces of a function, and nothing else but types and tables, into column 1.
lengths() {
    awk -v most="$MAX_FUNCTION" -v longest="$MAX_FILE" -v longest_test="$MAX_TEST_FILE" '
        function file_end() {
            most_lines = name ~ /^tests\// ? longest_test : longest
            if (lines > most_lines) { print name ": " lines " lines, at most " most_lines; bad = 1 }
        }
        FNR == 1 { file_end(); name = FILENAME }
        { lines = FNR }
        /^\{/ { start = FNR }
        /^\}$/ && start {
            if (FNR - start - 1 > most) {
                print FILENAME ":" start ": function of " FNR - start - 1 " lines, at most " most
                bad = 1
            }
            start = 0
        }
        END { file_end(); exit bad }' "$@"
}

# Two that complement each other: cppcheck knows bounds and unset variables, gcc follows frees and
# leaks along paths. What gcc would say about NULL is left out: it cannot know that err_set returns
# a negative number, and takes every error path for a success.
read -ra library_flags < <(pkg-config --cflags libnl-3.0)
analysis_flags=(-D_GNU_SOURCE '-DFLATNET_VERSION="0"' "${library_flags[@]}")
run_cppcheck() {
    cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 --language=c -j 2 \
        --enable=warning,performance,portability --suppress=missingIncludeSystem \
        "${analysis_flags[@]}" -D__x86_64__ -Ilib -Iinstaller -Iimages -Icontroller -Icni \
        '-DcJSON_ArrayForEach(e,a)=for(e=(a)->child;e;e=e->next)' "${programs[@]}"
}
run_analyzer() {
    printf '%s\n' "${programs[@]}" | xargs -P 2 -I{} gcc -std=gnu11 "${analysis_flags[@]}" \
        -iquote lib -iquote installer -iquote controller -iquote cni -Werror -fanalyzer -Wno-analyzer-null-dereference \
        -Wno-analyzer-null-argument -Wno-analyzer-use-of-uninitialized-value -c -o /dev/null {}
}

check clang-format clang-format --dry-run -Werror "${c_files[@]}"
check 'banned calls' banned_calls
check lengths lengths "${c_files[@]}"
check shellcheck shellcheck -x "${shell_files[@]}"
((${#bats_files[@]})) && check 'shellcheck of bats files' shellcheck -x -s bats "${bats_files[@]}"
check cppcheck run_cppcheck
check 'gcc -fanalyzer' run_analyzer
((${#man_pages[@]})) && check mandoc mandoc -T lint -W warning "${man_pages[@]}"
((findings == 0)) && echo 'lint: no findings'
