#!/usr/bin/env bash
#
# tools/postgres and tools/with-postgres: a private server that can be killed
# and run again, and of which nothing stays behind.

set -u
cd "$(dirname "$0")/../.." || exit 1
tools=$PWD/tools
passed=0
failed=0

check() { # NAME CMD...: CMD succeeds
    local name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "ok   $name"
    else
        failed=$((failed + 1))
        echo "FAIL $name"
    fi
}

# until CMD...: succeeds within 30 s
until_true() {
    local end=$((SECONDS + 30))
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || return 1
        sleep 0.05
    done
}

work=$(mktemp -d "${TMPDIR:-/tmp}/myqueue-test-XXXXXX") || exit 1
chmod 711 "$work" # for the server's user
servers=()
cleanup() {
    local pid
    for pid in "${servers[@]}"; do
        kill -QUIT "$pid" 2>/dev/null
    done
    wait
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

dir=$work/cluster
sql() {
    psql -qXAt "$("$tools/postgres" url "$dir")" -c "$1" 2>/dev/null
}

run_server() {
    "$tools/postgres" run "$dir" >>"$work/server.log" 2>&1 &
    server=$!
    servers+=("$server")
}

kill_server() { # PID
    kill -KILL "$1"
    { wait "$1"; } 2>/dev/null # bash would tell of it
}

is_postmaster() { # PID
    [ "$(head -n 1 "$dir/data/postmaster.pid")" = "$1" ]
}

test_kill_and_run_again() {
    local round
    run_server
    "$tools/postgres" wait "$dir" || return 1
    [ "$(sql 'SHOW fsync')" = on ] || return 1
    sql 'CREATE TABLE kept (n int)' || return 1
    for round in 1 2 3 4 5; do
        sql "INSERT INTO kept VALUES ($round)" || return 1
        kill_server "$server"
        run_server
        "$tools/postgres" wait "$dir" || return 1
        [ "$(sql 'SELECT count(*) FROM kept')" = "$round" ] || return 1
    done
    # The process that the caller started is the server itself.
    is_postmaster "$server"
}

# A second server waits for the first one's end, whatever that is.
test_one_at_a_time() {
    local first=$server
    run_server
    sql 'SELECT 1' >/dev/null || return 1
    kill_server "$first"
    until_true is_postmaster "$server" || return 1
    "$tools/postgres" wait "$dir"
}

test_init_keeps_what_is_there() {
    "$tools/postgres" init "$dir" && [ "$(sql 'SELECT count(*) FROM kept')" = 5 ]
}

refuses() { # WORDS CMD...: CMD fails, and says WORDS in one line
    local words=$1 said
    shift
    said=$("$@" 2>&1) && return 1
    [[ $said == *"$words"* ]] && [ "$(wc -l <<<"$said")" = 1 ]
}

# A copy is a cluster of its own, with the role and the database.
test_copies_a_template() {
    local template=$work/template copy=$work/copy
    "$tools/postgres" init "$template" || return 1
    POSTGRES_TEMPLATE=$template "$tools/postgres" init "$copy" || return 1
    "$tools/postgres" run "$copy" >>"$work/server.log" 2>&1 &
    servers+=("$!")
    "$tools/postgres" wait "$copy" || return 1
    [ "$(psql -qXAt "$("$tools/postgres" url "$copy")" -c 'SELECT current_database()')" = myqueue ] &&
        POSTGRES_TEMPLATE=$work/none refuses "no cluster can be copied from $work/none/data" \
            "$tools/postgres" init "$work/other"
}

test_too_long() {
    local long
    printf -v long '%*s' 100 ''
    refuses "use a shorter folder" "$tools/postgres" init "$work/${long// /x}"
}

test_exit_code() {
    "$tools/with-postgres" bash -c 'exit 7' && return 1
    [ $? = 7 ]
}

# with-postgres is interrupted as a terminal does it: its whole process group.
test_interrupted() {
    local group
    TMPDIR=$work setsid "$tools/with-postgres" bash -c "
        touch $work/started
        exec sleep 1000" 2>/dev/null &
    group=$!
    until_true test -e "$work/started" || return 1
    compgen -G "$work/myqueue-postgres-*" >/dev/null || return 1
    kill -TERM -- "-$group"
    wait "$group"
    [ $? = 143 ] && ! compgen -G "$work/myqueue-postgres-*" >/dev/null
}

# CMD kills the server and runs another in its place: that one goes as well.
test_replaced() {
    # shellcheck disable=SC2016  # the variables are the inner shell's
    TMPDIR=$work "$tools/with-postgres" bash -c '
        dir=$MYQUEUE_TEST_POSTGRES_DIR
        kill -KILL "$(head -n 1 "$dir/data/postmaster.pid")"
        setsid "$1" run "$dir" >/dev/null 2>&1 &
        "$1" wait "$dir"' replaced "$tools/postgres" || return 1
    ! compgen -G "$work/myqueue-postgres-*" >/dev/null
}

check "init makes a cluster" "$tools/postgres" init "$dir"
check "killed and run again, nothing is lost" test_kill_and_run_again
check "one server at a time" test_one_at_a_time
check "init keeps what is there" test_init_keeps_what_is_there
check "init copies a template" test_copies_a_template
check "a folder that is too long is refused" test_too_long
check "run without a cluster is refused" refuses "run 'postgres init" \
    "$tools/postgres" run "$work/none"
check "a bad address is refused" refuses "is not HOST:PORT" "$tools/postgres" run "$dir" 5432
check "with-postgres passes on the exit code" test_exit_code
check "with-postgres interrupted leaves nothing" test_interrupted
check "with-postgres ends a server put in its place" test_replaced
echo "$passed passed, $failed failed"
((failed == 0))
