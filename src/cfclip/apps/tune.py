"""`cfclip tune`."""

from dataclasses import dataclass

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

        from cfclip_benchmark import choose_settings, trials_of

        session = self.open_session()
        benchmark = self.benchmark(session, "validation")
        methods = self.chosen_methods(session)
        trials = [trial for each in methods for trial in trials_of(each, self.trials, self.seed)]
        measured = self.measured("tune", benchmark, trials, oracle=False)
        if measured is None:
            return INTERRUPTED
        folder, edited, outcome = measured
        self.report(outcome, choose_settings(edited, folder))
        return OK
