"""What the scripts in bench/peers/ share: a server of one's own, a load on it, one JSON object.

    bench/peers/NAME.py --connections N --duration S --data DIR

starts the peer on a free port with its data in DIR, stores messages in it from N connections,
each with one in flight, for S seconds, and prints what `load` prints and name, version and
setting. Exit codes: 0, 1 (stderr says why), 3 when the peer is not installed.

A peer is a class:

    name, setting        for the report; the setting is what its durability rests on
    program              what has to be in PATH
    protocol             of load; not where measure() is the peer's own
    version()            a string
    start(data, port)    starts the server by self.run() and returns when it listens
    measure(...)         the load; returns the object
"""

import argparse
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

EXIT_NOT_INSTALLED = 3
HOST = "127.0.0.1"
START_S_MAX = 60
STOP_S_MAX = 20
WARMUP_S = 1
MESSAGE_BYTES = 100
ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
LOAD = os.path.join(ROOT, os.environ.get("BUILD", "build"), "bench", "load")
os.environ["PATH"] += ":/usr/local/sbin:/usr/sbin:/sbin"


class NotInstalled(Exception):
    pass


class Failed(Exception):
    pass


def output(*command):
    """What a command says, on both its streams: versions come on either."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=START_S_MAX)
    return done.stdout


def number_in(text):
    """The first version number in it."""
    found = re.search(r"\d+(\.\d+)+", text)
    return found[0] if found else "unknown"


def free_port():
    with socket.socket() as s:
        s.bind((HOST, 0))
        return s.getsockname()[1]


def program_or_none(pattern):
    """A program that is not in PATH: the newest that a pattern of paths finds."""
    return max(glob.glob(pattern), default=None)


class Peer:
    program = None

    def __init__(self):
        self.servers = []  # (process, log), in the order of their start

    def installed(self):
        if shutil.which(self.program) is None:
            raise NotInstalled("%s is not installed (no %s)" % (self.name, self.program))

    def run(self, *command, data, **more):
        """Start a server; its output goes to a file beside its data."""
        log = os.path.join(data, os.path.basename(command[0]) + ".log")
        with open(log, "ab") as out:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                       start_new_session=True, **more)
        self.servers.append((process, log))
        return process

    def died(self):
        """What a server that has ended said last, or None."""
        for process, log in self.servers:
            if process.poll() is not None:
                with open(log, errors="replace") as f:
                    return "%s ended with %d: %s" % (
                        os.path.basename(process.args[0]), process.returncode, f.read()[-500:])
        return None

    def wait_for_port(self, port):
        limit = time.monotonic() + START_S_MAX
        while time.monotonic() < limit:
            if self.died():
                raise Failed(self.died())
            try:
                socket.create_connection((HOST, port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise Failed("%s does not listen after %d s" % (self.name, START_S_MAX))

    def measure(self, port, connections, duration_s, data):
        done = subprocess.run(
            [LOAD, "--target", "%s:%d" % (HOST, port), "--protocol", self.protocol,
             "--connections", str(connections), "--duration-ms", str(int(duration_s * 1000)),
             "--warmup-ms", str(WARMUP_S * 1000), "--message-bytes", str(MESSAGE_BYTES)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise Failed("%s %s" % (done.stderr.strip(), self.died() or ""))
        return json.loads(done.stdout)

    def stop(self):
        """The last one first. Each is the head of a session of its own, so that what it has
        started can be ended with it."""
        for process, _ in reversed(self.servers):
            process.poll() is None and process.terminate()
            try:
                process.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                pass
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--connections", type=int, default=64, metavar="N",
                        help="each with one message in flight (default 64)")
    parser.add_argument("--duration", type=float, default=5, metavar="S",
                        help="seconds that are measured, after %d s that are not (default 5)"
                             % WARMUP_S)
    parser.add_argument("--data", metavar="DIR",
                        help="a folder for the peer's data (default: a temporary one)")
    return parser.parse_args()


def measured(peer, data, args):
    port = free_port()
    try:
        peer.start(data, port)
        result = peer.measure(port, args.connections, args.duration, data)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        peer.stop()
    result.update(name=peer.name, version=peer.version(), setting=peer.setting)
    return result


def main(peer):
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    data = args.data or tempfile.mkdtemp(prefix="myqueue-peer-")
    try:
        peer.installed()
        os.makedirs(data, exist_ok=True)
        os.chmod(data, 0o711)  # servers may run as a user of their own
        print(json.dumps(measured(peer, os.path.abspath(data), args)))
    except NotInstalled as why:
        print(why, file=sys.stderr)
        sys.exit(EXIT_NOT_INSTALLED)
    except (Failed, OSError, subprocess.SubprocessError) as why:
        sys.exit("%s: %s" % (peer.name, why))
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        if not args.data:
            shutil.rmtree(data, ignore_errors=True)
