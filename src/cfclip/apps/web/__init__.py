"""The web app: `cfclip web`."""
