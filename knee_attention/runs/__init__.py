"""An experiment, its run, and what it leaves behind."""
