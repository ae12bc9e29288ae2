#!/usr/bin/python3
"""RabbitMQ: a quorum queue on one node, publisher confirms (see bench/peer.py).

A quorum queue's log is synced before the confirm. The node has a name, a cookie, a port mapper
(epmd) and folders of its own, so that it meddles with no other.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import peer  # noqa: E402


SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"


class Rabbitmq(peer.Peer):
    name = "RabbitMQ"
    setting = ("quorum queue on one node (its log is fsynced), persistent messages, "
               "publisher confirms")
    program = SERVER
    protocol = "amqp"

    def version(self):
        return peer.number_in(peer.program_or_none("/usr/lib/rabbitmq/lib/rabbitmq_server-*") or "")

    def start(self, data, port):
        mapper_port = peer.free_port()
        settings = os.path.join(data, "rabbitmq.conf")
        with open(settings, "w") as f:
            f.write("listeners.tcp.1 = %s:%d\nlog.file.level = warning\n" % (peer.HOST, port))
        self.run("epmd", "-address", peer.HOST, "-port", str(mapper_port), data=data)
        self.wait_for_port(mapper_port)
        self.run(SERVER, data=data, cwd=data, env={
            "PATH": os.environ["PATH"],
            "HOME": data,
            "ERL_EPMD_PORT": str(mapper_port),
            "RABBITMQ_NODENAME": "bench%d@localhost" % os.getpid(),
            "RABBITMQ_DIST_PORT": str(peer.free_port()),
            "RABBITMQ_CONFIG_FILE": settings,
            "RABBITMQ_CONF_ENV_FILE": os.path.join(data, "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": os.path.join(data, "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": os.path.join(data, "mnesia"),
            "RABBITMQ_LOG_BASE": os.path.join(data, "log"),
        })
        self.wait_for_port(port)


peer.main(Rabbitmq())
