"""proxy.py - a wire between the broker and PostgreSQL that can be cut at a chosen instant.

    broker -- 127.0.0.1:port -- Proxy -- the server (its Unix socket, or host and port)

Connections are passed through until a test asks for a fault. A fault is for the next exchange on
any connection that is logged in; the `struck` event tells that it has happened.
"""

import contextlib
import re
import select
import socket
import threading
import urllib.parse

from driver import check

LOSE_REQUEST = "lose the request"  # it never reaches the server
LOSE_REPLY = "lose the reply"      # the server has done it, and nobody is told


class Proxy:
    def __init__(self, server_url):
        found = re.match(r"^(postgres(?:ql)?)://([^@/]*@)?([^/?]*)/([^?]*)(?:\?(.*))?$", server_url)
        check(found, "not a postgres:// URL with a database:", server_url)
        scheme, user, place, database, query = found.groups()
        options = dict(urllib.parse.parse_qsl(query or ""))
        host, _, port = place.rpartition(":") if ":" in place else (place, "", "")
        host, port = options.get("host", host), options.get("port", port) or "5432"
        if host.startswith("/"):
            self.server = (socket.AF_UNIX, "%s/.s.PGSQL.%s" % (host, port))
        else:
            self.server = (socket.AF_INET, (host or "127.0.0.1", int(port)))
        self.fault = None
        self.struck = threading.Event()
        self.refusing = False  # new connections are closed at once
        self.thawed = threading.Event()  # while not set nothing passes, either way
        self.thawed.set()
        self.open = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "%s://%s127.0.0.1:%d/%s" % (scheme, user or "",
                                               self.listener.getsockname()[1], database)
        threading.Thread(target=self._accept, daemon=True).start()

    def strike(self, fault):
        """The next exchange meets this fault, and its connection ends."""
        self.struck.clear()
        self.fault = fault

    def close(self):
        self.thawed.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for one in list(self.open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return  # closed
            if self.refusing:
                client.close()
            else:
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client):
        server = socket.socket(self.server[0])
        self.open |= {client, server}
        try:
            server.connect(self.server[1])
            self._exchange(client, server)
        except OSError:
            pass  # one side is gone: so is the other
        finally:
            self.open -= {client, server}
            client.close()
            server.close()

    def _exchange(self, client, server):
        logged_in = losing_reply = False
        while True:
            ready, _, _ = select.select([client, server], [], [])
            self.thawed.wait()
            for source in ready:
                data = source.recv(1 << 20)
                if not data:
                    return
                # ReadyForQuery ends a reply: by then the server has committed.
                reply_ends = source is server and data[-6:-1] == b"Z\x00\x00\x00\x05"
                logged_in = logged_in or reply_ends
                if source is client and logged_in and self.fault == LOSE_REQUEST:
                    return self._strike()
                if source is client and logged_in and self.fault == LOSE_REPLY:
                    losing_reply = True
                if source is server and losing_reply:
                    if reply_ends:
                        return self._strike()
                    continue
                (server if source is client else client).sendall(data)

    def _strike(self):
        self.fault = None
        self.struck.set()
