"""Model packs: a folder with everything one kind of picture needs, checked before it is used."""
