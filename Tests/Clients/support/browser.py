"""Headless Chromium, spoken to over a pipe in its DevTools protocol. Python's standard library only."""

import base64
import fcntl
import json
import os
import pathlib
import select
import shutil
import subprocess
import tempfile
import time

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def high_pipe():
    """A pipe whose ends are none of the descriptors (3 and 4) that Chromium has to have for its own."""
    ends = []
    for end in os.pipe():
        ends.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10))
        os.close(end)
    return ends


class Browser:
    """One Chromium with a profile of its own."""

    def __init__(self, program=CHROMIUM):
        self.profile = tempfile.mkdtemp(prefix="martlet-chromium-")
        to_browser, own_out = high_pipe()
        own_in, from_browser = high_pipe()
        flags = [
            program, "--headless=new", "--remote-debugging-pipe", f"--user-data-dir={self.profile}", "--disable-gpu",
            "--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-sync",
            "--disable-component-update", "--disable-default-apps", "--hide-scrollbars", "--no-proxy-server",
            "--disable-dev-shm-usage",
        ]
        if os.geteuid() == 0:
            flags.append("--no-sandbox")  # Chromium refuses to be root's with one
        script = f'exec "$@" 3<&{to_browser} 4>&{from_browser} {to_browser}<&- {from_browser}>&-'
        self.process = subprocess.Popen(
            ["bash", "-c", script, "chromium", *flags, "about:blank"], pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )
        os.close(to_browser)
        os.close(from_browser)
        self.out, self.input = own_out, own_in
        self.buffer = b""
        self.last_id = 0
        self.answers = {}
        self.pages = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.command("Browser.close", seconds=5)
        except (OSError, TimeoutError, RuntimeError):
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.out)
        os.close(self.input)
        shutil.rmtree(self.profile, ignore_errors=True)

    def command(self, method, session=None, seconds=30, **parameters):
        self.last_id += 1
        number = self.last_id
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.out, data) :]
        deadline = time.monotonic() + seconds
        while number not in self.answers:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{method} was not answered in {seconds} s")
            self.read(deadline - time.monotonic())
        answer = self.answers.pop(number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def read(self, seconds):
        """Takes what comes within the time; events go to their pages."""
        ready, _, _ = select.select([self.input], [], [], max(0, seconds))
        if not ready:
            return
        part = os.read(self.input, 1 << 20)
        if not part:
            raise OSError("Chromium has ended")
        self.buffer += part
        *messages, self.buffer = self.buffer.split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self.answers[message["id"]] = message
            elif message.get("sessionId") in self.pages:
                self.pages[message["sessionId"]].take(message["method"], message["params"])

    def page(self, width=1280, height=900, scale=1, dark=False):
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self.pages[session] = Page(self, session, target)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.command(f"{domain}.enable")
        page.resize(width, height, scale)
        page.command("Emulation.setFocusEmulationEnabled", enabled=True)
        page.command(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )
        return page


class Page:
    def __init__(self, browser, session, target):
        self.browser, self.session, self.target = browser, session, target
        #: What a person would see on the browser's console: (kind, text, url).
        self.complaints = []
        #: The URLs of all requests.
        self.requests = []

    def command(self, method, **parameters):
        return self.browser.command(method, self.session, **parameters)

    def resize(self, width, height, scale=1, mobile=False):
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=mobile
        )

    def take(self, method, parameters):
        if method == "Runtime.consoleAPICalled":
            text = " ".join(str(part.get("value", part.get("description"))) for part in parameters["args"])
            self.complaints.append((parameters["type"], text, ""))
        elif method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            text = details.get("exception", {}).get("description", details["text"])
            self.complaints.append(("exception", text, details.get("url", "")))
        elif method == "Log.entryAdded":
            entry = parameters["entry"]
            self.complaints.append((entry["source"], entry["text"], entry.get("url", "")))
        elif method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])

    def open(self, url):
        self.command("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def evaluate(self, expression):
        answer = self.command("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait(self, expression, seconds=15):
        """Until the expression is true; its value."""
        deadline = time.monotonic() + seconds
        while True:
            value = self.evaluate(expression)
            if value:
                return value
            if time.monotonic() > deadline:
                text = self.evaluate("document.body.innerText")
                raise AssertionError(f"not within {seconds} s: {expression}\nThe page says:\n{text}")
            self.browser.read(0.05)

    def text(self, selector):
        return self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? null")

    def click(self, selector):
        """Where the element's middle is, with the mouse: what lies over it would get the click."""
        box = self.wait(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); if (!e) return null;"
            "e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect();"
            "return b.width ? {x: b.x + b.width / 2, y: b.y + b.height / 2} : null })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.command("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **box)

    def press(self, key, code=None, **more):
        for kind in ("keyDown", "keyUp"):
            self.command("Input.dispatchKeyEvent", type=kind, key=key, code=code or key, **more)

    def type(self, selector, text):
        """In the place of what is there."""
        self.click(selector)
        self.evaluate(f"document.querySelector({json.dumps(selector)}).select()")
        if text:
            self.command("Input.insertText", text=text)
        else:
            self.press("Delete", windowsVirtualKeyCode=46)

    def screenshot(self, path, whole=False):
        picture = self.command("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        pathlib.Path(path).write_bytes(base64.b64decode(picture["data"]))
