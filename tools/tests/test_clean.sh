#!/usr/bin/env bash
#
# test_clean.sh - tools/clean removes folders of builds, and refuses all else.
# Ends with `N passed, N failed`.

set -u
tools=$(dirname "$(dirname "$(readlink -f "$0")")")
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
passed=0
failed=0

check() { # NAME CONDITION...
    local name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        echo "FAIL $name"
        failed=$((failed + 1))
    fi
}

# A project of our own, so that nothing is lost if clean is wrong.
project=$folder/project
mkdir -p "$project/tools" "$project/common" "$project/bench"
cp "$tools/clean" "$project/tools"
touch "$project/Makefile" "$project/common/a.c" "$project/bench/b.c"
git -C "$project" init -q
git -C "$project" add .

clean() {
    said=$("$project/tools/clean" "$@" 2>&1)
}

refused() { # WORDS FOLDER
    local before after
    before=$(find "$folder" | sort)
    clean "$2"
    [ $? = 2 ] || return 1
    after=$(find "$folder" | sort)
    [[ $before == "$after" && $said == *"$1"* ]]
}

cleaned() { # FOLDER
    clean "$1" && [ ! -e "$1" ]
}

mkdir -p "$folder/elsewhere/obj/common" "$folder/only/asan/obj/common" "$project/build/bin" \
    "$project/out/obj/common" "$folder/other/obj" "$folder/real/obj/common"
touch "$folder/elsewhere/myqueue-broker" "$folder/file"
ln -s "$folder/real" "$folder/link"

check "a build elsewhere" cleaned "$folder/elsewhere"
check "an instrumented one alone" cleaned "$folder/only"
check "the default one" cleaned "$project/build"
check "one with another name in the project" cleaned "$project/out"
check "none" clean "$folder/nowhere"
check "a link's target is emptied" clean "$folder/link"
check "…and both stay" test -d "$folder/link" -a -z "$(ls "$folder/real")"

mkdir -p "$project/obj/common" "$folder/obj/common" "$project/bench/obj/common"
check "the project itself" refused "holds the project" "$project"
check "what the project lies in" refused "holds the project" "$folder"
check "the root" refused "holds the project" /
check "a folder of sources" refused "holds sources" "$project/bench"
check "a folder that is not ours" refused "no build of this project" "$folder/other"
check "a file" refused "is no folder" "$folder/file"
check "no name" refused "usage" ""

echo "$passed passed, $failed failed"
((failed == 0))
