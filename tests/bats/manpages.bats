# The manual pages say what --help says: the same verbs, and for each verb the same options with the
# same letters and arguments. Each verb has a subsection "flatnet GROUP VERB" in flatnet-GROUP.1; the
# verbs of one word are in flatnet-deploy.1.
load helper

setup() {
    common_setup
    need mandoc
    "$FLATNET" --help >help
}

# verbs: "GROUP VERB" of each verb in `flatnet --help`.
verbs() {
    sed -n '/^verbs:/,/^$/s/^  \([a-z]*\) *\([a-z]*\)  .*/\1 \2/p' help |
        grep -E '^(addons|bundle|host|images|registry|subnet|test|workload|deploy|undeploy|status|doctor) ' | sed 's/ $//'
}

# help_options TITLE: the options under that title of a help text, as "-f, --file LIST".
help_options() {
    sed -n "/^$1:\$/,/^\$/p" | sed -nE 's/^ {2,6}((-[a-z], )?--[^ ]+( [^ ]+)?)( .*)?$/\1/p' | sort
}

# page_options PAGE TITLE: the same out of the list under .Ss or .Sh TITLE of a manual page.
page_options() {
    sed -n "/^\.S[sh] $2\$/,\$p" "$1" | sed '1d; /^\.S[sh] /,$d' |
        sed -n 's/^\.It \(Fl .*\)$/\1/p' | sed 's/Fl -/--/g; s/Fl /-/g; s/ Ns Op , Ns Ar \([A-Z]*\)/[,\1]/; s/ Ns Op = Ns Ar \(.*\)/[=\1]/; s/ , /, /g; s/ Ar / /g' | sort
}

@test "every verb of --help has its place in a manual page, and no other has" {
    verbs | sort >have
    [ "$(wc -l <have)" -ge 12 ]
    sed -n 's/^\.Ss flatnet \([a-z]*\( [a-z]*\)\?\)$/\1/p' "$REPO_ROOT"/docs/*.1 | sort | diff have -
    sed -n 's/^\.It Cm \([a-z]*\( [a-z]*\)\?\)$/\1/p' "$REPO_ROOT/docs/flatnet.1" | sort | diff have -
}

@test "flatnet.1 has the one-line descriptions of --help" {
    local group verb text
    while read -r group verb text; do
        assert_contains "$text" "$REPO_ROOT/docs/flatnet.1"
    done < <(grep -E '^  (addons|bundle|host|images|registry|subnet|test|workload) ' help)
    while read -r verb text; do
        assert_contains "$text" "$REPO_ROOT/docs/flatnet.1"
    done < <(grep -E '^  (deploy|undeploy|status|doctor) ' help)
}

@test "the options of every verb are those of its manual page" {
    local group verb page
    while read -r group verb; do
        page=$REPO_ROOT/docs/flatnet-$group.1
        [ -e "$page" ] || page=$REPO_ROOT/docs/flatnet-deploy.1
        # shellcheck disable=SC2086
        "$FLATNET" "$group" $verb --help | help_options options >in-help
        page_options "$page" "flatnet $group${verb:+ $verb}" >in-page
        diff in-help in-page || fail "flatnet $group $verb" || return 1
        cat in-help >>all
    done < <(verbs)
    # Else the patterns above would compare nothing with nothing.
    [ "$(wc -l <all)" -gt 50 ]
    grep -qx -- '-f, --file LIST' all
    grep -qx -- '--allow-partial' all
}

@test "the common options are those of flatnet.1" {
    "$FLATNET" bundle ls --help | help_options 'common options' >in-help
    page_options "$REPO_ROOT/docs/flatnet.1" 'COMMON OPTIONS' | diff in-help -
    [ "$(wc -l <in-help)" -ge 5 ]
}

@test "exit statuses in flatnet.1 are those of the program" {
    sed -n 's/^ *EXIT_[A-Z]* = \([0-9]*\),$/\1/p' "$REPO_ROOT/lib/err.h" | sort >in-code
    [ "$(wc -l <in-code)" -ge 9 ]
    sed -n '/^\.Sh EXIT STATUS/,/^\.El/s/^\.It \([0-9]*\)$/\1/p' "$REPO_ROOT/docs/flatnet.1" | sort | diff in-code -
    sed -n 's/^| \([0-9]*\) | .*/\1/p' "$REPO_ROOT/README.md" | sort | diff in-code -
    sed -n 's/^| \([0-9]*\) | .*/\1/p' "$REPO_ROOT/README.zh-CN.md" | sort | diff in-code -
}

@test "environment variables in the manual pages are ones that the program reads" {
    local name
    while read -r name; do
        grep -rqE "\"$name\"" "$REPO_ROOT/lib" "$REPO_ROOT/installer" ||
            [[ $name == *_proxy ]] || fail "nothing reads '$name'" || return 1
    done < <(sed -n '/^\.Sh ENVIRONMENT/,/^\.Sh EXIT/s/^\.It Ev //p' "$REPO_ROOT"/docs/*.1 | tr -d ' ' | tr ',' '\n')
}

@test "network-controller.8 has the options of its --help, and no other" {
    "${FLATNET_BUILD:-$REPO_ROOT/build}/bin/network-controller" --help | grep -oE '(^  |, )--[a-z-]+' | tr -d ', ' |
        sort >in-help
    sed -n 's/^\.It Fl -\([a-z-]*\).*/--\1/p' "$REPO_ROOT/docs/network-controller.8" | sort | diff in-help -
    [ "$(wc -l <in-help)" -ge 12 ]
}

@test "static-macvlan-cni.8 has the options and verbs of its --help, and no other" {
    local program=${FLATNET_BUILD:-$REPO_ROOT/build}/bin/static-macvlan-cni page=$REPO_ROOT/docs/static-macvlan-cni.8
    "$program" --help >help-of-cni
    grep -oE '^  --[a-z-]+' help-of-cni | tr -d ' ' | sort >in-help
    sed -n 's/^\.It Fl -\([a-z-]*\).*/--\1/p' "$page" | sort | diff in-help -
    [ "$(wc -l <in-help)" -ge 8 ]
    sed -n 's/^.*static-macvlan-cni \([a-z]*\) .*OPTION.*/\1/p; s/^.*static-macvlan-cni \([a-z]*\) .*--conf-dir.*/\1/p' help-of-cni | sort >verbs-in-help
    sed -n '/^\.Sh SYNOPSIS/,/^\.Sh DESC/s/^\.Cm //p' "$page" | sort | diff verbs-in-help -
    [ "$(wc -l <verbs-in-help)" -eq 2 ]
    # The defaults that --help names are in the page.
    grep -oE 'default: .*' help-of-cni | grep -oE '[/:][^ ]*$' >defaults
    [ "$(wc -l <defaults)" -ge 4 ]
    while read -r default; do assert_contains "$default" "$page"; done <defaults
}

@test "mandoc has nothing to say about the pages, and they render" {
    local page
    for page in "$REPO_ROOT"/docs/*.[18]; do
        mandoc -T lint -W warning "$page" || fail "$page" || return 1
        mandoc -T utf8 "$page" >rendered
        [ "$(wc -l <rendered)" -gt 40 ]
    done
}
