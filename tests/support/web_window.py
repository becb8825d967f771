"""A browser window on the web app, by what a person does in it."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_SECONDS = 60
"""A busy machine takes its time; a defect takes for ever."""
DESKTOP = {"width": 1180, "height": 900}
PHONE = {"width": 390, "height": 844}


@contextmanager
def launched_browser() -> Iterator[Any]:
    """The system's chromium, or Playwright's own; the test is skipped if there is neither."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as running:
        found = next(filter(None, map(shutil.which, BROWSERS)), None)
        if found is None and not Path(running.chromium.executable_path).exists():
            pytest.skip("no chromium here: install your system's, or run playwright install")
        # Chromium refuses to run its sandbox as root, which containers usually are.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = running.chromium.launch(executable_path=found, args=arguments)
        yield browser
        browser.close()


class Window:
    """One visitor. What it asks of other hosts, and what fails in it, is noted."""

    def __init__(self, browser: Any, url: str, **options: Any) -> None:
        self.url = url
        self.context = browser.new_context(**{"viewport": DESKTOP, **options})
        self.context.set_default_timeout(PATIENCE_SECONDS * 1000)
        self.page = self.context.new_page()
        self.outside: list[str] = []
        self.broken: list[str] = []
        self.page.on("request", self._note_request)
        self.page.on("console", self._note_message)
        self.page.on("pageerror", lambda error: self.broken.append(str(error)))
        self.page.goto(url)
        self.page.wait_for_selector(".cf-source img")

    def _note_request(self, request: Any) -> None:
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.outside.append(request.url)

    def _note_message(self, message: Any) -> None:
        if message.type == "error":
            self.broken.append(message.text)

    def type(self, text: str) -> None:
        self.page.fill("#cf-text input, #cf-text textarea", text)

    @property
    def typed(self) -> str:
        return str(self.page.input_value("#cf-text input, #cf-text textarea"))

    def open_advanced(self, **fields: float) -> None:
        self.page.click("#cf-advanced > button")
        for label, value in fields.items():
            field = self.page.get_by_label(label.capitalize()).first
            field.wait_for()
            while not field.input_value():  # filled in by the page a moment after it is there
                time.sleep(0.1)
            field.fill(str(value))

    def edit(self, text: str | None = None) -> None:
        """Make an edit and wait for it."""
        if text is not None:
            self.type(text)
        before = self.thumbs().count()
        self.page.click("#cf-edit")
        # Not by the button to stop, which a quick edit shows too shortly to be seen.
        self.page.wait_for_function(
            "count => document.querySelectorAll('.cf-thumb').length > count", arg=before
        )
        self.wait_done()

    def start(self) -> None:
        self.page.click("#cf-edit")
        self.page.wait_for_selector("#cf-stop", state="visible")

    def wait_done(self) -> None:
        self.page.wait_for_selector("#cf-edit", state="visible")
        self.page.wait_for_selector(".cf-compare .cf-after")

    @property
    def told(self) -> str:
        return str(self.page.inner_text("#cf-progress")).strip()

    def wait_told(self, text: str) -> None:
        self.page.locator("#cf-progress", has_text=text).wait_for()

    def result(self) -> str:
        """The picture after, as it is in the page."""
        return str(self.page.get_attribute(".cf-after", "src"))

    def wait_other_result(self, before: str) -> None:
        self.page.wait_for_function(
            "before => document.querySelector('.cf-after')?.src !== before", arg=before
        )

    def upload(self, path: Path) -> None:
        self.page.set_input_files("#cf-upload input[type=file]", path)

    def thumbs(self) -> Any:
        return self.page.locator("#cf-history .cf-thumb")

    def link(self, label: str) -> str:
        found = self.page.get_by_role("link", name=label, exact=True)
        return self.url + str(found.get_attribute("href"))

    def save(self, label: str, folder: Path) -> Path:
        """Click a download and keep the file."""
        with self.page.expect_download() as waiting:
            self.page.get_by_role("link", name=label, exact=True).click()
        path = folder / waiting.value.suggested_filename
        waiting.value.save_as(path)
        return path

    def record(self, folder: Path) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.save("Record", folder).read_text())
        return content

    def close(self) -> None:
        self.context.close()
