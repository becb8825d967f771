"""`cfclip train`."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from cfclip.apps.console import stop_requests, watched_run
from cfclip.apps.options import (
    DEFAULT_PRESET,
    INTERRUPTED,
    FaceOptions,
    FastOption,
    OnPack,
    Texts,
)
from cfclip.apps.tasks import check_texts, summarise
from cfclip.encoders import ProjectionConfig
from cfclip.errors import InputError
from cfclip.photos import FaceConfig
from cfclip.settings import check_number
from cfclip.training import TrainingConfig, TrainingPreset

if TYPE_CHECKING:
    from cfclip.editing import Session
    from cfclip.fitting import TrainedMapper, TrainingLatents
    from cfclip.training import OpenText, Processes, Prompts

_INVERSIONS = "inversions"


@dataclass(frozen=True)
class Train(OnPack, FastOption):
    """Train a text mapper, which then makes an edit in one pass (see `cfclip apply`).

    Writes to the folder --out: the best mapper and the last, a checkpoint, a log, and curves and
    pictures for tensorboard. Ctrl-C keeps what is reached; the same command with --resume goes on.
    On several cores or GPUs: torchrun --nproc-per-node 2 -m cfclip train ...
    """

    out: Path
    """Folder of the training; made if needed."""

    text: Texts = ()
    """What the pictures shall show. Given several times, one mapper learns each of them."""

    texts: Path | None = None
    """File with such texts, one a line."""

    open: bool = False
    """Train a mapper of any text (--preset open): it learns what the pack's aspects can say, each
    value and pairs of them, in many wordings. cfclip edit --method instant --files OUT uses it."""

    pairs: int = 300
    """With --open, pairs of values that are learned, of those that there are."""

    leave_out: Path | None = None
    """With --open, file of values that no text shall have, one a line, or two joined by " + " that
    shall not come together."""

    preset: TrainingPreset = DEFAULT_PRESET
    """Whose settings are the defaults of those below: the pack's, or those of a published method
    (docs/BASELINES.md)."""

    latents: Path | None = None
    """What to train on: a folder of pictures, which are inverted, or a file of latents
    (.pt, .npy, .npz, .safetensors), or some of it, as latents.pt:0-999; sampled if not given."""

    inversions: Path | None = None
    """Folder that keeps inverted pictures, to be used again; in --out if not given."""

    start: Path | None = None
    """Earlier mapper to begin with, file or folder: to learn more texts without starting anew."""

    identity_network: Path | None = None
    """Weights of the network for --identity, laid out as model_ir_se50.pth; the pack's if it has
    one."""

    perceptual_network: Path | None = None
    """Weights of the network for --perceptual: vgg19_conv.pth, or torchvision's VGG19."""

    resume: bool = False
    """Go on with the training in --out, which has to have the same settings; one that is finished
    may be given more --steps."""

    checkpoint_seconds: float = 60.0
    """The most work that a power cut can lose."""

    settings: Annotated[TrainingConfig, tyro.conf.arg(name="")] = field(
        default_factory=TrainingConfig
    )
    face: FaceOptions = field(default_factory=FaceConfig)
    projection: ProjectionConfig = field(default_factory=ProjectionConfig)

    def run(self) -> int:
        """Find latents, train, tell; pictures that fail are left out and told at the end."""
        from cfclip.training import gather_prompts

        check_texts(self.text)
        given = None if self.settings.mapper == "open" else gather_prompts(self.text, self.texts)
        if given is None and (self.text or self.texts):
            raise InputError(
                "an open mapper learns the texts of the pack's aspects; leave out --text and "
                "--texts, or --open"
            )

        from cfclip.training import joined

        with joined(self.device) as (processes, device):
            return self._run(given, processes, device)

    def _run(self, given: "Prompts | None", processes: "Processes", device: str) -> int:
        console = self.console
        from cfclip.features import NetworkFiles
        from cfclip.fitting import check_training, train_mapper
        from cfclip.io import alone_in

        session = self.open_session(device)
        prompts = self._open_texts(session) if given is None else given.prompts
        identity = self.identity_network
        if identity is None and self.settings.identity:
            identity = session.pack.identity_file
        networks = NetworkFiles(identity, self.perceptual_network)
        if processes.first:
            with alone_in(self.out):
                warnings = check_training(
                    session,
                    prompts,
                    self.out,
                    self.settings,
                    self.start,
                    self.resume,
                    networks,
                )
            for warning in (*(given.warnings if given else ()), *warnings):
                console.warning(warning)
        processes.agree()  # before work that may take hours
        latents = self._latents(session, processes)
        if latents is None:
            return INTERRUPTED
        with watched_run(console, self.out.name or "training") as watch:
            trained = train_mapper(
                session,
                prompts,
                latents.sets,
                self.out,
                self.settings,
                start=self.start,
                resume=self.resume,
                networks=networks,
                callback=watch,
                checkpoint_seconds=self.checkpoint_seconds,
                processes=processes,
            )
        self._report(trained, latents)
        if not trained.outcome.finished:
            console.error(
                f"stopped at step {trained.outcome.step} of {self.settings.steps}; the same "
                "command with --resume goes on from there"
            )
            return INTERRUPTED
        return summarise(console, latents.failures, latents.pictures)

    def _open_texts(self, session: "Session") -> "tuple[OpenText, ...]":
        """What an open mapper learns, of the pack's aspects."""
        from cfclip.io import named, parse_lines
        from cfclip.training import open_texts, parse_left_out

        check_number("pairs", self.pairs, 0)
        manifest, left_out = session.pack.manifest, None
        if self.leave_out is not None:
            lines = [text for _, text in parse_lines(self.leave_out, str)]
            with named(self.leave_out):
                left_out = parse_left_out(lines, manifest.aspects)
        return open_texts(
            manifest.aspects,
            manifest.source_text,
            manifest.templates,
            left_out,
            self.pairs,
            self.settings.seed,
        )

    def _latents(self, session: "Session", processes: "Processes") -> "TrainingLatents | None":
        """Those that the first process finds, for all; None after Ctrl-C."""
        from cfclip.fitting import TrainingLatents, find_latents
        from cfclip.io import alone_in
        from cfclip.training import shared_latents

        latents = None
        if processes.first:
            try:
                with alone_in(self.out), self.console.progress("finding latents") as update:
                    latents = find_latents(
                        session,
                        self.settings,
                        self.latents,
                        self.inversions or self.out / _INVERSIONS,
                        self.projection,
                        update,
                        self.face,
                    )
            except KeyboardInterrupt:
                self.console.error(
                    "interrupted; inverted pictures are kept, the same command goes on"
                )
            goes_on = processes.agree(latents is not None)
        else:
            with stop_requests():  # which is for the first one to follow
                goes_on = processes.agree()
        if not goes_on:
            return None
        sets = shared_latents(latents.sets if latents else None, processes)
        return replace(latents, sets=sets) if latents else TrainingLatents(sets)

    def _report(self, trained: "TrainedMapper", latents: "TrainingLatents") -> None:
        warnings = (*latents.warnings, *trained.warnings)
        for warning in warnings:
            self.console.warning(warning)
        outcome = trained.outcome
        content = {
            "mapper": str(trained.file),
            **asdict(outcome),
            "failures": latents.failures,
            "warnings": warnings,
        }
        self.console.result(content, str(trained.file))
        if outcome.best_loss is not None:
            self.console.note(
                f"validation loss {outcome.best_loss:.4f}, at step {outcome.best_step}"
            )
