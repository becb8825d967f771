"""What only measures: benchmark runs, their figures and tuning; the world of the avatars."""
