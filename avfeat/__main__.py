"""``python -m avfeat``: the command line without its script."""

from avfeat.cli import main

if __name__ == "__main__":
    main()
