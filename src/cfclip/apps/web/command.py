"""`cfclip web`."""

from dataclasses import dataclass, field
from pathlib import Path

import tyro

from cfclip.apps.options import DEFAULT_PACK, OK, Output
from cfclip.apps.web.limits import Limits

DEFAULT_PORT = 7860


@dataclass(frozen=True)
class Web(Output):
    """Edit pictures in a browser, on this machine only.

    Prints the address to open; Ctrl-C ends it, and nothing of what was made stays. Needs the web
    extra.
    """

    pack: str = DEFAULT_PACK
    """Pack that is shown first, by name or folder; all others can be chosen on the page."""

    mappers: tyro.conf.UseAppendAction[tuple[tuple[Path, ...], ...]] = ()
    """Folders with trained mappers (of one training, or of several) that the page offers."""

    port: int = DEFAULT_PORT
    """Port to listen on; 0 takes any that is free."""

    open: bool = False
    """Open the page in the browser."""

    device: str = "cpu"
    """Where to compute: cpu, cuda, cuda:1, mps."""

    limits: Limits = field(default_factory=Limits)

    @property
    def folders(self) -> tuple[Path, ...]:
        """All folders of mappers."""
        return tuple(folder for group in self.mappers for folder in group)

    def run(self) -> int:
        """Serve until Ctrl-C."""
        from cfclip.apps.web.server import import_gradio, listen, serve, web_app
        from cfclip.apps.web.studio import Studio
        from cfclip.fitting import find_mappers

        import_gradio()
        mappers = find_mappers(self.folders)
        listening = listen(self.port)
        console = self.console
        with listening:
            studio = Studio(self.pack, mappers, self.device)
            for line in studio.notes:
                console.warning(line)
            with web_app(studio, self.limits) as app:
                serve(app, listening, self._tell)
        return OK

    def _tell(self, url: str) -> None:
        self.console.result({"url": url}, url)
        if self.open:
            import webbrowser

            webbrowser.open(url)
