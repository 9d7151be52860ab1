"""`python -m regionplot`."""

from regionplot.cli import main

if __name__ == "__main__":
    main()
