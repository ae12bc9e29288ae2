"""A headless Chromium that opens pages, looks at them and draws them.

    with Browser() as browser:
        page = browser.open(path, width=390, dark=True)
        page.value("document.title")        what a JavaScript expression gives
        page.complaints                     errors, warnings and blocked requests
        page.picture("out.png")             the whole page

It is spoken to over two pipes (the DevTools protocol, JSON ended by NUL), so that nothing
but Chromium itself is needed, and pages that allow no script can be looked into.
"""
import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
LIMIT_S = 60


def find():
    """Chromium's path, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="myqueue-browser-")
        there, self.output = os.pipe()  # it reads from 3 and writes to 4
        self.input, back = os.pipe()
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", f'exec "$@" 3<&{there} 4>&{back}', "sh", find(), "--headless",
             "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             "--hide-scrollbars", "--disable-dev-shm-usage", f"--user-data-dir={self.home}",
             "--remote-debugging-pipe", "about:blank"],
            pass_fds=(there, back), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env={**os.environ, "HOME": self.home})
        os.close(there)
        os.close(back)
        self.number = 0
        self.rest = b""
        self.listeners = {}  # session -> function(event)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.input)
        os.close(self.output)
        shutil.rmtree(self.home, ignore_errors=True)

    def take(self, end):
        """The next message from it."""
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.input], [], [], max(0, end - time.monotonic()))
            chunk = os.read(self.input, 1 << 20) if ready else b""
            if not chunk:
                raise RuntimeError("Chromium ended" if ready else f"no answer in {LIMIT_S} s")
            self.rest += chunk
        message, _, self.rest = self.rest.partition(b"\0")
        return json.loads(message)

    def until(self, condition):
        """Take messages until one meets the condition; events go to their page."""
        end = time.monotonic() + LIMIT_S
        while True:
            message = self.take(end)
            if "method" in message:
                self.listeners.get(message.get("sessionId"), lambda _: None)(message)
            if condition(message):
                return message

    def call(self, method, session=None, **parameters):
        self.number += 1
        number = self.number
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.output, json.dumps(message).encode() + b"\0")
        answer = self.until(lambda m: m.get("id") == number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def open(self, path, width=1200, height=900, dark=False):
        return Page(self, Path(path).resolve().as_uri(), width, height, dark)


class Page:
    def __init__(self, browser, url, width, height, dark):
        self.browser = browser
        self.width = width
        self.height = height
        self.complaints = []
        self.loaded = False
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target,
                                    flatten=True)["sessionId"]
        browser.listeners[self.session] = self.listen
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.call("Page.navigate", url=url)
        if not self.loaded:
            browser.until(lambda _: self.loaded)

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def listen(self, event):
        method, parameters = event["method"], event["params"]
        if method == "Page.loadEventFired":
            self.loaded = True
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(parameters["exceptionDetails"]["text"])
        elif method == "Log.entryAdded":
            self.complaints.append(parameters["entry"]["text"])
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(str(parameters["args"]))

    def value(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def picture(self, path, height=None):
        height = height or self.value("document.documentElement.scrollHeight")
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                         clip={"x": 0, "y": 0, "width": self.width, "height": height, "scale": 1})
        Path(path).write_bytes(base64.b64decode(data["data"]))
