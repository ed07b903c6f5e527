"""`python -m pliant.cli`: the command line without its entry point."""

from pliant.cli import main

if __name__ == "__main__":
    main()
