"""A visitor without a browser: speaks to the queue of the web app as its page does."""

import json
import re
import secrets
from typing import Any

import httpx

_LINK = re.compile(r"edits/([\w-]+)/(\d+)/record")
_PATIENCE_SECONDS = 1800.0


class WebClient:
    """One visitor of the app at `url`."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=_PATIENCE_SECONDS)
        self._session = secrets.token_hex(8)
        config = self._http.get("/config").json()
        names = {each["id"]: each["props"].get("elem_id") for each in config["components"]}
        self._functions: dict[tuple[str | None, str], dict[str, Any]] = {}
        for each in config["dependencies"]:
            for component, event in each["targets"]:
                # A click on "Edit" also moves the page, which is no function of the server.
                if each["backend_fn"]:
                    self._functions[names.get(component), event] = each
        self.call(None, "load", [])

    def request(self, field: str | None, event: str, data: Any, about: Any = None) -> Any:
        """What the page sends to trigger an event of a field."""
        return {
            "data": data,
            "fn_index": self._functions[field, event]["id"],
            "session_hash": self._session,
            "trigger_id": None,
            "event_data": about,
        }

    def call(self, field: str | None, event: str, data: list[Any], about: Any = None) -> str:
        """Trigger an event of a field; all that the app said about it."""
        request = self.request(field, event, data, about)
        joined = self._http.post("/gradio_api/queue/join", json=request)
        joined.raise_for_status()
        said = []
        where = f"/gradio_api/queue/data?session_hash={self._session}"
        with self._http.stream("GET", where) as stream:
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    said.append(line)
                    message = json.loads(line.removeprefix("data:"))
                    if message["msg"] == "process_completed":
                        assert message["success"], message
        return "\n".join(said)

    def sample(self, seed: int) -> None:
        """Begin with a sample."""
        assert f"sample {seed}" in self.call("cf-sample", "submit", [seed])

    def upload(self, name: str, content: bytes) -> str:
        """Send a picture, and begin with it; what the app said."""
        answer = self._http.post("/uploads", content=content, headers={"X-File-Name": name})
        answer.raise_for_status()
        return self.call("cf-upload", "click", [], {"upload": answer.text})

    def edit(self, text: str, seed: int, steps: int) -> str | None:
        """Make an edit; the address of its record, None if the app is busy."""
        count = len(self._functions["cf-edit", "click"]["inputs"])
        fields = [text, "optimise", seed, "all", "", steps]
        said = self.call("cf-edit", "click", fields + [None] * (count - len(fields)))
        found = _LINK.findall(said)
        if not found:
            assert "busy:" in said, said[-2000:]
            return None
        token, number = found[-1]
        return f"/edits/{token}/{number}"

    def fetch(self, address: str) -> bytes:
        """A download."""
        answer = self._http.get(address)
        answer.raise_for_status()
        return answer.content

    def close(self) -> None:
        self._http.close()
