"""From a hospital's folders to a training set: what the scripts of data_prep do."""
