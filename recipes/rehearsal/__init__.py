"""A rehearsal with random models of real size: from files of other programs to edits."""
