"""Commands of the training room: options and printing, without torch until one runs."""
