"""Which parts of a picture an aspect of it is about, and what the parts are called, by CLIP.

Of two samples, parts of one are put into the other. An aspect is about the parts that make CLIP
read it as in the first, and that take little room: all of the picture would, but says nothing. A
part is called by what the texts of its aspect have in common: "red hair" and "blue hair" name hair.
Aspects of one name are about the same: the shape of hair, of which a picture with another's hair
before its own background says little, is about the parts that the colour of hair tells.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from cfclip.embedders import Embedder
from cfclip.fitting.part_search import Advance, SampledPictures
from cfclip.losses import readings
from cfclip.regions import Parts, parts_mask

_PAIRS = 64
_GAIN = 0.02
"""What a further part has to explain of an aspect at least, beyond its share of the picture."""
_NAMED = 0.3
"""Share of an aspect that a part explains alone, to be called by it too."""
_AS_GOOD = 0.95
"""Share of what the parts of an aspect are worth that another part is worth alone, to belong to
them: the two lips of a mouth."""
_ARTICLES = {"a", "an", "the"}


def named_parts(
    parts: Parts,
    samples: SampledPictures,
    embedder: Embedder,
    aspects: Mapping[str, Sequence[str]],
    advance: Advance,
) -> Parts:
    """The same parts with names, and with the parts of each aspect.

    Args:
        parts: found in the samples.
        samples: at least two.
        embedder: what reads pictures and texts.
        aspects: the texts that name the values of each; of none, names stay numbers.
        advance: called after each aspect.
    """
    if not aspects:
        return parts
    exchange = _Exchange(parts, samples, embedder, aspects)
    chosen: dict[str, tuple[int, ...]] = {}
    alone = {}
    for name in aspects:
        chosen[name] = exchange.chosen(name)
        alone[name] = [exchange.explained(name, frozenset({p})) for p in range(len(parts.names))]
        advance()
    words = {name: common_words(texts) or _plain(name) for name, texts in aspects.items()}
    about = {
        word: {part for name in aspects if words[name] == word for part in chosen[name]}
        for word in words.values()
    }
    order = sorted(aspects, key=lambda name: -exchange.worth(name, frozenset(chosen[name][:1])))
    firsts = [(words[name], chosen[name][0]) for name in order if chosen[name]]
    names = part_names(firsts, {words[name]: alone[name] for name in aspects}, len(parts.names))
    told = {name: tuple(names[p] for p in sorted(about[words[name]])) for name in aspects}
    config = replace(parts.config, names=names, aspects=told)
    named = Parts(config).to(parts.centroids.device)
    named.centroids.copy_(parts.centroids)
    return named


class _Exchange:
    """What CLIP reads of pictures that have some parts of others."""

    def __init__(
        self,
        parts: Parts,
        samples: SampledPictures,
        embedder: Embedder,
        aspects: Mapping[str, Sequence[str]],
    ) -> None:
        self._parts, self._embedder = parts, embedder
        self._side = samples.generator.resolution_for(max(embedder.image_size, parts.side))
        count = min(_PAIRS, len(samples) // 2)
        rows = torch.arange(2 * count, device=samples.latents.device)
        at_once = samples.generator.images_at_once
        rendered = [samples.render(some, self._side) for some in rows.split(at_once)]
        images = torch.cat([each for each, _ in rendered])
        likeness = torch.cat([parts.likeness(features) for _, features in rendered])
        self._images, self._likeness = images.split(count), likeness.split(count)
        self._aspects = {name: embedder.embed_texts(list(t)) for name, t in aspects.items()}
        self._known: dict[frozenset[int], tuple[Tensor, float]] = {}

    def explained(self, aspect: str, own: frozenset[int]) -> float:
        """Share of the difference in an aspect's reading that parts `own` explain, at most 1."""
        values = self._aspects[aspect]
        every = frozenset(range(len(self._parts.names)))
        wanted, before, after = (
            readings(self._exchanged(each)[0], values) for each in (every, frozenset[int](), own)
        )
        whole, left = ((wanted.exp() * (wanted - read)).sum(1).mean() for read in (before, after))
        return 1.0 - float(left / whole) if whole > 0.0 else 0.0

    def worth(self, aspect: str, own: frozenset[int]) -> float:
        """What parts explain of an aspect, beyond their share of the picture."""
        return self.explained(aspect, own) - self._exchanged(own)[1]

    def chosen(self, aspect: str) -> tuple[int, ...]:
        """The parts that are worth most to an aspect, the best first, and those as good alone.

        They are found one by one, from the part on that is worth most and from the one that
        explains most, which another may complete.
        """
        every = range(len(self._parts.names))
        alone = {part: self.worth(aspect, frozenset({part})) for part in every}
        starts = {
            max(every, key=lambda part: alone[part]),
            max(every, key=lambda part: self.explained(aspect, frozenset({part}))),
        }
        grown = [self._grown(aspect, start) for start in sorted(starts)]
        best = max(grown, key=lambda own: self.worth(aspect, frozenset(own)))
        reached = self.worth(aspect, frozenset(best))
        if reached < _GAIN:
            return ()
        as_good = (part for part in every if alone[part] >= _AS_GOOD * reached)
        return (*best, *(part for part in as_good if part not in best))

    def _grown(self, aspect: str, start: int) -> tuple[int, ...]:
        """A part with others, as long as one makes them worth more."""
        own: tuple[int, ...] = (start,)
        reached = self.worth(aspect, frozenset(own))
        while others := [p for p in range(len(self._parts.names)) if p not in own]:
            worth = {part: self.worth(aspect, frozenset({*own, part})) for part in others}
            best = max(worth, key=lambda part: worth[part])
            if worth[best] < reached + _GAIN:
                break
            own, reached = (*own, best), worth[best]
        return own

    @torch.no_grad()
    def _exchanged(self, own: frozenset[int]) -> tuple[Tensor, float]:
        """Unit embeddings `(pairs, dim)` of first pictures with the parts `own` of second ones, and
        the share of the pictures that these take."""
        if own not in self._known:
            chosen = torch.tensor([part in own for part in range(len(self._parts.names))])
            first, second = self._images
            mask = torch.maximum(
                *(parts_mask(each, chosen.to(first.device), self._side) for each in self._likeness)
            )
            seen = self._embedder.embed_images(first * (1.0 - mask) + second * mask)
            self._known[own] = seen, float(mask.mean())
        return self._known[own]


def part_names(
    firsts: Sequence[tuple[str, int]], alone: Mapping[str, Sequence[float]], count: int
) -> tuple[str, ...]:
    """Names of parts by the aspects that they explain.

    Args:
        firsts: what an aspect is called and the part that it is about first, the clearest first.
        alone: what an aspect is called to the share of it that each part explains alone.
        count: of the parts.

    >>> part_names([("hair", 0), ("hair", 1)], {"hair": [0.9, 0.5, 0.1]}, 3)
    ('hair', 'hair 2', 'part 3')
    """
    names: dict[int, str] = {}
    for name, part in firsts:
        if part not in names and name not in names.values():
            names[part] = name
    for part in range(count):
        if part not in names:
            name = max(alone, key=lambda name: alone[name][part])
            known = sum(each.rpartition(" ")[0] == name or each == name for each in names.values())
            clear = alone[name][part] >= _NAMED
            names[part] = f"{name} {known + 1}" if clear and known else f"part {part + 1}"
    return tuple(names[part] for part in range(count))


def _plain(aspect: str) -> str:
    return " ".join(aspect.replace("_", " ").replace(",", " ").split())


def common_words(texts: Sequence[str]) -> str:
    """The words that most of some texts have, in their order, but for articles.

    >>> common_words(["red hair", "a dark blue hair", "a wig"])
    'hair'
    """
    texts = [text.replace(",", " ") for text in texts]
    counts = Counter(word for text in texts for word in dict.fromkeys(text.split()))
    common = {word for word, count in counts.items() if count > len(texts) / 2} - _ARTICLES
    for text in texts:
        if common <= set(text.split()):
            return " ".join(word for word in text.split() if word in common)
    return ""
