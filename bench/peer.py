"""peer.py - what the scripts in bench/peers/ share: a server, a load on it, one JSON object.

    bench/peers/NAME.py --connections N --duration S --data DIR

starts the peer on a free port with its data in DIR, stores messages in it from N connections,
each with one in flight, for S seconds, and prints what `load` prints and name, version and
setting. Exit codes: 0, 1 (stderr says why), 3 when the peer is not installed.

A peer is a class:

    name, setting        for the report; the setting is what its durability rests on
    program              what has to be in PATH
    protocol             of load; not where measure() is the peer's own
    version()            a string
    run()                starts the server and returns when it listens on self.port
    measure(...)         the load; returns the object
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

from servers import BUILD, Failed, Server, free_port

EXIT_NOT_INSTALLED = 3
HOST = "127.0.0.1"
LIMIT_S = 60  # of a question to a program, not of a load
WARMUP_S = 1
MESSAGE_BYTES = 100
LOAD = os.path.join(BUILD, "bench/load")
os.environ["PATH"] += ":/usr/local/sbin:/usr/sbin:/sbin"


class NotInstalled(Exception):
    pass


def number_in(text):
    """The first version number in it."""
    found = re.search(r"\d+(\.\d+)+", text)
    return found[0] if found else "unknown"


def version_of(*command):
    """What a command says on either of its streams."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=LIMIT_S)
    return number_in(done.stdout)


class Peer(Server):
    program = None

    def __init__(self, data):
        super().__init__(data)
        self.data = data
        self.port = free_port()

    @classmethod
    def check_installed(cls):
        if shutil.which(cls.program) is None:
            raise NotInstalled("%s is not installed (no %s)" % (cls.name, cls.program))

    def wait_for_port(self):
        self.wait_until(lambda: self.listens(self.port))

    def measure(self, connections, duration_s):
        done = subprocess.run(
            [LOAD, "--target", "%s:%d" % (HOST, self.port), "--protocol", self.protocol,
             "--connections", str(connections), "--duration-ms", str(int(duration_s * 1000)),
             "--warmup-ms", str(WARMUP_S * 1000), "--message-bytes", str(MESSAGE_BYTES)],
            capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(done.stderr.strip())
        return json.loads(done.stdout)


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


def measured(kind, data, args):
    os.makedirs(data, exist_ok=True)
    os.chmod(data, 0o711)  # servers may run as a user of their own
    with kind(os.path.abspath(data)) as peer:
        result = peer.measure(args.connections, args.duration)
        return dict(result, name=peer.name, version=peer.version(), setting=peer.setting)


def main(kind):
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    data = args.data or tempfile.mkdtemp(prefix="myqueue-peer-")
    try:
        kind.check_installed()
        print(json.dumps(measured(kind, data, args)))
    except NotInstalled as why:
        print(why, file=sys.stderr)
        sys.exit(EXIT_NOT_INSTALLED)
    except (Failed, OSError, subprocess.SubprocessError) as why:
        sys.exit("%s: %s" % (kind.name, why))
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        if not args.data:
            shutil.rmtree(data, ignore_errors=True)
