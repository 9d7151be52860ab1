"""Color scales, which turn values into colors."""
