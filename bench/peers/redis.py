#!/usr/bin/python3
"""Redis streams: XADD, the append-only file synced before each answer (see bench/peer.py).

The file is not rewritten during a run: as with the others, only the writing of the log is measured.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import peer  # noqa: E402


class Redis(peer.Peer):
    name = "Redis streams"
    setting = "XADD, appendonly yes, appendfsync always"
    program = "redis-server"
    protocol = "redis"

    def version(self):
        return peer.version_of("redis-server", "--version")

    def run(self):
        self.start(["redis-server", "--bind", peer.HOST, "--port", str(self.port), "--dir",
                    self.data, "--appendonly", "yes", "--appendfsync", "always", "--save", "",
                    "--auto-aof-rewrite-percentage", "0", "--maxclients", "10000"])
        self.wait_for_port()


peer.main(Redis)
