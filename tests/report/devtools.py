"""A headless Chromium spoken to over a pipe (Chrome DevTools Protocol): no port, no extra dependency.

with Chromium(width=1400, height=900) as browser:
    browser.open(path)            returns when body[data-ready] is there
    browser.press("ArrowDown")
    browser.evaluate("window.stepscope.state()")
    browser.screenshot()          PNG bytes
    browser.complaints            console errors, uncaught exceptions, refused requests
"""

import base64
import json
import os
import select
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

EXECUTABLE = Path("/usr/bin/chromium")

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
_KEY_CODES = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, " ": 32, "Tab": 9, "Enter": 13}
_PATIENCE = 60.0


class Chromium:
    """One page of a fresh browser, emulating a screen.

    Args:
        width: Of the window, CSS pixels.
        height: Of the window, CSS pixels.
        dark: Prefer a dark colour scheme.
        scale: Device pixels a CSS pixel.
    """

    def __init__(self, width: int = 1400, height: int = 900, *, dark: bool = False, scale: int = 1) -> None:
        self.complaints: list[str] = []
        self._metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600}
        self._scheme = "dark" if dark else "light"
        self._last, self._unread, self._session = 0, b"", None

    def __enter__(self) -> Self:
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        to_read, self._to = os.pipe()
        self._from, from_write = os.pipe()
        command = [str(EXECUTABLE), *_FLAGS, f"--user-data-dir={self._profile.name}", "about:blank"]
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec 3<&{to_read} 4>&{from_write}; exec "$@"', "bash", *command],
            pass_fds=(to_read, from_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(from_write)
        self._attach()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(_PATIENCE)
        os.close(self._to)
        os.close(self._from)
        self._profile.cleanup()

    def open(self, page: Path, fragment: str = "") -> None:
        """Open a file and wait until the page says that it is ready."""
        self._call("Page.navigate", url=page.resolve().as_uri() + (f"#{fragment}" if fragment else ""))
        end = time.monotonic() + _PATIENCE
        while not self.evaluate("document.body?.hasAttribute('data-ready') ?? false"):
            if time.monotonic() > end:
                raise TimeoutError(f"The page never became ready; it said: {self.complaints or 'nothing'}")
            time.sleep(0.05)

    def evaluate(self, expression: str) -> Any:
        """Return the JSON value of an expression in the page."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"]["description"])
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key, as a keyboard would."""
        facts = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": _KEY_CODES[key]}
        self._call("Input.dispatchKeyEvent", type="keyDown", **facts, **({"text": " "} if key == " " else {}))
        self._call("Input.dispatchKeyEvent", type="keyUp", **facts)

    def click(self, selector: str) -> None:
        """Click the middle of an element."""
        box = self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); "
            "e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect(); "
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def screenshot(self, *, whole: bool = False) -> bytes:
        """Return a PNG of the window, or of the whole page."""
        return base64.b64decode(
            self._call("Page.captureScreenshot", captureBeyondViewport=whole, **self._clip(whole))["data"]
        )

    def _clip(self, whole: bool) -> dict[str, Any]:
        if not whole:
            return {}
        size = self._call("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {**size, "scale": 1}}

    def _attach(self) -> None:
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")
        self._call("Emulation.setDeviceMetricsOverride", **self._metrics)
        features = [{"name": "prefers-color-scheme", "value": self._scheme}]
        self._call("Emulation.setEmulatedMedia", features=features)

    def _call(self, method: str, **params: object) -> dict[str, Any]:
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._last:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self._hear(answer)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            if not select.select([self._from], [], [], _PATIENCE)[0]:
                raise TimeoutError("Chromium does not answer.")
            chunk = os.read(self._from, 1 << 16)
            if not chunk:
                raise RuntimeError(f"Chromium ended with status {self._process.wait(_PATIENCE)}.")
            self._unread += chunk
        message, _, self._unread = self._unread.partition(b"\0")
        return json.loads(message)

    def _hear(self, event: dict[str, Any]) -> None:
        """Keep what the page complains about."""
        params = event.get("params", {})
        if event["method"] == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif event["method"] == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append(" ".join(str(a.get("value", a.get("description"))) for a in params["args"]))
        elif event["method"] == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(params["entry"]["text"])
