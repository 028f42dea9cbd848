"""The joint localiser, which finds the knees on a film.

    python experiments/run_localiser.py

trains it on synthetic films, in half an hour on two cores. --install puts the network into the
package, where split_knees.py --crop joint and grading take it from. The network that ships has
also seen real films (REPRODUCTION.md):

    python experiments/run_localiser.py --data FILMS --boxes boxes.csv --crops DIR \
        --distractors OTHER --implants OTHER/knee_prosthesis --install
"""

from knee_attention.commands.scripts.localiser import main

if __name__ == "__main__":
    main()
