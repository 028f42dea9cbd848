"""`python -m knee_attention` is the `knee-attention` command."""

from knee_attention.commands.cli import main

if __name__ == "__main__":
    main()
