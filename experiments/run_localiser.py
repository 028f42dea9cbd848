"""The joint localiser: a fully convolutional network of 212,769 convolution weights (Table 2).

    python experiments/run_localiser.py

trains it on synthetic films, in a quarter of an hour on two cores. --install puts the network into
the package, where split_knees.py --crop joint and grading take it from. With real films:

    python experiments/run_localiser.py --data FILMS --boxes joint_boxes.csv
"""

from knee_attention.commands.localiser import main

if __name__ == "__main__":
    main()
