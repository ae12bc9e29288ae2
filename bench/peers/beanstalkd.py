#!/usr/bin/python3
"""beanstalkd: put, its log synced after each write (see bench/peer.py)."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import peer  # noqa: E402


class Beanstalkd(peer.Peer):
    name = "beanstalkd"
    setting = "-f0 -b DIR: synced at every write, before the answer"
    program = "beanstalkd"
    protocol = "beanstalk"

    def version(self):
        return peer.version_of("beanstalkd", "-v")

    def run(self):
        self.start(["beanstalkd", "-l", peer.HOST, "-p", str(self.port), "-b", self.data, "-f0"])
        self.wait_for_port()


peer.main(Beanstalkd)
