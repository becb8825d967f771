"""Generators that are published, and under which licence; free of torch.

An address is a fact that may become wrong; where each was found is told with it.
"""

from dataclasses import dataclass

from cfclip.errors import InputError


@dataclass(frozen=True)
class PublishedGenerator:
    """A generator that its makers publish."""

    name: str
    """As `cfclip packs download` calls it, and the pack that it becomes."""
    address: str
    shows: str
    """What its pictures show, and their size."""
    source_text: str
    """The same in a word or two, for the losses."""
    licence: str
    licence_address: str
    terms: str
    """What the licence asks for, in a few words; the licence itself counts."""
    attribution: str
    source: str
    """The page that names the address."""

    @property
    def file(self) -> str:
        """Name of the file."""
        return self.address.rpartition("/")[2]


def _nvidia(name: str, shows: str, source_text: str) -> PublishedGenerator:
    """One of the networks that come with StyleGAN2-ADA's PyTorch version."""
    return PublishedGenerator(
        name=name,
        address=f"https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/{name}.pkl",
        shows=shows,
        source_text=source_text,
        licence="NVIDIA Source Code License for StyleGAN2 with Adaptive Discriminator Augmentation",
        licence_address="https://nvlabs.github.io/stylegan2-ada-pytorch/license.html",
        terms="non-commercial use only, for research or evaluation (section 3.3)",
        attribution="Karras et al., NVIDIA Corporation: StyleGAN2-ADA",
        source="https://github.com/NVlabs/stylegan2-ada-pytorch (README, Data repository)",
    )


PUBLISHED = {
    each.name: each
    for each in (
        _nvidia("ffhq", "faces, 1024 px (FFHQ)", "face"),
        _nvidia("afhqdog", "faces of dogs, 512 px (AFHQ)", "dog"),
        _nvidia("afhqcat", "faces of cats, 512 px (AFHQ)", "cat"),
        _nvidia("afhqwild", "faces of wild animals, 512 px (AFHQ)", "wild animal"),
        _nvidia("metfaces", "painted and sculpted faces, 1024 px (MetFaces)", "face"),
    )
}


def published_generator(name: str) -> PublishedGenerator:
    """The one of that name. Raises `InputError` naming those there are."""
    if name not in PUBLISHED:
        raise InputError(
            f"no generator {name!r} is known; known are {', '.join(PUBLISHED)}; any other becomes "
            "a pack by packs create"
        )
    return PUBLISHED[name]
