"""Programs that show what cfclip does."""
