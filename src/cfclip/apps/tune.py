"""`cfclip tune`."""

from dataclasses import dataclass
from functools import partial

from cfclip.apps.bench_work import BenchWork, check_extra
from cfclip.apps.options import INTERRUPTED, OK


@dataclass(frozen=True, kw_only=True)
class Tune(BenchWork):
    """Choose settings of methods, with as many trials for each, on validation avatars and prompts.

    Writes to the folder --out: a row for each edit, trials.jsonl with all trials, and METHOD.json
    with the best, which cfclip bench --tuned takes. Ctrl-C ends after the edit at hand; the same
    command with --resume goes on.
    """

    trials: int = 8
    """Trials of each method; the first has its defaults."""

    def run(self) -> int:
        """Make and measure every trial that is not done yet, then choose."""
        check_extra()

        from cfclip.editing.session import Session
        from cfclip_benchmark.benchmark_folder import BenchmarkFolder
        from cfclip_benchmark.method_choices import choose_methods, parse_files
        from cfclip_benchmark.tuning import choose_settings, open_trials, run_trials

        console = self.console
        files = parse_files(self.files)
        session = Session.open(self.pack, self.device)
        benchmark = self.benchmark(session, "validation")
        names = choose_methods(session.pack, self.methods, files)
        trials = open_trials(
            session.pack, names, files, self.trials, self.seed, self.quick, session.device
        )
        folder = BenchmarkFolder(self.out)
        taken = {trial.name: files.get(trial.method.name, ()) for trial in trials}
        folder.claim({"kind": "tune", **benchmark.about(trials, taken)}, self.resume)
        for warning in session.text_warnings([edit.prompt for edit in benchmark.edits]):
            console.warning(warning)
        outcome = self.watched(console, partial(run_trials, benchmark, trials, folder))
        if outcome is None:
            return INTERRUPTED
        written = choose_settings(trials, folder)
        content = {
            "out": str(self.out),
            "edits": outcome.steps,
            "files": [str(file) for file in written],
            "left_out": outcome.left_out,
        }
        console.result(content, *map(str, written))
        return OK
