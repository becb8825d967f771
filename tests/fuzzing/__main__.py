"""`python -m fuzzing`: see the package."""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

# Before torch is imported: a thread of its own would not be there in a fork, and waited for.
os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
os.environ.update(CUDA_VISIBLE_DEVICES="", COLUMNS="100", HF_HUB_DISABLE_TELEMETRY="1")

from fuzzing.cases import Plan
from fuzzing.report import Report
from fuzzing.runner import Runner
from fuzzing.verdict import problems_of
from fuzzing.warming import prepare


def main() -> int:
    """Run the cases that the command line asks for; 1 if any failed."""
    parser = argparse.ArgumentParser(prog="python -m fuzzing", description=__doc__)
    parser.add_argument("--cases", type=int, default=1000, help="how many")
    parser.add_argument("--processes", type=int, default=20, help="of them as real processes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lanes", type=int, default=os.cpu_count() or 1, help="run at a time")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of cases, instead of all")
    parser.add_argument("--unspoilt", action="store_true", help="first try all that should succeed")
    parser.add_argument("--out", type=Path, default=Path("build/fuzz"), help="for what failed")
    given = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="cfclip-fuzz-"))
    try:
        return _run(given, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run(given: argparse.Namespace, work: Path) -> int:
    print("making well-formed files of every kind", flush=True)
    scene, wrong = prepare(work, given.unspoilt)
    for line in wrong:
        print(f"FAILED unspoilt: {line}", flush=True)
    hostile = sorted(path.name for path in (scene / "hostile").iterdir())
    plan = Plan(given.seed, given.cases, hostile)
    numbers = range(given.cases) if given.only is None else given.only
    (work / "places").mkdir()
    step = max(1, given.cases // given.processes) if given.processes else 0
    repeat = f"make fuzz SEED={given.seed} CASES={given.cases} PROCESSES={given.processes}"
    failures = given.out.absolute()
    report = Report(plan, failures, repeat)
    runner = Runner(
        plan, scene, work / "places", given.lanes, lambda number: bool(step) and number % step == 0
    )
    for done in runner.run(numbers):
        report.add(done, problems_of(done.ended))
    report.conclude()
    if report.failed:
        kept = failures / "scene"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(scene, kept, symlinks=True, ignore=lambda *_: ["hostile"])
    return int(bool(report.failed or wrong))


if __name__ == "__main__":
    sys.exit(main())
