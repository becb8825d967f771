"""What the fields of the page do, called as the page calls them."""

import time
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest

from cfclip.apps.web.handlers import FIRST_SAMPLE, Handlers
from cfclip.apps.web.jobs import Job, JobQueue
from cfclip.apps.web.limits import Limits
from cfclip.apps.web.orders import LONGEST_TEXT, OPTIMISATION, SETTINGS
from cfclip.apps.web.page import Page, build_page
from cfclip.apps.web.studio import Studio
from cfclip.apps.web.uploads import Uploads
from cfclip.apps.web.views import Changes
from cfclip.apps.web.visitors import Visitors
from cfclip.editing import Session
from cfclip.fitting import fit_parts, keep_parts
from cfclip.regions import PartsFitConfig

REQUEST = gr.Request(session_hash="a")


@pytest.fixture(scope="module")
def page() -> Page:
    with gr.Blocks():
        return build_page(Limits())


@pytest.fixture
def queue() -> Iterator[JobQueue]:
    made = JobQueue(waiting=3, seconds=60.0)
    yield made
    made.close()


@pytest.fixture
def turns() -> Iterator[JobQueue]:
    made = JobQueue(waiting=3, seconds=60.0)
    yield made
    made.close()


@pytest.fixture
def visitors() -> Visitors:
    return Visitors(Limits())


@pytest.fixture
def uploads() -> Uploads:
    return Uploads(Limits())


@pytest.fixture
def do(
    page: Page,
    queue: JobQueue,
    turns: JobQueue,
    visitors: Visitors,
    tiny_pack: Path,
    uploads: Uploads,
) -> Handlers:
    made = Handlers(page, Studio(str(tiny_pack), {}), visitors, queue, turns, Limits(), uploads)
    made.arrive(REQUEST)
    return made


def edit(do: Handlers) -> Iterator[Changes]:
    return do.edit(REQUEST, "green hair", OPTIMISATION, 0, "", "", 1, *[None] * (len(SETTINGS) - 1))


def test_the_end_of_an_edit_leaves_the_next_one_alone(do: Handlers, visitors: Visitors) -> None:
    first, second = edit(do), edit(do)
    next(first)
    job = visitors.of("a").job
    assert job is not None
    while not job.wait(60.0):
        pass
    next(second)  # before the end of the first is told
    list(first)
    assert visitors.of("a").job not in (None, job)
    list(second)
    assert visitors.of("a").job is None


def test_an_edit_that_waits_is_stopped_at_once(do: Handlers, page: Page, queue: JobQueue) -> None:
    def until_stopped(job: Job[int, str]) -> None:
        while not job.should_stop:
            time.sleep(0.01)

    blocker = queue.submit(until_stopped)
    while not blocker.started:
        time.sleep(0.01)
    waiting = edit(do)
    next(waiting)
    assert "Stopping" not in str(do.stop(REQUEST))  # which could be told after its end
    *_, last = waiting
    assert "Stopped before the edit had begun" in last[page.status]
    assert not blocker.finished


def test_words_are_looked_up_in_a_text_that_could_be_edited(do: Handlers, page: Page) -> None:
    assert "xyzzy" in do.flag("xyzzy", REQUEST)[page.flags]
    assert do.flag(";" * LONGEST_TEXT + "xyzzy", REQUEST)[page.flags] == ""


def test_a_picture_that_comes_during_an_edit_is_not_kept(
    do: Handlers, page: Page, visitors: Visitors, uploads: Uploads
) -> None:
    token = uploads.begin("me.png")
    uploads.extend(token, b"a picture")
    event = gr.EventData(None, {"upload": token})
    visitors.of("a").job = Job(lambda _: None, 60.0)
    assert "still running" in do.take_upload(event, REQUEST)[page.status]
    assert len(uploads) == 0
    assert "did not arrive" in do.take_upload(event, REQUEST)[page.status]


def test_words_are_flagged_for_the_pack_that_is_chosen(do: Handlers, page: Page) -> None:
    assert "that tiny knows" in do.flag("xyzzy", REQUEST)[page.flags]
    assert "that avatars knows" in do.change_pack("avatars", "xyzzy", REQUEST)[page.flags]


def test_a_click_names_the_part_there_and_another_one_takes_it_back(
    page: Page,
    queue: JobQueue,
    turns: JobQueue,
    visitors: Visitors,
    tiny_pack_copy: Path,
    uploads: Uploads,
) -> None:
    session = Session.open(tiny_pack_copy)
    keep_parts(session.pack, fit_parts(session, PartsFitConfig(images=16)))
    studio = Studio(str(tiny_pack_copy), {})
    do = Handlers(page, studio, visitors, queue, turns, Limits(), uploads)
    fields = do.arrive(REQUEST)
    assert fields[page.parts]["visible"]
    name = studio.part_at(studio.sample("tiny", FIRST_SAMPLE), 0.25, 0.75)
    assert name in fields[page.parts]["info"]
    click = gr.EventData(None, {"x": "250", "y": "750"})
    assert do.take_point(click, "", REQUEST) == {page.parts: name}
    assert do.take_point(click, f"zebra, {name}", REQUEST) == {page.parts: "zebra"}
    for x, told in (("-1", "point is"), ("1500", "the point is")):
        spoilt = do.take_point(gr.EventData(None, {"x": x, "y": "0"}), "", REQUEST)
        assert told in spoilt[page.status]


def test_a_pack_without_parts_is_not_asked_for_them(do: Handlers, page: Page) -> None:
    assert not do.arrive(REQUEST)[page.parts]["visible"]
    click = gr.EventData(None, {"x": "250", "y": "750"})
    assert do.take_point(click, "", REQUEST) == {page.parts: gr.update()}
