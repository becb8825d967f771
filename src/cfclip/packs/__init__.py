"""Model packs: the format, opening and making them, downloads; `avatars` is shipped."""
