"""The colour words of the pack and their anchors in sRGB; `colours` makes regions of them."""

# Anchors are sRGB hex; light, dark and dull variants, so that a region is what people would call
# by that word and not only its most vivid example.
BASIC_TERMS: dict[str, str] = {
    "red": "d01818 ff0000 b01020 8b0000 e03c3c c83a3a a03030 f04040 dc143c",
    "orange": "ff8000 ff6a00 f09030 e07820 ffa040 f59a52 d8782c ff9a1f e88a4a ffa94d",
    "yellow": "ffe000 ffff00 f0d030 ffee60 f7e98e e0c828 fff07a d4c23a ffd91a fff2a0 d8cc60",
    "green": "00a000 00ff00 2e8b30 006400 7ccd5c 90e090 5a8f4a 32cd32 3c7a3c 8fbc8f "
    "6b8e23 9acd32 a8e060 1e5a2a 3cb371 00e060 557a30 b0e8a0 70a080",
    "turquoise": "40e0d0 106060 20b2aa 00c8c8 48d1cc 00ced1 008b8b 60c8c0 "
    "5fb0b0 7fe8e0 00a8a0 30d8c8",
    "blue": "1e50d0 0000ff 0000a0 000060 4169e1 6495ed 4682b4 87b8f0 1e90ff 20408a 5a78c0 "
    "8fb4e0 3060a0 70a0d8 a0c8f8 2a3c78 60b8f0",
    "purple": "800080 8a2be2 6a0dad 9932cc a060d8 4b0082 b090e0 7a4a9a 9370db 5a2d82 c8a0e8 "
    "8a5aa8 6f3f8f a040b0 b57edc 3c1450",
    "pink": "ff69b4 ffc0cb ff1493 f4a6c0 e880a8 ff8fb8 e04f9f d8709c ffa0d8 f06aa8 c84080 "
    "ffb0c8 d890b0 ff50c8",
    "brown": "8b4513 6b4423 5a3a22 a0622d 7a5230 4a2c17 95603a 8a6240 5c4033 704828 3c2616",
    "black": "000000 101010 1c1c1c 0c0c14 1a1412 0c140f",
    "grey": "808080 a0a0a0 606060 909498 707478 b4b4b4 505458 8c8880 a8acb0 c0c0c0 606860",
    "white": "ffffff f8f8f8 f4f4f4 fffff0 f0f4f8 fff6f2",
}

# Each common name: anchors; a colour within INNER of one carries the name, beyond OUTER it does
# not.
COMMON_NAMES: dict[str, str] = {
    "navy": "000070 10205c 0a0a50",
    "teal": "008080 0a7478 108c88",
    "lavender": "b9a0e6 c4aeea b09ade",
    "lime": "a8f020 b8ff30 98e810",
    "maroon": "7a1020 6a0c18 80141c",
    "gold": "e6b422 d9a820 f0c030",
    "beige": "e6d3b3 dcc8a4 efdfc4",
    "crimson": "c8102e dc143c b8142e",
    "olive": "808000 747420 8a8a2a",
    "cyan": "00f0f8 20e8f4 40f4ff",
    "magenta": "f000e0 e010c8 ff20f0",
    "violet": "8038e0 7030d0 9048f0",
    "coral": "ff7f60 f87860 ff8a70",
    "mint": "a0f0c8 98e8c0 b0f4d0",
    "peach": "ffcba4 fcc29c ffd2b0",
    "mustard": "c89b20 bc9228 d0a42c",
    "emerald": "10a860 089a58 20b46c",
    "charcoal": "36393c 303438 3e4042",
}

# Words for what occurs in nature, part by part; a word that is also a basic term is replaced.
NATURAL_TERMS: dict[str, dict[str, str]] = {
    "hair": {
        "blond": "d6b370 e6cb90 c9a45c dcbc80 f0d8a0 c4a068",
        "ginger": "b5562b c4622d b8642e a8481e c66a3c d07840",
    },
    "lip": {"rosy": "d08080 c47472 b86666 d8908a c88078 b87068"},
    "skin": {
        "pale": "fae0d0 f5d3bd f1c7ab f8dcc8 f4cdb4",
        "tan": "d8a47e cf9870 c68e6a e0b08a d4a078",
        "brown": "a36b4f 96603f 8d5a3c a87448 9c6a4c",
        "dark": "5c3829 4a2b1f 55331f 3f251a 643f2c",
    },
}
NATURAL_TERMS["brow"] = NATURAL_TERMS["hair"]

NATURAL_WORDS: dict[str, tuple[str, ...]] = {
    "hair": ("black", "brown", "blond", "ginger", "grey"),
    "lip": ("rosy", "brown"),
    "skin": ("pale", "tan", "brown", "dark"),
}
NATURAL_WORDS["brow"] = NATURAL_WORDS["hair"]

# Being one of a pair leaves the other undecided instead of false: orange hair might pass for
# ginger, and nobody should be punished for either word.
KINDRED: dict[str, tuple[tuple[str, str], ...]] = {
    "hair": (
        ("blond", "yellow"),
        ("blond", "brown"),
        ("ginger", "orange"),
        ("ginger", "red"),
        ("ginger", "brown"),
    ),
    "lip": (("rosy", "pink"), ("rosy", "red"), ("rosy", "brown")),
    "skin": (("pale", "pink"), ("tan", "orange"), ("dark", "brown"), ("tan", "brown")),
}
KINDRED["brow"] = KINDRED["hair"]

# Names left out where a natural word is so near that a caption would say that instead.
UNUSED_COMMON: dict[str, frozenset[str]] = {
    "hair": frozenset({"gold", "beige", "peach", "mustard", "charcoal"}),
    "lip": frozenset({"beige", "peach", "charcoal", "coral"}),
    "skin": frozenset({"gold", "beige", "peach", "mustard", "charcoal", "coral", "maroon"}),
}
UNUSED_COMMON["brow"] = UNUSED_COMMON["hair"]
# Black and white skin name people, not these colours.
UNUSED_BASIC: dict[str, frozenset[str]] = {"skin": frozenset({"black", "white"})}

PARTS: tuple[str, ...] = ("hair", "brow", "lip", "skin", "clothes", "background")
