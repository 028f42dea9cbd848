"""The joint localiser, which finds the knee joints on a film.

    python experiments/run_localiser.py

trains it on synthetic films in half an hour on two cores. --install copies the network into the
package, where split_knees.py --crop joint and grading use it. The network that ships with the
package is trained on real films, too (knee_attention/films/localiser.md):

    python experiments/run_localiser.py --data FILMS --boxes boxes.csv --crops DIR \
        --distractors OTHER --implants OTHER/knee_prosthesis --install
"""

from knee_attention.commands.scripts.localiser import main

if __name__ == "__main__":
    main()
