"""Visitors: what is theirs is found by their secret only, and forgotten when they go."""

from dataclasses import replace
from pathlib import Path

import pytest

from cfclip import EditResult, Session
from cfclip.apps.web import pieces
from cfclip.apps.web.jobs import BusyError, Job
from cfclip.apps.web.limits import Limits
from cfclip.apps.web.orders import OPTIMISATION, Order
from cfclip.apps.web.pieces import DOWNLOADS
from cfclip.apps.web.result_files import download
from cfclip.apps.web.studio import READING, Stage
from cfclip.apps.web.visitors import KeptEdit, Start, Visitor, Visitors
from cfclip.editors import LatentOptimisationConfig
from cfclip.errors import InputError
from cfclip.provenance import inspect_picture

ORDER = Order("<i>;b", ("<i>", "b"), OPTIMISATION, 1, "all", "", LatentOptimisationConfig())


@pytest.fixture(scope="module")
def result(tiny_pack: Path) -> EditResult:
    return Session.open(tiny_pack).edit("sample:1", ["green hair"], seed=2)


def start_of(result: EditResult) -> Start:
    return Start("tiny", result.source, "sample 1", lambda _: None)  # type: ignore[arg-type,return-value]


def test_a_window_is_one_visitor_and_two_are_two() -> None:
    visitors = Visitors(Limits())
    one, other = visitors.of("a"), visitors.of("b")
    assert visitors.of("a") is one
    assert one is not other
    assert visitors.by_token(one.token) is one
    for wrong in ("", "x", one.token[:-1], one.token + "x", "é"):
        assert visitors.by_token(wrong) is None
    for key in (None, "", "x" * 1000):
        with pytest.raises(InputError, match="load the page again"):
            visitors.of(key)


def test_there_is_room_for_so_many() -> None:
    visitors = Visitors(Limits(visitors=1, grace_seconds=0))
    visitors.of("a").gave_picture = True
    with pytest.raises(BusyError, match="1 visitors are here"):
        visitors.of("b")
    visitors.leave("a")
    visitors.leave("nobody")
    assert visitors.forget_old() == 1
    visitors.of("b")


def test_names_that_made_nothing_keep_nobody_out() -> None:
    visitors = Visitors(Limits(visitors=4))
    honest = visitors.of("honest")
    honest.gave_picture = True
    for number in range(100):
        visitors.of(f"invented-{number}")
    assert len(visitors) == 4
    assert visitors.of("honest") is honest
    newcomer = visitors.of("newcomer")
    assert visitors.of("newcomer") is newcomer


def test_of_too_many_who_was_away_for_long_makes_room() -> None:
    visitors = Visitors(Limits(visitors=2, idle_minutes=10))
    away, busy = visitors.of("away"), visitors.of("busy")
    away.gave_picture, busy.job = True, Job(lambda _: None, 60.0)
    busy.seen -= 65.0
    with pytest.raises(BusyError):
        visitors.of("c")
    away.seen -= 65.0
    visitors.of("c")
    assert visitors.of("busy") is busy
    assert visitors.by_token(away.token) is None


def test_who_leaves_is_forgotten_with_the_job_unless_coming_back() -> None:
    visitors = Visitors(Limits(grace_seconds=3600, idle_minutes=1e-9))
    visitor = visitors.of("a")

    def work(job: Job[None, None]) -> None:
        assert visitors.forget_old() == 0  # idle for long, but at work
        visitors.leave("a")
        assert job.should_stop
        assert visitors.forget_old() == 0  # may come back
        visitors.of("a")

    visitor.job = job = Job(work, 60.0)
    job.run()
    assert job.error is None
    assert visitors.forget_old() == 1
    assert visitors.by_token(visitor.token) is None


def test_the_history_is_bounded_and_gone_back_in(result: EditResult) -> None:
    visitor = Visitor(Limits(history=2))
    kept = [visitor.keep(ORDER, start_of(result), result) for _ in range(3)]
    assert list(visitor.edits) == [2, 3]
    assert visitor.edit() is kept[2]
    with pytest.raises(InputError, match="not there any more"):
        visitor.choose(1)
    assert visitor.choose(2) is kept[1]
    assert visitor.start is kept[1].start
    shown = visitor.show(2, 0.5)
    assert shown.shown.strength == visitor.edit().shown.strength == 0.5
    assert visitor.edit(3).shown.strength == 1.0
    with pytest.raises(InputError, match="strength"):
        visitor.show(2, 1e9)
    with pytest.raises(InputError, match="not there"):
        Visitor(Limits()).edit()


def test_one_edit_at_a_time_for_each() -> None:
    visitor = Visitor(Limits())
    visitor.check_idle()
    visitor.job = Job(lambda _: None, 60.0)
    with pytest.raises(BusyError, match="still running"):
        visitor.check_idle()
    visitor.job.run()
    visitor.check_idle()


@pytest.mark.parametrize("kind", DOWNLOADS)
def test_downloads_are_whole_files_at_the_strength(
    result: EditResult, tmp_path: Path, kind: str
) -> None:
    made = download(result.at_strength(0.5), kind, tmp_path)
    path = tmp_path / made.name
    path.write_bytes(made.content)
    assert path.name.startswith("sample-1_green-hair")
    if kind == "record":
        assert b'"strength": 0.5' in made.content
        assert b'"path"' not in made.content
    else:
        found = inspect_picture(path).provenance
        assert found is not None
        assert (found.prompts, found.seed) == (("green hair",), 2)


def test_other_downloads_are_refused(result: EditResult, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="picture, strip, sweep, record"):
        download(result, "../record", tmp_path)


def test_whatever_is_shown_is_escaped(result: EditResult) -> None:
    odd = replace(result, prompts=("<script>",), warnings=("<b>",))
    kept = KeptEdit(4, ORDER, start_of(odd), odd)
    for html in (
        pieces.history([kept], 4),
        pieces.comparison(odd.source, odd.image, "<script>"),
        pieces.picture(odd.image, "<script>", "<script>"),
        pieces.source_card(odd.image, "<script>"),
        pieces.problem("<script>"),
        pieces.choices(['<script>"'], "Try"),
        pieces.flags("<script>", [("<script>", ("<b>",))], "<script>"),
        pieces.outcome(kept, False, 0.5),
        pieces.download_links('"><script>', kept),
    ):
        assert "<script" not in html
        assert "<b>&lt;" not in html or "&lt;script&gt;" in html


def test_progress_and_endings_are_told(result: EditResult) -> None:
    assert "step 3 of 60, about 19 s left" in pieces.progress(Stage("Editing", 3, 60, 1.0))
    assert "left" not in pieces.progress(Stage("Editing", 0, 60, 1.0))
    assert "2.0 min left" in pieces.progress(Stage("Editing", 1, 61, 2.0))
    reading = pieces.progress(Stage(READING, 3, 60, 1.0))
    assert "step 3 of 60, about 19 s left, then the edit" in reading
    assert "Starting" in pieces.waiting(0)
    assert "one edit is before" in pieces.waiting(1)
    assert "4 edits are before" in pieces.waiting(4)
    kept = KeptEdit(1, ORDER, start_of(result), result)
    assert "3 steps. 25% of the picture changed" in pieces.outcome(kept, False, 0.25)
    stopped = replace(result, record={**result.record, "stopped_from_outside": True}, steps=1)
    ended = replace(kept, shown=stopped)
    assert "Stopped after 1 step;" in pieces.outcome(ended, False, 0)
    assert "The time limit ended it" in pieces.outcome(ended, True, 0)
    at_once = replace(kept, shown=replace(stopped, steps=0))
    assert "Stopped before its first step;" in pieces.outcome(at_once, False, 0)
    assert "Stopped before the edit had begun" in pieces.nothing_made(False)
    assert "The time limit ended it before the edit" in pieces.nothing_made(True)


def test_near_words_replace_the_unknown_one() -> None:
    html = pieces.flags("A Grean hat; b", [("grean", ("green",)), ("hat", ())], "tiny")
    assert 'data-choice="A green hat; b"' in html
    assert "It may have no effect" in html
    html = pieces.flags("a sharp Har; har-red", [("har", ("hair",))], "tiny")
    assert 'data-choice="a sharp hair; har-red"' in html
    assert pieces.flags("green", [], "tiny") == ""
    assert pieces.choices((), "Try") == ""
    assert "listed here" in pieces.history((), None)
