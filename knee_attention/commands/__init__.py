"""The subcommands of `knee-attention`; each module has `add_options(parser)` and `run(options)`."""
