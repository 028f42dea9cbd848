"""What is done with finished runs: evaluate, compare, report, publish, release."""
