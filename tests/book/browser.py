"""A headless Chromium that opens pages and tells what went wrong, over the DevTools protocol."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import websocket

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
QUIET = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--hide-scrollbars",
]
SECONDS = 60  # to start, and to load a page, on a busy machine


def chromium() -> str | None:
    """The browser of this machine; None where there is none. CHROME names another."""
    return os.environ.get("CHROME") or next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One tab. What a page complains of, and every address it asks for, is kept until asked.

    complaints  exceptions, errors on the console and failed requests since `open`
    requests    addresses since `open`
    """

    def __init__(self, executable: str, folder: Path) -> None:
        command = [executable, *QUIET, "--remote-debugging-port=0", f"--user-data-dir={folder}"]
        self.process = subprocess.Popen(
            [*command, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.loaded = False
        self.number = 0
        self.session: dict[str, str] = {}
        self.socket: Any = None
        port, path = self._address(folder / "DevToolsActivePort")
        self.socket = websocket.create_connection(
            f"ws://127.0.0.1:{port}{path}", timeout=SECONDS, suppress_origin=True
        )
        tab = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=tab, flatten=True)
        self.session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def _address(self, file: Path) -> list[str]:
        """Port and path, which Chromium writes once it listens."""
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            if file.is_file() and len(lines := file.read_text().split()) == 2:
                return lines
            if self.process.poll() is not None:
                raise OSError(f"Chromium ended with code {self.process.returncode}")
            time.sleep(0.05)
        self.close()
        raise OSError(f"Chromium did not start within {SECONDS} s")

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result; events on the way are taken note of."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params, **self.session}
        self.socket.send(json.dumps(message))
        while (answer := json.loads(self.socket.recv())).get("id") != self.number:
            self._note(answer.get("method", ""), answer.get("params", {}))
        if "error" in answer:
            raise OSError(f"{method}: {answer['error']['message']}")
        return dict(answer["result"])

    def _note(self, event: str, params: dict[str, Any]) -> None:
        if event == "Runtime.exceptionThrown":
            self.complaints.append(params["exceptionDetails"].get("text", "exception"))
        elif event == "Runtime.consoleAPICalled" and params["type"] in {"error", "assert"}:
            self.complaints.append(str([value.get("value") for value in params["args"]]))
        elif event == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(params["entry"]["text"])
        elif event == "Network.loadingFailed" and not params.get("canceled"):
            self.complaints.append(params["errorText"])
        elif event == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        self.loaded = self.loaded or event == "Page.loadEventFired"

    def open(self, address: str) -> None:
        """Load a page, to the end of its images and scripts."""
        self.complaints, self.requests, self.loaded = [], [], False
        self.ask("Page.navigate", url=address)
        while not self.loaded:
            answer = json.loads(self.socket.recv())
            self._note(answer.get("method", ""), answer.get("params", {}))

    def value(self, script: str) -> Any:
        """What an expression of JavaScript is on this page."""
        answer = self.ask(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise ValueError(f"{script}: {answer['exceptionDetails']['text']}")
        return answer["result"].get("value")

    def wait_for(self, script: str) -> Any:
        """The value of `script` once it is true."""
        until = time.monotonic() + SECONDS
        while not (value := self.value(script)):
            if time.monotonic() > until:
                raise TimeoutError(f"never true within {SECONDS} s: {script}")
            time.sleep(0.05)
        return value

    def resize(self, width: int, height: int) -> None:
        """Be a screen of this size; below 600 pixels a phone's."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.ask("Emulation.setDeviceMetricsOverride", **size)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
