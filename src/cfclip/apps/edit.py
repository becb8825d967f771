"""`cfclip edit`."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cfclip.apps.edit_work import EditWork, Saving
from cfclip.apps.options import (
    FaceOptions,
    FastOption,
    Images,
    MethodFiles,
    MethodName,
    MethodSettings,
    PackWork,
    Paste,
    PasteOptions,
    Points,
    Strengths,
    Texts,
    as_settings,
    chosen_strengths,
    optimisation_options,
)
from cfclip.apps.tasks import (
    check_photos,
    find_tasks,
    pictures_and_texts,
)
from cfclip.editing import OPTIMISATION, method_named
from cfclip.encoders import ProjectionConfig, TuningConfig
from cfclip.errors import InputError
from cfclip.photos import FaceConfig

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Edit(PackWork, FastOption):
    """Change pictures until they show a text.

    Writes per picture the edited PNG, a before/after strip, and a JSON record from which
    `cfclip rerun` makes the same image again.
    """

    images: Images
    """Picture files, folders, patterns such as 'in/*.png', sample:SEED or sample:FIRST-LAST, files
    of latents such as codes.pt or codes.pt:0-9. Of a single picture, its texts may follow it,
    without --text."""

    text: Texts = ()
    """What the pictures shall show. Given several times, all of it together."""

    seed: int = 0
    """Decides every random draw."""

    method: MethodName = OPTIMISATION

    files: MethodFiles = ()

    strength: Strengths = ()
    """Factors on the edit, each rendered to an image of its own from one optimisation; 0 is the
    source, 1 (unless the pack says otherwise) the edit as found."""

    mask: Path | None = None
    """Picture, white where the edit may change something; of a photo with a face, all of it."""

    point: Points = ()
    """Change only the part that is there, from 0 0 at the upper left to 1 1, of the picture that is
    edited. May be repeated; --parts names parts instead."""

    source_text: str | None = None
    """What the pictures show before the edit; the pack's if not given."""

    unrealistic_text: str | None = None
    """A text of failed pictures, for the logit objective; the pack's if not given."""

    text_map: Path | None = None
    """Linear text map for --start text-map (see `cfclip fit-text-map`); the pack's if not given."""

    identity_network: Path | None = None
    """Weights laid out as model_ir_se50.pth; tells how alike the person still is (1: the same), and
    is the network of --identity, if that is above 0 (the pack's if not given)."""

    perceptual_network: Path | None = None
    """Weights of the network of --perceptual: vgg19_conv.pth, or torchvision's VGG19."""

    face: FaceOptions = field(default_factory=FaceConfig)
    paste: PasteOptions = field(default_factory=Paste)
    settings: MethodSettings = field(default_factory=optimisation_options)
    projection: ProjectionConfig = field(default_factory=ProjectionConfig)
    tuning: TuningConfig = field(default_factory=TuningConfig)

    def run(self) -> int:
        """Edit each picture; one that fails does not lose the others."""
        from cfclip.embedders import check_prompt

        trained = method_named(self.method).fewest_files > 0
        pictures, texts = pictures_and_texts(self.images, self.text, self.out, trained)
        prompts = tuple(map(check_prompt, texts))
        tasks, failures = find_tasks(pictures, self.pack)
        check_photos(tasks, self.face, self.paste.chosen)
        strengths = chosen_strengths(self.strength, self.settings.strength)
        saving = Saving(self, strengths, self.paste.chosen)
        saving.check(tasks, (prompts,) if prompts else ())  # before models are opened
        work = self._work(saving, prompts)
        if not prompts:
            saving.check(tasks, work.edits)
        return work.run(tasks, failures)

    @property
    def _method_files(self) -> list[Path]:
        """Those given as such, then the networks of terms, in the order of the terms."""
        from cfclip.features import NetworkFiles

        weights = {name: value for name, value in asdict(self.settings).items() if value}
        identity = self.identity_network if "identity" in weights else None
        networks = NetworkFiles(identity, self.perceptual_network)
        networks.check_used(weights)
        if "perceptual" in weights and not (self.perceptual_network or self.files):
            raise InputError(
                f"perceptual is {weights['perceptual']}, but there is no network for it; give its "
                "file (--perceptual-network), or set it to 0"
            )
        return [*self.files, *networks.given.values()]

    def _work(self, saving: Saving, prompts: tuple[str, ...]) -> EditWork:
        if self.point:
            from cfclip.editing import check_point

            for point in self.point:
                check_point(*point)
        session = self.open_session()
        if self.point:
            session.pack.parts(session.device)  # or there is nothing to find there
        if self.mask is not None and not self.face.chosen:
            from cfclip.editing import open_mask

            open_mask(self.mask, session.pack.manifest.resolution)
        measure = None
        if self.identity_network is not None:
            from cfclip.editing import IdentityMeasure

            measure = IdentityMeasure(self.identity_network, self.device)
        config = replace(as_settings(self.settings), strength=saving.strengths[0])
        method = session.method(self.method, self._method_files, config, text_map=self.text_map)
        texts = session.check_edit(method, prompts, self.source_text, self.unrealistic_text)
        return EditWork(
            saving,
            (texts.prompts,),
            session,
            method,
            self.face,
            self.projection,
            tuning=self.tuning,
            seed=self.seed,
            mask=self.mask,
            points=self.point,
            source_text=self.source_text,
            unrealistic_text=self.unrealistic_text,
            measure=measure,
        )
