"""Doing what is left: notes, results, progress, the page; with the editor in this process."""

import json
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_jobs import job_of, rows_of, write_mapper

from cfclip.batches import (
    BatchFolder,
    BatchRows,
    Results,
    conclude,
    packer_of,
    run_batch,
    write_summary,
)
from cfclip.batches import summary_page as summary
from cfclip.batches.row_editing import BatchJob, Outcome, RowEditor
from cfclip.batches.rows import Place, Row
from cfclip.editing import Session
from cfclip.optim import Progress


class ThisProcess:
    """An engine without workers."""

    def __init__(self, job: BatchJob, repeat: bool = False) -> None:
        self.editor = RowEditor(job)
        self.repeat = repeat

    def __enter__(self) -> "ThisProcess":
        return self

    def __exit__(self, *_: object) -> None: ...

    def run(
        self, chunks: Iterator[Sequence[Row]], stopping: Callable[[], bool]
    ) -> Iterator[list[Outcome]]:
        for chunk in chunks:
            if stopping():
                return
            outcomes = self.editor.edit(chunk)
            yield outcomes
            if self.repeat:
                yield outcomes

    def synthesis_rate(self, seconds: float) -> float:
        return self.editor.synthesis_rate(seconds)


@pytest.fixture(scope="module")
def job(tiny_pack: Path, tmp_path_factory: pytest.TempPathFactory) -> BatchJob:
    folder = tmp_path_factory.mktemp("runs")
    return job_of(tiny_pack, write_mapper(folder / "two", tiny_pack), folder)


GOOD = rows_of("sample:0-9")
BAD = Row("bad", "<b>gone</b>.png", Place("file", path="/nowhere/<b>.png"), "x", 1.0, 0)


def opened(path: Path, rows: Sequence[Row]) -> BatchRows:
    folder = BatchFolder(path)
    folder.claim({}, rows)
    return BatchRows(rows, folder, Results(path))


def test_what_is_left_is_done_once(tmp_path: Path, job: BatchJob) -> None:
    seen: list[Progress] = []
    first = opened(tmp_path, GOOD)
    done = run_batch(first, ThisProcess(job), 4, lambda each: seen.append(each) or each.step < 4)
    assert (done.done, done.failed) == (4, 0)
    assert done.rate > 0
    second = opened(tmp_path, GOOD)
    assert [row.name for row in second.left] == [row.name for row in GOOD[4:]]
    # Some engines do a row twice when a worker dies.
    done = run_batch(second, ThisProcess(job, repeat=True), 4, seen.append)
    assert done.done == 6
    assert [(each.step, each.steps) for each in seen[:2]] == [(4, 10), (8, 10)]
    assert seen[-1].step == 10
    assert seen[-1].seconds_left == 0.0
    assert opened(tmp_path, GOOD).left == []
    lines = conclude(second).read_text().splitlines()
    assert len(lines) == len(GOOD)


def test_a_note_without_a_result_is_no_result(tmp_path: Path, job: BatchJob) -> None:
    """As of a process that was killed between the two."""
    batch = opened(tmp_path, GOOD[:1])
    batch.folder.add_reports([{"name": GOOD[0].name, "status": "done", "error": None}])
    again = opened(tmp_path, GOOD[:1])
    assert again.left == GOOD[:1]
    assert again.failures() == []
    assert conclude(again).read_text() == ""


def test_failures_are_told_and_tried_again(tmp_path: Path, job: BatchJob) -> None:
    rows = [*GOOD[:2], BAD]
    batch = opened(tmp_path, rows)
    assert run_batch(batch, ThisProcess(job), 4, lambda each: None).failed == 1
    ((row, reason),) = batch.failures()
    assert (row, reason) == (BAD, "there is no file <b>.png")
    assert batch.report(BAD)["status"] == "failed"
    assert opened(tmp_path, rows).left == [BAD]


def test_what_failed_before_comes_last(tmp_path: Path, job: BatchJob) -> None:
    run_batch(opened(tmp_path, [BAD]), ThisProcess(job), 4, lambda each: None)
    again = opened(tmp_path, [BAD, *GOOD[:2]])
    outcomes: list[str] = []

    class Noting(ThisProcess):
        def run(
            self, chunks: Iterator[Sequence[Row]], stopping: Callable[[], bool]
        ) -> Iterator[list[Outcome]]:
            for some in super().run(chunks, stopping):
                outcomes.extend(each.name for each in some)
                yield some

    run_batch(again, Noting(job), 1, lambda each: None)
    assert outcomes == [row.name for row in (*GOOD[:2], BAD)]


def test_shards_tell_of_rows_whose_lines_are_lost(tmp_path: Path, job: BatchJob) -> None:
    """As of rows that are left out for a while, or a file that somebody removed."""
    first = opened(tmp_path, GOOD[:2])
    run_batch(first, ThisProcess(job), 4, lambda each: None)
    (tmp_path / "results.jsonl").unlink()
    again = opened(tmp_path, GOOD[1:3])
    shards = Results(tmp_path, packer_of("webdataset"))
    run_batch(replace(again, results=shards), ThisProcess(job), 4, lambda each: None)
    with tarfile.open(shards.file(GOOD[0].name)) as archive:
        for row in GOOD[:3]:
            stream = archive.extractfile(f"{row.name}.json")
            assert stream is not None
            told = json.load(stream)
            assert (told["name"], told["image"]) == (row.name, row.image)


def test_the_page(tmp_path: Path, job: BatchJob, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [*GOOD[:6], BAD]
    batch = opened(tmp_path, rows)
    run_batch(batch, ThisProcess(job), 4, lambda each: None)
    monkeypatch.setattr(summary, "EXAMPLES", 3)
    page = tmp_path / "summary.html"
    session = Session.open(job.pack)
    write_summary(batch, session, {"pack": "<tiny>"}, ["list.csv:3: <i>bad</i>"], page)
    text = page.read_text()
    assert "6 of 8 pictures edited" in text
    assert text.count("<figure>") == 3
    assert text.count("data:image/jpeg") == 6
    assert "&lt;tiny&gt;" in text
    assert "there is no file &lt;b&gt;.png" in text
    assert "list.csv:3: &lt;i&gt;bad&lt;/i&gt;" in text
    for tag in ("<b>", "<i>", "<script", "http://", "https://"):
        assert tag not in text


def test_a_picture_that_is_gone_does_not_spoil_the_page(tmp_path: Path, job: BatchJob) -> None:
    batch = opened(tmp_path, GOOD[:2])
    run_batch(batch, ThisProcess(job), 4, lambda each: None)
    gone = replace(GOOD[0], place=BAD.place)
    shown = BatchRows([gone, GOOD[1]], batch.folder, batch.results)
    write_summary(shown, Session.open(job.pack), {}, [], tmp_path / "summary.html")
    assert (tmp_path / "summary.html").read_text().count("data:image/jpeg") == 2
