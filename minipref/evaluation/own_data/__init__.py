"""What a run on somebody's own file has come to, and how sure that is."""
