"""Python imports this at its start where the folder is on its path: see `fuzzing.real_process`."""

from fuzzing.real_process import watch_this_process

watch_this_process()
