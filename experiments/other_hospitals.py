"""What the model that ships reaches on films of another hospital.

    python experiments/other_hospitals.py --data FILMS --title "Another country" \
        --output experiments/results/kneekl224/other_hospitals.csv

FILMS has the folders 0 to 4, named after the grades, with a film of one knee in each file. Each
film is graded through the normal path, as a whole image and as its centre square. Then the films of
half of the persons serve for local calibrations, which are measured on the other half (20 splits).
"""

from knee_attention.commands.scripts.other_hospitals import main

if __name__ == "__main__":
    main()
