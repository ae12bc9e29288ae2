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
        return peer.number_in(peer.output("beanstalkd", "-v"))

    def start(self, data, port):
        self.run("beanstalkd", "-l", peer.HOST, "-p", str(port), "-b", data, "-f0", data=data)
        self.wait_for_port(port)


peer.main(Beanstalkd())
