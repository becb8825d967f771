"""The command line, and in `web` the web app; the only part that prints."""
