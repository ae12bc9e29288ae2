"""Options, and what a broker says that cannot start: one clear line, and a non-zero exit code."""

import os
import re
import socket
import tempfile

from driver import (BROKER, check, clean_environment, database_url, run_to_end, same, test, until)

ONCE = ()  # of no store: each test here names its own


def start(*arguments, env=None):
    return run_to_end([BROKER, *arguments], env=clean_environment(env))


def fails(words, *arguments, env=None):
    """It ends by itself, and says why in one line (besides its log's)."""
    code, out, err = start(*arguments, env=env)
    case = "%s %s" % (" ".join(arguments), env or "")
    check(code > 0, "%s: exit code %d" % (case, code))
    same(out, "", "stdout of %s" % case)
    lines = [line for line in err.splitlines() if not re.match(r"\d{4}-\d\d-\d\dT", line)]
    same(len(lines), 1, "number of lines on stderr of %s (%r)" % (case, err))
    for word in words:
        check(word in lines[0], "%s: %r is not said in %r" % (case, word, lines[0]))
    check(re.fullmatch(r"myqueue-broker: .*[^: ]", lines[0]), "unclear:", lines[0])


MEMORY = ("--listen", "127.0.0.1:0", "--store", "memory:")


@test(ONCE)
def help_and_version(given):
    code, out, err = start("--help")
    same((code, err), (0, ""), "exit code and stderr of --help")
    for option in ("listen", "store", "store-wait", "store-timeout", "consumer-start",
                   "retention-bytes", "retention-age", "retention-unread",
                   "message-bytes-max", "tail-bytes", "waiting-bytes-max", "waiting-writes-max",
                   "buffers-bytes-max", "topics-max", "producers-max", "consumers-max", "polls-max",
                   "http-threads", "connections-max", "idle-timeout", "request-timeout",
                   "log-level", "help", "version"):
        check("--" + option in out, "--help does not name --%s" % option)
    for variable in ("MYQUEUE_LISTEN", "MYQUEUE_STORE", "MYQUEUE_CONSUMER_START"):
        check(variable in out or "MYQUEUE_" in out, "--help does not name %s" % variable)
    code, out, err = start("--version")
    same((code, err), (0, ""), "exit code and stderr of --version")
    check(re.fullmatch(r"myqueue-broker \S+\n", out), "--version says", repr(out))


@test(ONCE)
def bad_options(given):
    fails(["--nonsense"], *MEMORY, "--nonsense")
    fails(["x"], *MEMORY, "-x")
    fails(["--listen"], "--store", "memory:", "--listen")
    fails(["operand"], *MEMORY, "operand")
    for option, wrongs in (("consumer-start", ("", "first", "Latest")),
                           ("log-level", ("", "loud", "9")),
                           ("message-bytes-max", ("", "0", "-1", "x", "1k", "1.5", "9" * 30)),
                           ("tail-bytes", ("-1", "x", "9" * 30)),
                           ("retention-bytes", ("-1", "1G", "9" * 30)),
                           ("retention-age", ("-1", "1d", "9" * 30)),
                           ("retention-unread", ("", "yes")),
                           ("http-threads", ("-1", "x", "100000")),
                           ("topics-max", ("0", "x")),
                           ("request-timeout", ("0", "x")),
                           ("store-wait", ("-1", "x", "9" * 30)),
                           ("store-timeout", ("0", "-1", "x", "9" * 30))):
        variable = "MYQUEUE_" + option.upper().replace("-", "_")
        for wrong in wrongs:
            fails([option], *MEMORY, "--%s=%s" % (option, wrong))
            if wrong:  # an empty variable is as good as none
                fails([variable], *MEMORY, env={variable: wrong})


@test(ONCE)
def bad_addresses(given):
    for wrong in ("127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1",
                  ":5000", "::1:5000", "[::1:5000", "256.1.1.1:5000", "x" * 300 + ":5000"):
        fails([wrong[:50]], "--store", "memory:", "--listen", wrong)


@test(ONCE)
def port_in_use(given):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = "127.0.0.1:%d" % other.getsockname()[1]
        fails([address, "in use"], "--store", "memory:", "--listen", address)
        fails([address, "in use"], "--store", "memory:", env={"MYQUEUE_LISTEN": address})


@test()
def port_in_use_disturbs_nobody(given):
    """A broker started twice by mistake must not take the log from the one that runs."""
    url = given.machine.store(given.kind)
    broker = given.machine.broker(url)
    producer_id = broker.api.producer("t")
    fails([broker.address, "in use"], "--store", url, "--listen", broker.address)
    broker.api.produce("t", producer_id, "x").succeeded(offset=0)
    broker.stop()


@test(ONCE)
def bad_store_urls(given):
    for wrong in ("nonsense", "memory", "mysql://x/y", "http://127.0.0.1/", "postgres", "/tmp/x",
                  "postgresql"):
        fails([wrong], "--listen", "127.0.0.1:0", "--store", wrong)
    fails(["store"], "--listen", "127.0.0.1:0", "--store", "")
    fails(["store"], "--listen", "127.0.0.1:0", "--store", "postgres://127.0.0.1:port/x",
          "--store-wait", "1")


@test(ONCE)
def unreachable_database(given):
    with socket.socket() as nobody:  # bound, but nobody listens
        nobody.bind(("127.0.0.1", 0))
        url = "postgres://x@127.0.0.1:%d/x" % nobody.getsockname()[1]
        fails(["refused"], "--listen", "127.0.0.1:0", "--store", url, "--store-wait", "1")
        fails(["refused"], "--listen", "127.0.0.1:0", "--store-wait", "0",
              env={"MYQUEUE_STORE": url})


@test(ONCE)
def half_reachable_database(given):
    """It accepts the connection and never says a word."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        fails(["store"], "--listen", "127.0.0.1:0", "--store-wait", "1",
              "--store", "postgres://x@127.0.0.1:%d/x" % silent.getsockname()[1])


@test(ONCE)
def password_is_not_told(given):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = "postgres://x:secret@127.0.0.1:%d/x" % nobody.getsockname()[1]
        _, out, err = start("--listen", "127.0.0.1:0", "--store", url, "--store-wait", "0")
        check("secret" not in out + err, "the password is in:", err)


@test(ONCE)
def database_that_does_not_exist(given):
    if given.machine.server_url:
        url = database_url(given.machine.server_url, "no_such_database")
        fails(["no_such_database"], "--listen", "127.0.0.1:0", "--store", url, "--store-wait", "1")


@test(ONCE)
def options_win_over_the_environment(given):
    broker = given.machine.broker("memory:", "--message-bytes-max", "20",
                                  env={"MYQUEUE_STORE": "nonsense", "MYQUEUE_LISTEN": "nonsense",
                                       "MYQUEUE_MESSAGE_BYTES_MAX": "10"})
    producer_id = broker.api.producer("t")
    broker.api.produce("t", producer_id, "x" * 20).succeeded(offset=0)
    broker.api.produce("t", producer_id, "x" * 21).refused("too_large")
    broker.stop()


@test(ONCE)
def variables_that_are_no_options(given):
    """A misspelled variable sets nothing: the log names it, and no other."""
    broker = given.machine.broker("memory:", env={"MYQUEUE_RETENTION_AGES": "3600",
                                                  "MYQUEUE_TAIL": "1", "MYQUEUE_TAIL_BYTES": "9"})
    line = until(lambda: next((l for l in broker.said().splitlines()
                               if "unknown_variables" in l), None), "a line about the variables")
    for name in ("MYQUEUE_RETENTION_AGES", "MYQUEUE_TAIL"):
        check(re.search(r"\b%s\b" % name, line), name, "is not named:", line)
    check("MYQUEUE_TAIL_BYTES" not in line, "an option is called unknown:", line)
    broker.stop()
    broker = given.machine.broker("memory:", env={"MYQUEUE_TAIL_BYTES": "9"})
    broker.stop()
    check("unknown_variables" not in broker.said(), "nothing was wrong:", broker.said())


@test(ONCE)
def the_log_names_the_file(given):
    with tempfile.TemporaryDirectory() as folder:
        broker = given.machine.broker("sqlite:my queue.db", cwd=folder)
        wanted = os.path.join(os.path.realpath(folder), "my queue.db")
        check("sqlite:" + wanted in broker.said(), wanted, "is not named:", broker.said())
        broker.stop()


@test(ONCE)
def listens_where_it_is_told(given):
    broker = given.machine.broker("memory:", listen="[::1]:0") if has_ipv6() else None
    if broker is not None:
        check(broker.address.startswith("[::1]:"), "listens on", broker.address)
        broker.api.call("GET", "/healthz").succeeded()
        broker.stop()
    broker = given.machine.broker("memory:", listen="localhost:0")
    broker.api.call("GET", "/healthz").succeeded()
    broker.stop()


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


@test(ONCE)
def log_that_nobody_reads_is_no_harm(given):
    """stderr is a pipe whose reader is gone: the broker goes on, and ends with 0."""
    broker = given.machine.broker("memory:", "--log-level", "debug")
    broker.hang_up()
    producer_id = broker.api.producer("t")
    for i in range(100):
        broker.api.produce("t", producer_id, "x").succeeded(offset=i)
    broker.stop()
