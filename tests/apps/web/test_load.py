"""Many visitors at once: everybody gets what they asked for, or is told that the app is busy."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from web_client import WebClient
from web_server import Served, served

from cfclip import Session
from cfclip.provenance import image_sha256

pytestmark = pytest.mark.slow

REQUESTS = int(os.environ.get("CFCLIP_WEB_REQUESTS", "64"))
"""The figures of docs/WEB.md are of 400, with the pack avatars."""
PACK = os.environ.get("CFCLIP_WEB_PACK", "")
"""A tiny pack of random models if none is named."""
AT_ONCE = 8
STEPS = 5
WARM = 50
"""Requests after which the memory has to stay as it is."""
HISTORY = 4
FLAT = 1.05
"""Largest memory after that, as a share of what it was then."""
COMPARE_EVERY = 8 if PACK else 1
"""Which results are compared with the edit that the library makes alone."""
PROMPTS = ("green hair", "red skin", "blue hair", "a smile")


@dataclass
class Outcome:
    """What came of all requests."""

    wrong: list[str] = field(default_factory=list)
    pixels: dict[int, str] = field(default_factory=dict)
    """Number of a request to the hash of its picture."""
    memory: list[float] = field(default_factory=list)
    """Megabytes after each request, in their order."""


def visit(app: Served, numbers: range, outcome: Outcome) -> None:
    """Make the edits of these numbers one after the other, as one visitor."""
    client = WebClient(app.url)
    for number in numbers:
        client.sample(number)
        address = client.edit(prompt_of(number), seed=seed_of(number), steps=STEPS)
        outcome.memory.append(app.resident_megabytes())
        if address is None:
            outcome.wrong.append(f"{number}: busy")
            continue
        record = json.loads(client.fetch(f"{address}/record"))
        with Image.open(BytesIO(client.fetch(f"{address}/picture"))) as opened:
            outcome.pixels[number] = image_sha256(opened)
        found = (record["source"]["seed"], record["seed"], record["prompts"], record["steps"])
        if found != (number, seed_of(number), [prompt_of(number)], STEPS):
            outcome.wrong.append(f"{number}: {found}")
        if outcome.pixels[number] != record["outputs"][0]["pixels_sha256"]:
            outcome.wrong.append(f"{number}: another picture than the record's")
    client.close()


def prompt_of(number: int) -> str:
    return PROMPTS[number % len(PROMPTS)]


def seed_of(number: int) -> int:
    return 1000 + number


def test_many_requests_at_once(tiny_pack: Path) -> None:
    outcome = Outcome()
    share = REQUESTS // AT_ONCE
    # The histories of all visitors are full before the memory has to stay as it is.
    with served("--pack", PACK or tiny_pack, "--limits.history", HISTORY) as app:
        began = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            parts = [range(v * share, (v + 1) * share) for v in range(AT_ONCE)]
            for each in [pool.submit(visit, app, part, outcome) for part in parts]:
                each.result()
        seconds = time.monotonic() - began
    used = outcome.memory
    curve = ", ".join(f"{used[i]:.0f}" for i in range(0, len(used), WARM // 2))
    print(
        f"\n{len(used)} edits of {STEPS} steps, {AT_ONCE} at once: {seconds:.0f} s, "
        f"{len(used) / seconds:.2f} a second; memory after every {WARM // 2}: {curve} MB, "
        f"in the end {used[-1]:.0f} MB"
    )
    assert outcome.wrong == []
    assert len(outcome.pixels) == len(used) == share * AT_ONCE
    if len(used) > WARM:
        assert max(used[WARM:]) <= FLAT * used[WARM - 1]
    session = Session.open(PACK or tiny_pack)
    for number in range(0, len(used), COMPARE_EVERY):
        direct = session.edit(
            f"sample:{number}", prompt_of(number), seed=seed_of(number), steps=STEPS
        )
        assert image_sha256(direct.image) == outcome.pixels[number]


def test_who_comes_too_much_is_told_to_wait(tiny_pack: Path) -> None:
    with served("--pack", tiny_pack, "--limits.waiting", "1", "--limits.seconds", "5") as app:
        clients = [WebClient(app.url) for _ in range(5)]
        with ThreadPoolExecutor(len(clients)) as pool:
            edits = [pool.submit(each.edit, "green hair", 0, 500) for each in clients]
            addresses = [each.result() for each in edits]
        assert addresses.count(None) >= 2  # one runs, one waits; slow ones may come later
        served_ones = [each for each in zip(clients, addresses, strict=True) if each[1]]
        assert served_ones
        for client, address in served_ones:
            assert json.loads(client.fetch(f"{address}/record"))["prompts"] == ["green hair"]
        for client in clients:
            client.close()
