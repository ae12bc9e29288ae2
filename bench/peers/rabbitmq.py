#!/usr/bin/python3
"""RabbitMQ: a quorum queue on one node, publisher confirms (see bench/peer.py).

A quorum queue's log is synced before the confirm. The node has a name, a cookie, a port mapper
(epmd) and folders of its own, so that it meddles with no other.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import glob  # noqa: E402

import peer  # noqa: E402
import servers  # noqa: E402

SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
RELEASES = "/usr/lib/rabbitmq/lib/rabbitmq_server-*"


class Mapper(servers.Server):
    """Nodes of Erlang find each other by it. Without one the node would start one for good."""

    name = "epmd"

    def __init__(self, data):
        super().__init__(data)
        self.port = servers.free_port()

    def run(self):
        self.start(["epmd", "-address", peer.HOST, "-port", str(self.port)])
        self.wait_until(lambda: self.listens(self.port))


class Rabbitmq(peer.Peer):
    name = "RabbitMQ"
    setting = ("quorum queue on one node (its log is fsynced), persistent messages, "
               "publisher confirms")
    program = SERVER
    protocol = "amqp"

    def __init__(self, data):
        super().__init__(data)
        self.mapper = Mapper(data)

    def version(self):
        return peer.number_in(max(glob.glob(RELEASES), default=""))

    def run(self):
        self.mapper.run()
        settings = os.path.join(self.data, "rabbitmq.conf")
        with open(settings, "w") as f:
            f.write("listeners.tcp.1 = %s:%d\nlog.file.level = warning\n" % (peer.HOST, self.port))
        self.start([SERVER], cwd=self.data, env={
            "PATH": os.environ["PATH"],
            "HOME": self.data,
            "ERL_EPMD_PORT": str(self.mapper.port),
            "RABBITMQ_NODENAME": "bench%d@localhost" % os.getpid(),
            "RABBITMQ_DIST_PORT": str(servers.free_port()),
            "RABBITMQ_CONFIG_FILE": settings,
            "RABBITMQ_CONF_ENV_FILE": os.path.join(self.data, "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": os.path.join(self.data, "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": os.path.join(self.data, "mnesia"),
            "RABBITMQ_LOG_BASE": os.path.join(self.data, "log"),
        })
        self.wait_for_port()

    def stop(self):
        super().stop()
        self.mapper.stop()


peer.main(Rabbitmq)
