"""Films graded in a browser, and by whoever speaks HTTP."""
