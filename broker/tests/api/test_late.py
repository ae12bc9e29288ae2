"""A commit that reaches PostgreSQL only after the broker has asked what came of it."""

import contextlib
import os
import re
import shutil
import socket
import tempfile
import threading
import urllib.parse

from driver import check, same, test

POSTGRES = ("postgres",)


class LateProxy:
    """Between broker and PostgreSQL: what holds `word` is held back and its connection lost to the
    broker; it arrives right after the broker has asked, by a new connection, what came of it."""

    def __init__(self, url):
        where = re.search(r"host=([^&]*)&port=(\d+)", url)
        check(where, "no socket's folder in", url)
        name = ".s.PGSQL." + where.group(2)
        self.server = os.path.join(urllib.parse.unquote(where.group(1)), name)
        self.folder = tempfile.mkdtemp(prefix="myqueue-api-")
        self.url = url.replace(where.group(1), urllib.parse.quote(self.folder, safe=""))
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(os.path.join(self.folder, name))
        self.listener.listen()
        self.word, self.held, self.delivered = None, None, None
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client = self.listener.accept()[0]
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.server)
            asked = threading.Event()
            threading.Thread(target=self.requests, args=(client, server, asked), daemon=True).start()
            threading.Thread(target=self.answers, args=(client, server, asked), daemon=True).start()

    def requests(self, client, server, asked):
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 20):
                if self.word and self.word in data:
                    self.word, self.held = None, (server, data)
                    client.shutdown(socket.SHUT_RDWR)
                    return
                if self.held and b"\0resolve\0" in data:  # a Bind message
                    asked.set()
                server.sendall(data)
            server.close()

    def answers(self, client, server, asked):
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 20):
                client.sendall(data)
                if asked.is_set() and self.held:
                    (late, request), self.held = self.held, None
                    with contextlib.suppress(OSError):
                        late.sendall(request)
                    self.delivered = True
            client.close()


@test(POSTGRES)
def a_commit_that_arrives_late(given):
    """It was in the network when the broker asked: it must not be stored after the answer."""
    proxy = LateProxy(given.machine.database())
    broker = given.machine.broker(proxy.url)
    api = broker.api
    producer_id = api.filled("t", 1)
    proxy.word = b"late message"
    api.produce("t", producer_id, "late message", sequence=0).succeeded(offset=1)
    check(proxy.delivered, "nothing came late")
    api.produce("t", producer_id, "next", sequence=1).succeeded(offset=2)
    same(api.read_all("t"), ["m0", "late message", "next"], "messages")
    broker.stop()
    shutil.rmtree(proxy.folder)
