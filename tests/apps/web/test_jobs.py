"""The queue behind the page: one at a time, in order, bounded, and every job can be stopped."""

import threading
import time
from collections.abc import Iterator

import pytest

from cfclip.apps.web.jobs import BusyError, Job, JobQueue

LONG = 60.0


@pytest.fixture
def queue() -> Iterator[JobQueue]:
    made = JobQueue(waiting=3, seconds=LONG)
    yield made
    made.close()


def until_stopped(job: Job[int, str]) -> str:
    """Work that ends only when it is asked to, with how often it had looked."""
    looks = 0
    while not job.should_stop:
        looks += 1
        job.report(looks)
        time.sleep(0.01)
    return "kept"


def finish(job: Job[int, str]) -> None:
    while not job.wait(LONG):
        pass


def test_one_at_a_time_in_the_order_of_coming(queue: JobQueue) -> None:
    running, most, order = 0, 0, []
    lock = threading.Lock()

    def work(number: int) -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1
            order.append(number)
        return str(number)

    blocker: Job[int, str] = queue.submit(until_stopped)
    while not blocker.started:
        time.sleep(0.01)
    jobs: list[Job[int, str]] = [queue.submit(lambda _, n=n: work(n)) for n in range(3)]
    assert [queue.ahead(job) for job in (blocker, *jobs)] == [0, 1, 2, 3]
    with pytest.raises(BusyError, match="3 others are waiting, which is the limit"):
        queue.submit(until_stopped)
    blocker.stop()
    for job in jobs:
        finish(job)
    assert (order, most) == ([0, 1, 2], 1)
    assert [job.result for job in jobs] == ["0", "1", "2"]
    assert blocker.result == "kept"
    assert queue.ahead(jobs[0]) == 0


def test_a_waiting_job_that_is_stopped_never_starts_and_makes_room(queue: JobQueue) -> None:
    blocker: Job[int, str] = queue.submit(until_stopped)
    while not blocker.started:
        time.sleep(0.01)
    waiting: list[Job[int, str]] = [queue.submit(until_stopped) for _ in range(3)]
    waiting[0].stop()
    assert waiting[0].finished  # at once, not when its turn would have come
    assert queue.ahead(waiting[1]) == 1
    late: Job[int, str] = queue.submit(until_stopped)
    late.stop()
    for job in (blocker, *waiting[1:]):
        job.stop()
        finish(job)
    finish(waiting[0])
    assert not waiting[0].started
    assert waiting[0].result is None


def test_news_wake_who_waits_for_them(queue: JobQueue) -> None:
    told = threading.Event()

    def work(job: Job[int, str]) -> str:
        told.wait(LONG)
        job.report(5)
        return until_stopped(job)

    job: Job[int, str] = queue.submit(work)
    assert job.wait(0.05) is False
    assert job.progress is None
    told.set()
    began = time.monotonic()
    assert job.wait(LONG) is False
    assert time.monotonic() - began < LONG / 2
    assert job.progress is not None
    job.stop()
    finish(job)


def test_time_is_limited() -> None:
    queue = JobQueue(waiting=1, seconds=0.1)
    job: Job[int, str] = queue.submit(until_stopped)
    finish(job)
    assert job.timed_out
    assert job.result == "kept"
    queue.close()


def test_an_error_ends_a_job_and_not_the_queue(queue: JobQueue) -> None:
    def fail(job: Job[int, str]) -> str:
        raise ValueError("broken")

    job: Job[int, str] = queue.submit(fail)
    finish(job)
    assert isinstance(job.error, ValueError)
    following: Job[int, str] = queue.submit(lambda _: "fine")
    finish(following)
    assert following.result == "fine"


def test_closing_ends_everything() -> None:
    queue = JobQueue(waiting=2, seconds=LONG)
    jobs: list[Job[int, str]] = [queue.submit(until_stopped) for _ in range(2)]
    queue.close()
    assert all(job.finished for job in jobs)
    with pytest.raises(BusyError):
        queue.submit(until_stopped)
