# shellcheck shell=bash
#
# shell.sh - what the scripts in tools/ share; sourced, never run.
#
# Everything here speaks on standard error: standard output belongs to a
# script's answer (an image's name, a URL), so that a caller can read it.
#
#   say TEXT...            one line
#   die TEXT...            one line, then exit 1
#   step TEXT CMD ARG...   runs CMD with a running clock behind TEXT; its output
#                          goes to $STEP_LOG, and its end is shown if it fails
#   attempt TEXT CMD ...   the same, where failing is an answer and no mishap
#   as_root CMD ARG...     runs CMD as root, through sudo where one is not root
#   can_be_root            may as_root work? (asks for a password at most once)

BUILD=${BUILD:-build}
STEP_LOG=$BUILD/log/${0##*/}.log

say() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die() {
    say "$@"
    exit 1
}

# Counts the seconds behind a step's name: in place on a terminal, elsewhere a
# line every five seconds, so that nobody watches a silent screen. It has no
# child process and ends by itself when the script is gone, so that it never
# keeps a pipe open that somebody reads to its end.
step_clock() {
    local text=$1 owner=$2 start=$SECONDS passed never
    exec {never}<> <(:)
    while :; do
        read -rt 1 -u "$never"
        kill -0 "$owner" 2>/dev/null || return
        passed=$((SECONDS - start))
        if [ -t 2 ]; then
            # A line that wraps could not be written over.
            printf '\r\033[K%s ... %d s' "${text:0:65}" "$passed" >&2
        elif ((passed % 5 == 0)); then
            printf '%s ... %d s\n' "$text" "$passed" >&2
        fi
    done
}

# Sets step_seconds, and step_from: where CMD's output begins in the log.
# Returns CMD's exit code.
step_run() {
    local text=$1 start=$SECONDS status=0 clock
    shift
    if [ -z "${step_from:-}" ]; then # this script's first
        mkdir -p "$(dirname "$STEP_LOG")"
        : >"$STEP_LOG"
    fi
    printf '== %s\n' "$text" >>"$STEP_LOG"
    step_from=$(wc -c <"$STEP_LOG")
    if [ -t 2 ]; then
        printf '%s ...' "${text:0:65}" >&2
    else
        printf '%s ...\n' "$text" >&2
    fi
    step_clock "$text" $$ &
    clock=$!
    # The command stays in the foreground: Ctrl-C must reach it.
    "$@" >>"$STEP_LOG" 2>&1 </dev/null || status=$?
    kill "$clock" 2>/dev/null
    wait "$clock" 2>/dev/null
    [ -t 2 ] && printf '\r\033[K' >&2
    step_seconds=$((SECONDS - start))
    return "$status"
}

step() {
    local text="${0##*/}: $1" status=0
    shift
    step_run "$text" "$@" || status=$?
    if ((status == 0)); then
        printf '%s: done, %d s\n' "$text" "$step_seconds" >&2
    else
        printf '%s: failed with exit code %d after %d s; the end of %s:\n' \
            "$text" "$status" "$step_seconds" "$STEP_LOG" >&2
        tail -c "+$((step_from + 1))" "$STEP_LOG" | tail -n 15 | sed 's/^/    /' >&2
    fi
    return "$status"
}

attempt() {
    local text="${0##*/}: $1" answer="done" status=0
    shift
    step_run "$text" "$@" || { status=$?; answer="did not work"; }
    printf '%s: %s, %d s\n' "$text" "$answer" "$step_seconds" >&2
    return "$status"
}

can_be_root() {
    [ "$(id -u)" = 0 ] && return 0
    command -v sudo >/dev/null || return 1
    sudo -n true 2>/dev/null && return 0
    # A password can only be asked for where somebody sits.
    [ -t 0 ] && [ -t 2 ] && sudo -v
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}
