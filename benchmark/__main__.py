"""`python -m benchmark`: the command line where its script is not installed."""

from benchmark.cli import main

if __name__ == "__main__":
    main()
