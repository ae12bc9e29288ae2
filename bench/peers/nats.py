#!/usr/bin/python3
"""NATS JetStream: a stream on disk, one copy, publish with acknowledgement (see bench/peer.py).

From 2.10 on the server can sync before it acknowledges (sync_interval: always). Older ones sync
every two minutes and cannot be told otherwise; there the file system is told to write at once
whatever is written in the folder (chattr +S), which comes to the same. Where neither can be
had, the setting says so.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import subprocess  # noqa: E402

import peer  # noqa: E402

SYNC_ALWAYS_SINCE = (2, 10)


class Nats(peer.Peer):
    name = "NATS JetStream"
    setting = None  # known when the server starts
    program = "nats-server"
    protocol = "nats"

    def version(self):
        return peer.version_of("nats-server", "--version")

    def sync_setting(self, store):
        """The lines for the server's settings."""
        version = tuple(int(part) for part in self.version().split(".")[:2])
        if version >= SYNC_ALWAYS_SINCE:
            self.setting = "R1 on disk, sync_interval: always"
            return "sync_interval: always"
        if subprocess.run(["chattr", "+S", store], capture_output=True).returncode == 0:
            self.setting = ("R1 on disk, in a folder with synchronous writes (chattr +S): "
                            "this version has no sync_interval: always")
        else:
            self.setting = ("R1 on disk, NOT synced before the acknowledgement: this version "
                            "cannot, nor can the file system (chattr +S)")
        return ""

    def run(self):
        store = os.path.join(self.data, "jetstream")
        os.makedirs(store)
        settings = os.path.join(self.data, "nats.conf")
        with open(settings, "w") as f:
            f.write('listen: "%s:%d"\njetstream { store_dir: "%s"\n%s\n}\n' % (
                peer.HOST, self.port, store, self.sync_setting(store)))
        self.start(["nats-server", "-c", settings])
        self.wait_for_port()


peer.main(Nats)
