"""Published networks of others that ours learn from; their weights are read, and never part of this project."""
